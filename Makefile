# The one front door: the same targets serve people and CI. `make` alone explains them.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help bootstrap demo build test unit debug-test e2e check format bench bench-test fuzz clean

# One configuration for everything, so that the dependencies are compiled once: the binaries that people run, that the
# unit tests exercise and that the end-to-end tests and benchmarks drive are the same release code. (Package.swift links the
# programs with -static-stdlib; `swift build --static-swift-stdlib` would compile everything a second time for the tests.)
SWIFT ?= swift
SWIFT_FLAGS ?= -c release
export APUS_BIN_DIR ?= $(CURDIR)/.build/release

help: ## this list
	@echo "Apus, a service mesh in Swift. Usage: make TARGET"
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## /{ printf "  \033[1m%-10s\033[0m %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: build ## a small shop in the mesh with load, a 90/10 canary and a live table (DEMO_FLAGS="--once" for scripts)
	@"$(APUS_BIN_DIR)/apus" demo $(DEMO_FLAGS)

# CI builds everything first and then says so (APUS_BUILT): asking again takes the package manager a quarter of a minute each time.
build: ## the programs, in .build/release
ifndef APUS_BUILT
	@dev/bootstrap build
	@$(SWIFT) build $(SWIFT_FLAGS) $(BUILD_FLAGS)
endif

test: unit debug-test bench-test e2e ## unit tests, the data plane's again with every run-time check, the benchmark's, then end-to-end tests

unit: build ## unit tests only (UNIT_FLAGS="--filter HTTP1" for some)
	@dev/swift-test $(SWIFT) test $(SWIFT_FLAGS) --disable-testable-imports --disable-xctest $(UNIT_FLAGS)

debug-test: ## the data plane's unit tests in a debug build: assertions, exclusivity checks
	@dev/bootstrap build
	@dev/swift-test $(SWIFT) test --package-path dev/dataplane --scratch-path .build-debug --disable-xctest $(UNIT_FLAGS)

e2e: build ## end-to-end tests with real programs (E2E_FLAGS="-k websocket" for some)
	@dev/bootstrap test
	@.venv/bin/python $(if $(strip $(E2E_FLAGS)),-m pytest Tests/e2e $(E2E_FLAGS),dev/e2e)

# Package.swift turns warnings in our own targets into errors when it sees this. Not for everyone's build: a newer compiler
# may warn of what today's does not.
check: export APUS_STRICT := 1
check: build ## format, warnings, import direction, names of tests in docs, tidy
	@dev/check

format: ## rewrite our Swift files as swift-format wants them
	@dev/format

bench: build ## Apus beside nginx, HAProxy, Envoy and Traefik in twelve workloads (BENCH_FLAGS="--quick --workloads a,b" for a look)
	@dev/bootstrap bench
	@.venv/bin/python bench/run $(BENCH_FLAGS)

bench-test: ## the benchmark's own tests: its arithmetic, what it counts as a failure, its report
	@dev/bootstrap test
	@$(MAKE) --silent -C bench/loadgen test
	@.venv/bin/python -m pytest -q -p no:cacheprovider bench/tests

fuzz: ## every parser's fuzz target, FUZZ_SECONDS (60) each (FUZZ_TARGETS="HTTP1Request" for some)
	@dev/bootstrap build
	@dev/fuzz $(FUZZ_TARGETS)

clean: ## remove everything that was built (keeps .venv)
	@rm -rf .build .build-* bench/results/work
