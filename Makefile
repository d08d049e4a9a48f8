# cobridge: what developers run. `make` alone lists the targets.

GO      ?= go
TOOL    := $(GO) tool -modfile=.ci/tools/go.mod
TIMEOUT ?= 15m
FUZZTIME ?= 30s
COUNT   ?= 1
ARGS    ?=

# The components of bridge/testenv whose absence fails a test instead of skipping it.
REQUIRE := chromium,node,python-httpx,curl,jq,redis

.PHONY: help build test race browser sdk-go lint fmt fmt-check vet mod vuln cover bench microbench fuzz golden docs bundles bundles-check operations-check run tools check

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## Build bin/cobridge, static, without symbols
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags='-s -w' -o bin/ ./cmd/cobridge

test: ## Install what the tests need, then run them all; a missing component fails
	.ci/setup
	COBRIDGE_REQUIRE=$(REQUIRE) $(GO) test -race -shuffle=on -timeout=$(TIMEOUT) ./...

race: ## Run the tests with what is here; a missing component skips
	$(GO) test -race -shuffle=on -timeout=$(TIMEOUT) ./...

browser: ## Run the browser tests alone, and say what each does (COBRIDGE_SCREENSHOTS=DIR takes pictures)
	.ci/setup
	COBRIDGE_REQUIRE=$(REQUIRE) $(GO) test -count=1 -v ./cobrowse/webui/e2e

sdk-go: ## Run the official Go SDK against the service (compiles it for a minute or two)
	COBRIDGE_GO_SDK=1 $(GO) test -count=1 -v -run=TestOfficialGoSDK -timeout=$(TIMEOUT) ./mocks/contract

lint: ## Run golangci-lint
	$(TOOL) golangci-lint run --timeout=15m ./... ./.ci/bench/...

fmt: ## Format Go files and sort their imports
	$(TOOL) golangci-lint fmt ./...

fmt-check:
	@out=$$(git ls-files -z '*.go' | xargs -0 $(TOOL) gofumpt -d) && [ -z "$$out" ] || { echo "$$out"; echo "not formatted: run make fmt"; exit 1; }

vet:
	$(GO) vet ./...
	GOOS=linux $(GO) vet ./.ci/bench

mod:
	$(GO) mod tidy -diff
	$(GO) mod verify

vuln: ## Look for known vulnerabilities (needs the network)
	$(GO) run golang.org/x/vuln/cmd/govulncheck@v1.8.0 ./...

cover: ## Print the coverage of each function; profile in coverage.out
	$(GO) test -coverpkg=./... -coverprofile=coverage.out -timeout=$(TIMEOUT) ./...
	$(GO) tool cover -func=coverage.out

bench: ## Measure the service against floors, side by side (ARGS=-write for docs/performance.md)
	$(GO) run ./.ci/bench $(ARGS)

microbench: ## Run the Go benchmarks
	$(GO) test -run='^$$' -bench=. -benchmem -count=$(COUNT) -timeout=60m ./...

fuzz: ## Run every fuzz target for FUZZTIME (30s)
	@set -e; for pkg in $$($(GO) list ./...); do \
		for target in $$($(GO) test -run='^$$' -list='^Fuzz' $$pkg | grep '^Fuzz' || true); do \
			echo "==> $$pkg $$target"; \
			$(GO) test -run='^$$' -fuzz="^$$target\$$" -fuzztime=$(FUZZTIME) $$pkg; \
		done; \
	done

golden: ## Rewrite the golden files; review the diff
	COBRIDGE_GOLDEN=rewrite $(GO) test -count=1 ./...

docs: ## Write the generated documents
	$(GO) run ./cmd/cobridge config doc >docs/config.md.new
	mv docs/config.md.new docs/config.md

bundles: ## Make the browser bundles from their sources (cobrowse/webui/dist)
	$(GO) run -C cobrowse/webui/bundler .

bundles-check: ## Compare the committed bundles with their sources
	$(GO) test -C cobrowse/webui/bundler ./...
	$(GO) vet -C cobrowse/webui/bundler ./...
	$(GO) run -C cobrowse/webui/bundler . -check

operations-check: ## Read dashboard, alerts and manifests with the readers of Prometheus and Kubernetes
	$(GO) test -C .ci/operations ./...
	$(GO) vet -C .ci/operations ./...

run: ## Start the demo (ARGS="--listen 127.0.0.1:0" for flags)
	$(GO) run ./cmd/cobridge demo $(ARGS)

tools: ## Build the pinned tools ahead of their first use
	$(TOOL) golangci-lint version
	$(TOOL) gofumpt -version
	$(GO) build -modfile=.ci/tools/go.mod -o /dev/null golang.org/x/perf/cmd/benchstat

check: mod fmt-check vet lint bundles-check operations-check race ## What CI checks, with what is here
