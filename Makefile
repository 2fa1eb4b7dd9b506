# Everything that a developer or CI runs. `make help` lists it.
#
# Only `go` is needed to build, run and bench; `make test` brings the rest itself where it can, and says what to install
# where it cannot. Whatever it makes lies in bin/ (dot folders there, because ./... does not look into them).

GOLANGCI_VERSION := v2.15.0
JAEGER_VERSION   := v1.62.0

VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
FUZZTIME ?= 30s
KILLS    ?= 1000
OUTAGE   ?= 60s
IMAGE    ?= sluice

GOLANGCI := bin/.tools/golangci-lint-$(GOLANGCI_VERSION)
JAEGER   := bin/.tools/jaeger-$(JAEGER_VERSION)
SDK      := cmd/sluice/sdk
ORACLE   := gateway/catalog/oracle
BROWSER  := cmd/sluice/browser
PYTHON   := bin/.sdk/python
NODE     := bin/.sdk/node
PRICES   := bin/.sdk/prices
SCREENS  := bin/.sdk/browser
WEB      := gateway/console/web
PAGES    := bin/.sdk/console

# Where the tests in $(SDK) find the clients: a Python interpreter and a folder with node_modules in it; and where the
# test in $(ORACLE) finds its calculator: another such folder.
SDK_ENV := SLUICE_SDK_PYTHON='$(CURDIR)/$(PYTHON)/bin/python' SLUICE_SDK_NODE='$(CURDIR)/$(NODE)' SLUICE_SDK_PRICES='$(CURDIR)/$(PRICES)'
NOT_SDK := grep -v -e '/$(SDK)' -e '/$(ORACLE)' -e '/$(BROWSER)'

# Where the tests in $(BROWSER) find theirs: a folder with node_modules in it, and a Chromium of the machine's.
CHROMIUM := command -v chromium || command -v google-chrome || command -v chromium-browser
BROWSER_ENV = SLUICE_CONSOLE_NODE='$(CURDIR)/$(PAGES)' SLUICE_BROWSER_NODE='$(CURDIR)/$(SCREENS)' SLUICE_BROWSER="$$($(CHROMIUM))"

# Packages with tests that the race detector would falsify: counts of allocations.
UNRACED := $(addprefix ./,$(sort $(dir $(shell \
	grep -rl --include='*_test.go' '^//go:build !race' cmd config gateway plugins benchmarks 2>/dev/null))))

# $(call need,check,Debian packages) sees to it that a check succeeds: as root on Debian by installing, else it says what
# is missing and fails.
define need
	@{ $(1); } >/dev/null 2>&1 || { \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends $(2); fi; \
	  { $(1); } >/dev/null 2>&1 || { echo "make: '$(1)' fails: install $(2) (names of Debian packages)" >&2; exit 1; }; }
endef

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: run build console test test-go test-sdk test-browser pictures browser race chaos lint fmt tidy check fuzz bench image help clean vet sdk compiler servers jaeger

##@ Run

run: build ## Build and start the gateway; without a configuration: a demonstration
	@bin/sluice serve

build: ## Build bin/sluice, one static binary
	@CGO_ENABLED=0 go build -trimpath -ldflags '-s -w -X main.version=$(VERSION)' -o bin/sluice ./cmd/sluice

console: ## Build the console's pages anew, which are part of the program and committed
	cd $(WEB) && npm ci --silent && npm run --silent build

image: ## Build the container image sluice:VERSION
	docker build --build-arg VERSION=$(VERSION) -t $(IMAGE):$(VERSION) .

##@ Test

test: vet compiler servers sdk browser ## Everything: vet, all tests with the race detector, the official SDKs as clients, the console in a browser
	$(if $(UNRACED),$(SDK_ENV) $(BROWSER_ENV) go test $(UNRACED))
	$(SDK_ENV) go test -race ./...

test-go: servers ## The Go tests alone, quickly: no race detector, no SDKs
	go test $$(go list ./... | $(NOT_SDK))

test-sdk: sdk ## The official SDKs as clients of a running gateway
	$(SDK_ENV) go test -count=1 ./$(SDK)/... ./$(ORACLE)

test-browser: browser ## The console in a browser, with a running gateway behind it
	$(BROWSER_ENV) go test -count=1 ./$(BROWSER)

pictures: browser ## The same, and the pictures in the README anew
	$(BROWSER_ENV) SLUICE_PICTURES='$(CURDIR)/gateway/console/pictures' go test -count=1 ./$(BROWSER)

race: compiler servers ## The Go tests with the race detector, without the SDKs
	go test -race $$(go list ./... | $(NOT_SDK))

chaos: servers ## What tests do briefly, for long: KILLS (1000) of a process, each OUTAGE of Redis 60s
	SLUICE_LEDGER_KILLS=$(KILLS) go test -count=1 -timeout 60m -run '^TestKilled$$' ./gateway/ledger
	SLUICE_OUTAGE=$(OUTAGE) go test -count=1 -timeout 60m -run '^TestOutages$$' ./gateway/meter/redis
	SLUICE_CHAOS_ROUNDS=$(KILLS) SLUICE_CHAOS_PAUSE=$(OUTAGE) go test -count=1 -timeout 6h ./gateway/internal/fleet

fuzz: ## Run every fuzz target for FUZZTIME (30s) in turn
	@grep -rHo --include='*_test.go' '^func Fuzz[A-Za-z0-9_]*' cmd config gateway plugins benchmarks 2>/dev/null | sort | { \
	  failed=; ran=0; \
	  while IFS=: read -r file func; do \
	    name=$${func#func }; dir=./$$(dirname "$$file"); ran=$$((ran + 1)); \
	    echo "== $$name $$dir"; \
	    go test -run '^$$' -fuzz "^$$name\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 20x "$$dir" </dev/null || failed="$$failed $$dir:$$name"; \
	  done; \
	  echo "$$ran fuzz targets; failed:$${failed:- none}"; [ -z "$$failed" ] && [ "$$ran" -gt 0 ]; }

bench: ## Measure against the floor: see benchmarks/
	go run ./benchmarks

##@ Code

lint: $(GOLANGCI) ## Find what the compiler does not: see .golangci.yml
	$(GOLANGCI) run ./...
	go mod tidy -diff

fmt: $(GOLANGCI) ## Format the code and sort the imports
	$(GOLANGCI) fmt

tidy: ## Tidy go.mod
	go mod tidy

check: lint test ## What CI runs

clean: ## Remove what was built
	rm -rf bin

help: ## Show this list
	@awk -F ':.*## ' '/^##@/ { printf "\n%s\n", substr($$0, 5) } /^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# What the targets above need.

vet:
	go vet ./...

compiler: # the race detector is written in C
	$(call need,$$(go env CC) --version,gcc libc6-dev)

# Tests start real ones, each for itself: gateway/internal/servers. PostgreSQL's programs need not be in $PATH.
servers: jaeger
	$(call need,redis-server --version,redis-server)
	$(call need,prometheus --version,prometheus)
	$(call need,ls /usr/lib/postgresql/*/bin/initdb || initdb --version,postgresql)

sdk: $(if $(wildcard $(SDK)/requirements.txt),$(PYTHON)/.complete) $(if $(wildcard $(SDK)/package.json),$(NODE)/.complete) $(PRICES)/.complete

$(PYTHON)/.complete: $(SDK)/requirements.txt
	$(call need,python3 -c 'import venv; import ensurepip',python3-venv)
	rm -rf $(PYTHON)
	python3 -m venv $(PYTHON)
	$(PYTHON)/bin/pip install --quiet --disable-pip-version-check --requirement $<
	@touch $@

browser: $(SCREENS)/.complete $(PAGES)/.complete
	$(call need,$(CHROMIUM),chromium)

$(NODE)/.complete: $(SDK)/package.json $(SDK)/package-lock.json
$(SCREENS)/.complete: $(BROWSER)/package.json $(BROWSER)/package-lock.json
$(PAGES)/.complete: $(WEB)/package.json $(WEB)/package-lock.json
$(PRICES)/.complete: $(ORACLE)/package.json $(ORACLE)/package-lock.json

$(NODE)/.complete $(PRICES)/.complete $(SCREENS)/.complete $(PAGES)/.complete:
	$(call need,npm --version && node --version,nodejs npm)
	rm -rf $(@D)
	mkdir -p $(@D)
	cp $^ $(@D)
	cd $(@D) && npm ci --no-audit --no-fund --loglevel=error
	@touch $@

$(GOLANGCI):
	GOBIN='$(CURDIR)/bin/.tools' go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_VERSION)
	@mv bin/.tools/golangci-lint $@

jaeger: $(JAEGER)

$(JAEGER): # minutes, once; in a module of its own, because go install refuses modules that replace others
	rm -rf $@.build
	mkdir -p $@.build
	cd $@.build && go mod init tools && go get github.com/jaegertracing/jaeger/cmd/all-in-one@$(JAEGER_VERSION)
	cd $@.build && CGO_ENABLED=0 go build -ldflags '-s -w' -o all-in-one github.com/jaegertracing/jaeger/cmd/all-in-one
	mv $@.build/all-in-one $@
	rm -rf $@.build
