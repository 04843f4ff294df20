# The two commands of a newcomer are `make run` and `make test`; `make help` lists the rest.
# As root, or as a user with sudo: only what needs root asks for it.

SHELL := /bin/bash
SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)
# Under sudo the path has lost the toolchain of the user who typed it.
USER_HOME := $(shell getent passwd "$${SUDO_USER:-$$(id -un)}" | cut -d: -f6)
CARGO := $(shell command -v cargo || echo env RUSTUP_HOME=$(USER_HOME)/.rustup \
	CARGO_HOME=$(USER_HOME)/.cargo PATH=$(USER_HOME)/.cargo/bin:$$PATH cargo)
PORTOLAN := target/release/portolan
# Live tests make network namespaces: their binaries run as root.
AS_ROOT := $(if $(SUDO),CARGO_TARGET_$(shell uname -m | tr a-z A-Z)_UNKNOWN_LINUX_GNU_RUNNER=$(SUDO))

.PHONY: help run build test check lint unit doc captures robust quickstart bench fuzz fuzz-dissectors setup clean \
	cross size ipk apk packages test-arm

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

run: ## install what is missing, build, and watch this machine's interfaces
	@tests/setup.sh run
	@$(MAKE) --no-print-directory build
	@SUDO="$(SUDO)" tests/run.sh $(PORTOLAN) $(ARGS)

build: ## build the release binary
	$(CARGO) build --release --locked

test: ## install what the tests need and run them all
	@tests/setup.sh test
	$(AS_ROOT) $(CARGO) test --locked
	@$(MAKE) --no-print-directory build
	tests/captures.py $(PORTOLAN)
	tests/judge.sh $(PORTOLAN) --min-flows 99.5 --min-dpi 95 --min-pairs 92 --min-host 97 --worst 15
	tests/fingerprints.py $(PORTOLAN)
	tests/rules.py
	tests/vendors.py
	$(SUDO) tests/nat.py $(PORTOLAN)
	$(MAKE) --no-print-directory packages
	$(SUDO) tests/skydive_client.py $(PORTOLAN)
	$(SUDO) tests/packets.py $(PORTOLAN)
	$(SUDO) tests/devices.py $(PORTOLAN)
	$(SUDO) tests/telemetry.py $(PORTOLAN)
	$(SUDO) tests/robust.py $(PORTOLAN)
	$(SUDO) tests/quickstart.sh

check: lint unit doc ## what every commit must pass: format, lints, unit tests, docs

lint:
	$(CARGO) fmt --check
	$(CARGO) clippy --locked --all-targets -- -D warnings

unit:
	$(CARGO) test --locked --lib --bins --test layers --test flow_alloc --test unix_api --test groups_on_flash --test rules_on_flash --test gremlin --test http_api --test http_socket --test query_api --test capture_alloc --test packets_alloc --test packet_selection

doc:
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --no-deps --document-private-items

captures: build ## read every capture there is, whole and damaged
	tests/captures.py $(PORTOLAN)

robust: build ## kill it amid a save, flood it, crowd it
	$(SUDO) tests/robust.py $(PORTOLAN) --long

quickstart: ## the sessions of the README, as printed
	$(SUDO) tests/quickstart.sh

bench: ## speed, memory and size beside peers, as ratios
	@tests/setup.sh bench
	@$(MAKE) --no-print-directory build
	$(SUDO) tests/bench/run.py
	$(SUDO) tests/bench/map.py $(PORTOLAN)
	$(SUDO) tests/bench/topology.py --program $(PORTOLAN)
	$(SUDO) tests/bench/packets.py $(PORTOLAN)
	$(CARGO) run --release --locked --example gremlin

fuzz: ## thirty seconds of each fuzz target (needs a nightly toolchain and cargo-fuzz)
	for t in $$($(CARGO) fuzz list --fuzz-dir tests/fuzz); do $(CARGO) +nightly fuzz run --fuzz-dir tests/fuzz $$t tests/fuzz/corpus/$$t tests/fuzz/seeds/$$t -- -max_total_time=30 || exit 1; done

fuzz-dissectors: ## ten seconds of each dissector alone: over an hour
	tests/fuzz/dissectors.sh

setup: ## install what building, tests and benchmarks need
	@tests/setup.sh bench

cross: ## static binaries for routers: all of cross/targets, or TARGET=armv7
	@cross/setup.sh build run
	cross/build.sh --both $(or $(TARGET),all)
	@$(MAKE) --no-print-directory build
	cross/check.py $(filter-out all,$(TARGET))

size: ## what those binaries take beside what they may, and what takes the room
	cross/size.py $(filter-out all,$(TARGET))

ipk: ## packages for OpenWrt up to 24.10, of what `make cross` built
	openwrt/pack/pack.py ipk $(addprefix --target ,$(filter-out all,$(TARGET)))

apk: ## packages for OpenWrt from 25.12 on
	openwrt/pack/pack.py apk $(addprefix --target ,$(filter-out all,$(TARGET)))

packages: ## take the packages apart, and try the service in a stand-in of a router
	tests/packages.py
	$(SUDO) tests/openwrt/service.py $(PORTOLAN)

test-arm: ## try the agent on ARM kernels under emulation: minutes
	@cross/setup.sh build arm
	cross/arm/test.sh $(ARGS)

clean: ## remove what was built
	$(CARGO) clean
