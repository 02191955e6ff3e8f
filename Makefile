# The commands of this project; `make` lists them.

export PATH := $(PATH):$(HOME)/.cargo/bin

# What `make test` runs: narrow it with, say, TESTS="-p loms orders".
TESTS ?= --workspace

.DEFAULT_GOAL := help
.PHONY: help setup run servers demo test build lint bench schemathesis ci

help: ## Lists these commands.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## Installs what is missing: servers and compilers by apt, Kafka by Maven.
	@dev/scripts/setup.sh

run: setup ## Starts the whole shop, shows one purchase, stays until Ctrl-C.
	@cargo build --release --workspace --bins
	@cargo run --quiet --release --bin stack -- run

servers: setup ## Starts the servers alone, for services that you start yourself.
	@cargo run --quiet --release --bin stack -- servers

demo: setup ## The same, but ends after the purchase: with 0 when all went well.
	@cargo build --release --workspace --bins
	@cargo run --quiet --release --bin stack -- demo

test: ## Runs all tests on servers of their own, beside a running shop if need be.
	@dev/scripts/setup.sh test
	@cargo build --workspace --bins
	@cargo test $(TESTS) --no-run
	@cargo run --quiet --bin stack -- test -- cargo test $(TESTS)

build: setup ## Builds everything for release.
	cargo build --release --workspace --bins

lint: ## Checks formatting, and lets no warning pass.
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings

bench: ## Measures orders and carts beside what the database alone can do.
	@dev/scripts/setup.sh bench
	@cargo build --release --workspace --bins
	@cargo run --quiet --release --bin stack -- test -- dev/scripts/bench.sh

schemathesis: ## Checks 20,000 invented requests and their answers against the OpenAPI documents.
	@dev/scripts/setup.sh schemathesis
	@cargo build --release --workspace --bins
	@cargo run --quiet --release --bin stack -- test -- dev/scripts/schemathesis.sh

ci: setup lint test ## What must pass before a change lands.
