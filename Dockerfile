# One static binary and nothing else: docker build -t cobridge .
# For another processor: docker buildx build --platform linux/arm64 -t cobridge .
FROM --platform=$BUILDPLATFORM golang:1.26 AS build
ARG TARGETOS
ARG TARGETARCH
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH go build -trimpath -ldflags=-s -o /out/cobridge ./cmd/cobridge && mkdir /out/data

FROM scratch
# Roots for calls to a real organisation.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /out/cobridge /cobridge
COPY --from=build --chown=65532:65532 /out/data /data
USER 65532:65532
# The admin address is the container's own loopback: for the health check below, for
# backups, and for whoever shares its network.
ENV COBRIDGE_LISTEN=:8080 \
    COBRIDGE_ADMIN_LISTEN=127.0.0.1:9090 \
    COBRIDGE_STORE=bolt:/data/cobridge.db
VOLUME /data
EXPOSE 8080
# There is no shell and no curl in here: the program asks itself.
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s --retries=3 CMD ["/cobridge", "healthcheck"]
# Stop is graceful on SIGTERM, docker's default.
ENTRYPOINT ["/cobridge"]
CMD ["serve"]
