# The commands of this project; `make` lists them.

export PATH := $(PATH):$(HOME)/.cargo/bin

COMPOSE := docker compose --file docker/compose.yaml
# The revision in `build_info`. It is not set for tests, so that they need no rebuild for each commit.
run demo build run-full-infra run-all: export GIT_REVISION ?= $(shell git rev-parse --short HEAD 2>/dev/null)

# What `make test` runs. To run less, for example: make test TESTS="-p loms orders".
TESTS ?= --workspace
# Building all tests also builds all binaries, with the same features, so one build serves both.
DEBUG := $(or $(CARGO_TARGET_DIR),target)/debug
RELEASE := $(or $(CARGO_TARGET_DIR),target)/release

.DEFAULT_GOAL := help
.PHONY: help setup run demo servers clean-data test crash-test faults build lint bench overload schemathesis \
	audit sbom fuzz compose run-all run-full-infra stop-all logs docker-check pictures ci

help: ## Lists the commands.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## Installs what is missing: servers and compilers with apt, Kafka with Maven.
	@dev/scripts/setup.sh

run: setup ## Starts the whole shop, shows one purchase, and runs until Ctrl-C.
	@cargo build --release --workspace --bins
	@cargo run --quiet --release --bin stack -- run

demo: setup ## Like run, but exits after the purchase: with 0 if everything worked.
	@cargo build --release --workspace --bins
	@cargo run --quiet --release --bin stack -- demo

servers: setup ## Starts only the servers. You start the services yourself.
	@cargo run --quiet --release --bin stack -- servers

clean-data: ## Deletes the data and logs of `make run`. Downloads are kept.
	@cargo run --quiet --release --bin stack -- clean-data

test: ## Runs all tests on private servers. A running shop may stay up.
	@dev/scripts/setup.sh test
	@cargo test --workspace --no-run
	@$(DEBUG)/stack test -- cargo test $(TESTS)

crash-test: ## Kills loms, cart and notifiers hundreds of times, at every crash point, under load.
	@dev/scripts/setup.sh test
	@cargo test --workspace --no-run
	@CRASH_ROUNDS=$(or $(CRASH_ROUNDS),5) $(DEBUG)/stack test -- \
		cargo test -q --workspace --test orders --test cart --test notifier -- crashes::a_kill --nocapture

faults: ## Measures the recovery time of each fault, and writes it to docs/operations.md.
	@dev/scripts/setup.sh test
	@cargo test --workspace --no-run
	@$(DEBUG)/stack test --on-disk -- dev/scripts/faults.sh

build: setup ## Builds release binaries.
	cargo build --release --workspace --bins

lint: ## Checks formatting, and that code and docs compile without warnings.
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked --quiet
	@# These crates contain more code in debug builds. This checks them as a release build sees them.
	cargo clippy --workspace --bins --locked $(foreach crate,shared-actors kafka-actors service-kit cart loms notifier,\
		--config profile.dev.package.$(crate).debug-assertions=false) -- -D warnings

bench: ## Measures each workload beside its limit. For less: make bench ONLY=orders ROUNDS=1 SECONDS_EACH=5
	@dev/scripts/setup.sh bench
	@cargo build --release --workspace --bins
	@ONLY=$(ONLY) $(RELEASE)/stack test --on-disk -- $(RELEASE)/bench

overload: ## Measures loms and cart while clients send ten times more than they can hold.
	@dev/scripts/setup.sh bench
	@cargo build --release --workspace --bins
	@$(RELEASE)/stack test --on-disk -- dev/scripts/overload.sh
	@$(RELEASE)/stack test --on-disk -- dev/scripts/overload-carts.sh

schemathesis: ## Sends 20,000 generated requests and checks the answers against the OpenAPI documents.
	@dev/scripts/setup.sh schemathesis
	@cargo build --release --workspace --bins
	@cargo run --quiet --release --bin stack -- test -- dev/scripts/schemathesis.sh

fuzz: setup ## Feeds random input to each parser for SECONDS_EACH seconds (default 60).
	@dev/scripts/fuzz.sh

audit: ## Checks the dependencies: licences, known vulnerabilities, duplicate and banned crates, sources.
	@dev/scripts/setup.sh audit
	@cargo deny check $(CHECKS)

sbom: ## Writes a bill of materials of each service (CycloneDX) to target/sbom.
	@dev/scripts/setup.sh sbom
	@dev/scripts/sbom.sh

compose:
	@$(COMPOSE) version >/dev/null 2>&1 || { echo "Docker Compose v2 is missing: \`docker compose version\` fails." \
		"Install it, or run the shop without containers: make run" >&2; exit 1; }

run-all: compose ## Starts everything in containers, with three notifiers.
	@$(COMPOSE) --profile shop up --build --detach --wait

run-full-infra: compose ## Starts only the servers in containers, and migrates the databases.
	@$(COMPOSE) --profile shop build
	@$(COMPOSE) up --detach --wait
	@for service in cart loms notifier; do $(COMPOSE) run --rm --no-deps migrate-$$service || exit 1; done

stop-all: compose ## Stops the containers and keeps their data.
	@$(COMPOSE) --profile shop down

logs: compose ## Follows the logs of the containers.
	@$(COMPOSE) --profile shop logs --follow --tail 100

docker-check: ## Checks the compose files, the images, and each binary in its image.
	@dev/docker-check/docker-check.sh

pictures: ## Renews the screenshots in the docs.
	@dev/scripts/setup.sh test
	@cargo test --workspace --no-run
	@PICTURES=$(CURDIR)/docs/images PICTURE_AFTER=150 $(DEBUG)/stack test -- \
		cargo test --workspace --test system -- --test-threads 1 browser:: prometheus::page

ci: ## Runs all checks that a change must pass.
	@.ci/run
