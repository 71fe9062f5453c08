# Martlet: every task of the repository is one target. `make` lists them.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# Debian's own Python: the packages that the tests need are installed for this one.
PYTHON ?= /usr/bin/python3

# The optimised build. Whole-module is SwiftPM's default here; exclusivity is proven or checked by
# every debug build; bounds checks always stay (never -Ounchecked).
RELEASE := -c release -Xswiftc -enforce-exclusivity=unchecked \
  -Xswiftc -cross-module-optimization --static-swift-stdlib
MARTLET := .build/release/martlet

SOURCES := $(wildcard Package.swift Sources Tests Snippets Fuzz/Package.swift Fuzz/Sources Benchmarks)
SECONDS ?= 60
CHANGES ?= 10000

.PHONY: help setup run build release check format test soak sanitize fuzz corpus bench conformance instructions \
  docs clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' Makefile

setup: ## check Swift and install the Debian packages that building and testing need
	@scripts/setup run test

run: ## set up, build and start Martlet; CONF=FILE for a configuration of your own
	@scripts/setup run
	@$(MAKE) release
	@$(MARTLET) run $(if $(CONF),--config "$(CONF)")

build: ## build everything for debugging
	swift build

release: ## build the optimised, static binary .build/release/martlet
	swift build $(RELEASE) --product martlet

check: ## format, imports and tidy checks: before each commit
	swift format lint --strict --recursive $(SOURCES)
	swift build --explicit-target-dependency-import-check error
	swift test --filter TidyTests

format: ## rewrite the sources in the project's format
	swift format --in-place --recursive $(SOURCES)

test: ## set up and run every test; ONLY=WORD for the tests whose name has it
	@scripts/setup run test
	@$(PYTHON) scripts/run_tests.py --release-flags="$(RELEASE)" $(if $(ONLY),--only "$(ONLY)")

soak: ## make 10,000 random changes under load and compare with a model; CHANGES=N for others
	@scripts/setup run test
	@$(MAKE) release
	MARTLET_CHANGES=$(CHANGES) swift test --filter ChangeTests

sanitize: ## run the tests under the thread and the address sanitizer; ONLY=WORD for some
	@scripts/setup run test
	@$(PYTHON) scripts/sanitize.py $(if $(ONLY),--only "$(ONLY)")

fuzz: ## fuzz the parsers; TARGET=NAME for one, SECONDS=60 for each
	@$(PYTHON) scripts/fuzz.py --seconds "$(SECONDS)" $(if $(TARGET),--target "$(TARGET)")

corpus: ## replay every corpus through its parser
	@$(PYTHON) scripts/fuzz.py --replay $(if $(TARGET),--target "$(TARGET)")

bench: ## measure against nginx and HAProxy and write docs/performance.md; CLAIM=NAME for one
	@scripts/setup run test bench
	@$(MAKE) release
	@$(PYTHON) Benchmarks/bench.py $(if $(CLAIM),--claim "$(CLAIM)")

conformance: ## ask Martlet, nginx, Varnish and HAProxy what the documents ask of them; docs/conformance.md
	@scripts/setup run test bench
	@$(MAKE) release
	@$(PYTHON) Benchmarks/conformance.py --write docs/conformance.md

instructions: ## count user instructions per request and compare with the threshold in git
	@scripts/setup run test bench
	@$(MAKE) release
	@$(PYTHON) Benchmarks/instructions.py

docs: ## write the manual's reference tables from the directives
	@$(MAKE) release
	@mkdir -p docs/reference
	$(MARTLET) reference > docs/reference/directives.md

clean: ## remove everything that was built
	rm -rf .build .build-thread .build-address Fuzz/.build
