# The commands of this project; `make` lists them.

export PATH := $(PATH):$(HOME)/.cargo/bin

COMPOSE := docker compose --file docker/compose.yaml
# What `build_info` says of what is run, not of what is tested: tests need no rebuild for each commit.
run demo build run-full-infra run-all: export GIT_REVISION ?= $(shell git rev-parse --short HEAD 2>/dev/null)

# What `make test` runs: narrow it with, say, TESTS="-p loms orders".
TESTS ?= --workspace
# Building all tests builds all binaries, with the very features that the tests are built with: one build serves both.
DEBUG := $(or $(CARGO_TARGET_DIR),target)/debug

.DEFAULT_GOAL := help
.PHONY: help setup run servers demo test crash-test faults build lint bench schemathesis ci \
	run-full-infra run-all stop-all logs docker-check pictures

help: ## Lists these commands.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

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
	@cargo test --workspace --no-run
	@$(DEBUG)/stack test -- cargo test $(TESTS)

crash-test: ## Kills loms some 400 times, at every point between two steps, under load.
	@dev/scripts/setup.sh test
	@cargo test --workspace --no-run
	@CRASH_ROUNDS=$(or $(CRASH_ROUNDS),5) $(DEBUG)/stack test -- \
		cargo test -q --workspace --test orders -- crashes::a_kill --nocapture

faults: ## Measures how long after each fault everything works again; writes docs/operations.md.
	@dev/scripts/setup.sh test
	@cargo test --workspace --no-run
	@$(DEBUG)/stack test -- dev/scripts/faults.sh

build: setup ## Builds everything for release.
	cargo build --release --workspace --bins

lint: ## Checks formatting, and lets no warning pass.
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	@# What a release build sees of the crates that have more in a debug build.
	cargo clippy --workspace --bins --locked $(foreach crate,shared-actors loms notifier,\
		--config profile.dev.package.$(crate).debug-assertions=false) -- -D warnings

bench: ## Measures orders and carts beside what the database alone can do, and orders under overload.
	@dev/scripts/setup.sh bench
	@cargo build --release --workspace --bins
	@cargo run --quiet --release --bin stack -- test -- dev/scripts/bench.sh
	@cargo run --quiet --release --bin stack -- test -- dev/scripts/overload.sh

schemathesis: ## Checks 20,000 invented requests and their answers against the OpenAPI documents.
	@dev/scripts/setup.sh schemathesis
	@cargo build --release --workspace --bins
	@cargo run --quiet --release --bin stack -- test -- dev/scripts/schemathesis.sh

run-full-infra: ## Starts what the shop stands on in containers, and migrates the databases.
	@$(COMPOSE) --profile shop build
	@$(COMPOSE) up --detach --wait
	@for service in cart loms notifier; do $(COMPOSE) run --rm --no-deps migrate-$$service || exit 1; done

run-all: ## Starts everything in containers, the notifier three times.
	@$(COMPOSE) --profile shop up --build --detach --wait

stop-all: ## Ends the containers; their data stay.
	@$(COMPOSE) --profile shop down

logs: ## Follows the logs of the containers.
	@$(COMPOSE) --profile shop logs --follow --tail 100

docker-check: ## Checks the compose stack: files, images, and each binary in its image.
	@dev/docker-check/docker-check.sh

pictures: ## Retakes the pictures of the docs: two minutes of load, then the browser.
	@dev/scripts/setup.sh test
	@cargo test --workspace --no-run
	@PICTURES=$(CURDIR)/docs/images PICTURE_AFTER=150 $(DEBUG)/stack test -- \
		cargo test --workspace --test system -- --test-threads 1 browser:: prometheus::page

ci: ## What must pass before a change lands.
	@.ci/run
