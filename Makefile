# Verdict. `make help` lists the targets; each does its own set-up.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

GO        ?= go
SERVE     ?= 1
LINT      := v2.12.2
TRINO     := 476
CDK       := 2.1148.1
FUNCTIONS := collector replay elt identity evaluator decider notifier dashboard metrics monitor canary slack privacy
ARCH      ?= arm64
WEB       := events/web
BOARD     := tests/board

# To inline Arrow's kernels and go-json takes a third of a first build, and neither is ever hot here.
export GOFLAGS += -gcflags=github.com/apache/arrow-go/...=-l -gcflags=github.com/goccy/go-json/...=-l

.PHONY: help
help: ## list the targets
	@awk 'BEGIN {FS = ":.*## "} /^[a-z0-9-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

## Run

.PHONY: demo
demo: bin/verdict ## play a shop through the whole pipeline, print verdicts, serve the dashboard (SERVE=0 ends instead)
	@bin/verdict demo --serve=$(if $(filter 0,$(SERVE)),false,true)

.PHONY: build
build: bin/verdict ## build bin/verdict

# Go knows better than make what is out of date.
.PHONY: bin/verdict
bin/verdict:
	@$(GO) build -o $@ ./functions/local

## Test

.PHONY: test
test: test-web test-go ## all fast tests: Go, SQL, browser SDK

.PHONY: test-go
test-go: ## Go and SQL tests
	$(GO) vet ./...
	$(GO) test ./...
	@echo "Skipped: the tests on a real Trino (make test-trino)."
	@echo "Skipped: the deployment to an emulator of AWS (make e2e-aws)."
	@echo "Skipped: the notebooks in Jupyter (make test-notebook)."
	@echo "Skipped: the exported metrics in MetricFlow (make test-metricflow)."
	@echo "Skipped: schemathesis on the metrics API (make test-api)."
	@echo "Skipped: the SDK and the dashboard in Chromium (make test-browser, make test-board)."
	@echo "Skipped: cfn-lint and checkov on infra (make lint-infra)."
	@echo "Skipped: the demo's verdicts for other seeds (make test-seeds)."
	@command -v curl >/dev/null || echo "Skipped: the commands of the guide and of the metrics API's docs, for want of curl."
	@[ -d .build ] || echo "Skipped: the sizes of the Lambdas (make functions)."
	@[ -d ../shared ] || echo "Skipped: the tests on published figures and data, which are not beside this checkout (../shared)."

.PHONY: test-web
test-web: $(WEB)/node_modules ## browser SDK tests and its size gate
	npm --prefix $(WEB) test

$(WEB)/node_modules: $(WEB)/package-lock.json
	npm --prefix $(WEB) ci --no-audit --no-fund
	@touch $@

.PHONY: test-browser
test-browser: bin/verdict $(WEB)/node_modules chromium ## slow: the browser SDK in a real Chromium against the real collector
	CHROMIUM=$$(command -v chromium) npm --prefix $(WEB) run test:chromium

.PHONY: test-board
test-board: bin/verdict $(BOARD)/node_modules chromium ## slow: the dashboard in a real Chromium, with axe, over a small demo
	CHROMIUM=$$(command -v chromium) npm --prefix $(BOARD) test

$(BOARD)/node_modules: $(BOARD)/package-lock.json
	npm --prefix $(BOARD) ci --no-audit --no-fund
	@touch $@

.PHONY: chromium
chromium:
	@command -v chromium >/dev/null || { apt-get update -qq && apt-get install -y --no-install-recommends chromium; } || { echo "Install Chromium (Debian: apt-get install chromium)."; exit 1; }

# The emulator runs the Lambdas' binaries on this machine, so they are built for it.
.PHONY: e2e-aws
e2e-aws: export JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION = 20
e2e-aws: .bin/emulator/bin/ministack .bin/cdk/node_modules/.bin/cdk $(WEB)/node_modules chromium ## slow: deploy to an emulator of AWS on loopback, and run there
	$(MAKE) --no-print-directory functions ARCH=$$($(GO) env GOHOSTARCH)
	npm --prefix $(WEB) run build
	TRINO_HOME=$(patsubst %/lib,%,$(wildcard $(CURDIR)/.bin/trino/lib)) CHROMIUM=$$(command -v chromium) EMULATOR=$(CURDIR)/.bin/emulator/bin/ministack CDK=$(CURDIR)/.bin/cdk/node_modules/.bin/cdk \
		$(GO) test ./tests/aws -count=1 -timeout 60m -v

.bin/emulator/bin/ministack: tests/aws/requirements.txt
	python3 -m venv --clear .bin/emulator
	.bin/emulator/bin/pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

.bin/cdk/node_modules/.bin/cdk:
	npm --prefix .bin/cdk install --no-audit --no-fund --no-save aws-cdk@$(CDK)
	@touch $@

# A failed download is said loudly and is no failure: what it would have tested still runs on DuckDB.
.PHONY: test-trino
test-trino: ## slow: models, data tests and metric queries on a real Trino, row for row (fetches 0.8 GB)
	@if $(MAKE) --no-print-directory .bin/trino/lib; then \
		TRINO_HOME=$(CURDIR)/.bin/trino $(GO) test ./tests/trino -count=1 -timeout 20m -v; \
	else \
		echo; echo "!!! NOT TESTED ON TRINO: its server could not be fetched from Maven Central. !!!"; echo; \
	fi

# The server with the Hive connector; Maven checks the sum.
.bin/trino/lib:
	mkdir -p .bin/trino-server
	mvn -q -B org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy -Dartifact=io.trino:trino-server:$(TRINO):tar.gz -DoutputDirectory=$(CURDIR)/.bin/trino-server -Dmaven.repo.local=$(CURDIR)/.bin/trino-server/m2
	rm -rf .bin/trino.new .bin/trino && mkdir .bin/trino.new
	tar -xzf .bin/trino-server/trino-server-$(TRINO).tar.gz -C .bin/trino.new --strip-components=1
	find .bin/trino.new/plugin -mindepth 1 -maxdepth 1 ! -name hive -exec rm -rf {} +
	mv .bin/trino.new .bin/trino
	rm -rf .bin/trino-server

# A failed download is said loudly and is no failure: the queries are also tested on DuckDB by the fast tests.
.PHONY: test-notebook
test-notebook: bin/verdict ## slow: run the notebooks of a demo's experiments in Jupyter (fetches 120 MB)
	@if $(MAKE) --no-print-directory .bin/notebook/bin/jupyter-execute; then \
		NOTEBOOK_PYTHON=$(CURDIR)/.bin/notebook/bin/python $(GO) test ./tests/notebook -count=1 -timeout 20m -v; \
	else \
		echo; echo "!!! NOTEBOOKS NOT TESTED: Jupyter could not be fetched from PyPI. !!!"; echo; \
	fi

.bin/notebook/bin/jupyter-execute: tests/notebook/requirements.txt
	python3 -m venv --clear .bin/notebook
	.bin/notebook/bin/pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

# A failed download is said loudly and is no failure: the export is also held to MetricFlow's schema by the fast tests.
.PHONY: test-metricflow
test-metricflow: bin/verdict ## slow: load the exported metrics in MetricFlow itself, and compare its numbers with ours (fetches 60 MB)
	@if $(MAKE) --no-print-directory .bin/metricflow/ready; then \
		METRICFLOW_PYTHON=$(CURDIR)/.bin/metricflow/bin/python $(GO) test ./tests/metricflow -count=1 -timeout 20m -v; \
	else \
		echo; echo "!!! NOT TESTED WITH METRICFLOW: it could not be fetched from PyPI. !!!"; echo; \
	fi

.bin/metricflow/ready: tests/metricflow/requirements.txt
	python3 -m venv --clear .bin/metricflow
	.bin/metricflow/bin/pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

.PHONY: test-guide
test-guide: ## run every command of docs/guide.md in a fresh folder (part of make test)
	$(GO) test ./tests/guide -count=1 -v

# A failed download is said loudly and is no failure: the fast tests hold the same contract.
.PHONY: test-api
test-api: bin/verdict ## slow: schemathesis on the metrics API of a small demo's lake (fetches 30 MB)
	@if $(MAKE) --no-print-directory .bin/schemathesis/bin/st; then \
		SCHEMATHESIS=$(CURDIR)/.bin/schemathesis/bin/st $(GO) test ./tests/api -count=1 -timeout 20m -v; \
	else \
		echo; echo "!!! METRICS API NOT TESTED BY SCHEMATHESIS: it could not be fetched from PyPI. !!!"; echo; \
	fi

.bin/schemathesis/bin/st: tests/api/requirements.txt
	python3 -m venv --clear .bin/schemathesis
	.bin/schemathesis/bin/pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

.PHONY: test-seeds
test-seeds: bin/verdict ## slow: the demo's verdicts must be right for 20 seeds (SEEDS=20)
	$(GO) test ./tests/seeds -count=1 -timeout 120m -v -args -seeds=$${SEEDS:-20}

.PHONY: calibrate
calibrate: ## slow: measure error rates, coverage and power by simulation; writes docs/calibration.md
	$(GO) run ./tests/calibrate

.PHONY: fuzz
fuzz: ## slow: fuzz what reads input (FUZZTIME=60s each); a million events against the reference validator
	$(GO) test ./shared/analyze -run '^$$' -fuzz FuzzNumbers -fuzztime $${FUZZTIME:-60s}
	$(GO) test ./shared/analyze -run '^$$' -fuzz FuzzAnalyze -fuzztime $${FUZZTIME:-60s}
	$(GO) test ./shared/analyze -run '^$$' -fuzz FuzzReplay -fuzztime $${FUZZTIME:-60s}
	VERDICT_EVENTS=1000000 $(GO) test ./shared/plan -run AgreesWithReference -count 1 -v

.PHONY: bench
bench: $(WEB)/node_modules ## benchmarks: collector requests a second and latency, SDK size beside its peers', 10 million events against hand-written SQL, 10 million links of ids
	cd $(WEB) && node build.mjs && node bench/size.mjs
	$(GO) test ./shared/collect ./shared/plan ./shared/stats -run '^$$' -bench . -cpu 1
	$(GO) test ./tests/lambda -run '^$$' -bench AddedTime -benchtime 1x
	$(GO) test ./shared/measure -run '^$$' -bench TenMillion -benchtime 3x -timeout 30m
	$(GO) test ./shared/measure -run '^$$' -bench NinetyDays -benchtime 1x
	$(GO) test ./shared/identity -run '^$$' -bench TenMillion -benchtime 1x
	$(GO) test ./shared/model -run '^$$' -bench ELT -benchtime 3x -timeout 60m -args -events=$${EVENTS:-1000000}

# Its own cache: findings cached by another clone carry that clone's paths, which no exclusion matches.
.PHONY: lint
lint: .bin/golangci-lint ## golangci-lint
	GOLANGCI_LINT_CACHE=$(CURDIR)/.bin/lint .bin/golangci-lint run ./...

.bin/golangci-lint:
	GOBIN=$(CURDIR)/.bin $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(LINT)

.PHONY: lint-infra
lint-infra: export JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION = 20
lint-infra: ## cfn-lint and checkov over every template of infra (fetches 100 MB)
	@if $(MAKE) --no-print-directory .bin/linters/bin/checkov; then \
		CFN_LINT=$(CURDIR)/.bin/linters/bin/cfn-lint CHECKOV=$(CURDIR)/.bin/linters/bin/checkov $(GO) test ./infra -run Linters -count=1 -v; \
	else \
		echo; echo "!!! INFRA NOT LINTED: cfn-lint and checkov could not be fetched from PyPI. !!!"; echo; \
	fi

.bin/linters/bin/checkov: infra/testdata/linters.txt
	python3 -m venv --clear .bin/linters
	.bin/linters/bin/pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

## Deploy

.PHONY: functions
functions: $(FUNCTIONS:%=.build/$(ARCH)/%/bootstrap) ## build every Lambda for linux (ARCH=arm64)

.PHONY: $(FUNCTIONS:%=.build/$(ARCH)/%/bootstrap)
$(FUNCTIONS:%=.build/$(ARCH)/%/bootstrap): .build/$(ARCH)/%/bootstrap:
	CGO_ENABLED=0 GOOS=linux GOARCH=$(ARCH) $(GO) build -trimpath -buildvcs=false -tags lambda.norpc,grpcnotrace -ldflags "-s -w" -o $@ ./functions/$*

.PHONY: synth
synth: export JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION = 20
synth: functions ## synthesize the CloudFormation of every environment into cdk.out
	$(GO) run ./infra

.PHONY: clean
clean: ## remove what was built
	rm -rf bin .build .bin cdk.out $(WEB)/node_modules $(WEB)/dist $(BOARD)/node_modules
