# One static binary and nothing else: docker build -t cobridge .
FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 go build -trimpath -o /out/cobridge ./cmd/cobridge && mkdir /out/data

FROM scratch
# Roots for calls to a real organisation.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /out/cobridge /cobridge
COPY --from=build --chown=65532:65532 /out/data /data
USER 65532:65532
ENV COBRIDGE_LISTEN=:8080 \
    COBRIDGE_STORE=bolt:/data/cobridge.db
VOLUME /data
EXPOSE 8080
# Stop is graceful on SIGTERM, docker's default.
ENTRYPOINT ["/cobridge"]
CMD ["serve"]
