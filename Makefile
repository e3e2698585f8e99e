# Crossbook. `make` alone lists the targets.

CARGO   ?= cargo
PYTHON  ?= python3
NODE    ?= node
NPM     ?= npm
VENV    := .venv
MODULES := tests/clients/node_modules
BINARY  := target/release/crossbook
TOOLS   := target/tools
CARGO_DENY_VERSION := 0.20.2

# What the client suite runs against; `make build clients CROSSBOOK_BINARY=target/release/crossbook` for the release binary.
CROSSBOOK_BINARY ?= target/debug/crossbook

# What the client suite is given; `make clients PYTEST_ARGS="-k ccxt -x"` runs a part of it.
PYTEST_ARGS ?=

# What one of the benchmarks is given besides: make bench-venue BENCH_ARGS="--rate 2000 --html venue.html".
BENCH_ARGS ?=
# What the benchmark of the history is given besides.
BENCH_STORE_ARGS ?=
# And that of the cluster.
BENCH_CLUSTER_ARGS ?=
# What the comparison with other order books is given besides.
PEERS_ARGS ?=

# How many simulated worlds, and what the simulator is given besides; SIMULATE_ARGS="--start 7" for the same ones again.
SEEDS         ?= 2000
SIMULATE_ARGS ?=

# How long each target is fuzzed, and what the fuzzer is given besides: FUZZ_ARGS=--list, FUZZ_ARGS="rest same", FUZZ_ARGS=--keep.
FUZZ_SECONDS ?= 60
FUZZ_ARGS    ?=

# How often the torture kills the venue, and the seed of its moments; empty: a fresh one.
TORTURE_ROUNDS ?= 100
TORTURE_SEED   ?=

# How long the soak takes, how many orders a second, and what it is given besides; DURATION=1h for the hour.
DURATION  ?= 1m
RATE      ?= 5000
SOAK_ARGS ?=

# Replicas of each Redis master of the cluster on this machine, and what `crossbook cluster` is given besides.
REPLICAS     ?= 1
CLUSTER_ARGS ?=

SHELL := bash

.DEFAULT_GOAL := help
.PHONY: help split bench-growth recorded build demo cluster chaos test lint format unit bugs simulate torture page clients bench bench-cluster bench-engine bench-store bench-venue soak deny clean require-rust require-python require-node require-mariadb require-redis require-haproxy fuzz require-cxx require-promtool guard guard-renew require-valgrind peers bench-log bench-structures

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sort | awk -F ':.*## ' '{printf "  make %-11s %s\n", $$1, $$2}'

build: require-rust ## Build the release binary, target/release/crossbook, and its debug information beside it
	$(CARGO) build --release --locked -p crossbook
	@$(MAKE) --no-print-directory split BINARY=$(BINARY)

# Backtraces name files and lines as long as BINARY.debug is beside BINARY, and functions in any case. Cargo's own splitting leaves the tables of
# lines in the binary. Cargo puts the whole binary back whenever it is asked to build it.
split:
	@if command -v objcopy >/dev/null && readelf -SW $(BINARY) 2>/dev/null | grep -q '\.debug_line'; then \
	  objcopy --only-keep-debug --compress-debug-sections=zlib $(BINARY) $(BINARY).debug && \
	  objcopy --strip-debug --add-gnu-debuglink=$(BINARY).debug $(BINARY) $(BINARY).stripped && \
	  mv $(BINARY).stripped $(BINARY); fi

demo: build ## Build, then start a live venue with simulated traders in a fresh folder
	$(BINARY) demo

cluster: build require-redis require-mariadb require-haproxy ## A whole cluster on this machine: Redis, MariaDB, workers, gateways, HAProxy; REPLICAS=2 for more replicas
	$(BINARY) cluster --replicas $(REPLICAS) $(CLUSTER_ARGS)

test: FUZZ_SECONDS = 5
test: lint unit bugs fuzz page guard recorded clients ## Everything: formatting, clippy, unit tests, planted bugs, a little fuzzing, the page, instruction counts of a release build, real clients

lint: require-rust ## Formatting, and clippy with warnings as errors
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings

format: require-rust ## Format the Rust sources
	$(CARGO) fmt --all

unit: require-rust require-mariadb require-redis require-haproxy require-promtool ## Tests of the Rust workspace, with real MariaDB and Redis servers and a cluster behind HAProxy
	$(CARGO) test --workspace --locked --no-fail-fast

simulate: require-rust ## Simulated worlds in which everything fails, SEEDS of them that nobody has seen; a failure prints its seed
	$(CARGO) run --locked -p crossbook-simulator --bin simulate -- --seeds $(SEEDS) $(SIMULATE_ARGS)

# The wrapper compiles only the crates of the workspace anew, and cargo keeps them apart from those without bugs. As the whole workspace, so
# that the libraries below them are those that `unit` has compiled.
bugs: require-rust ## Bugs planted on purpose, each found by the simulator within its budget of worlds; prints a table
	RUSTC_WORKSPACE_WRAPPER=$(CURDIR)/crates/simulator/rustc-with-bugs $(CARGO) test --locked --workspace --test bugs -- --nocapture --test-threads=1

# The wrapper compiles only the crates of the workspace anew, so that they tell the fuzzer where it gets. As the whole workspace, so that
# the libraries below it are those that `unit` has compiled, but for the few of which tests want more features.
fuzz: require-rust require-cxx ## Every decoder of outside bytes under a coverage-guided fuzzer, FUZZ_SECONDS each; prints a table, and of a crash how to see it again
	RUSTC_WORKSPACE_WRAPPER=$(CURDIR)/crates/fuzz/rustc-with-coverage \
	  $(CARGO) build --locked --workspace --features crossbook-fuzz/libfuzzer --bin fuzz
	target/debug/fuzz --seconds $(FUZZ_SECONDS) $(FUZZ_ARGS)

# One after the other, so that the times mean something.
chaos: require-rust require-mariadb require-redis require-haproxy ## Every part of a cluster killed and paused under load, in minutes; prints a table
	$(CARGO) test --release --locked -p crossbook --test cluster -- --ignored --nocapture --test-threads=1

# The same seed draws the same moments: make torture TORTURE_SEED=7
torture: require-rust ## The real binary killed under full load TORTURE_ROUNDS times, its disk filled, its files limited; prints its seed
	CROSSBOOK_TORTURE_ROUNDS=$(TORTURE_ROUNDS) CROSSBOOK_TORTURE_SEED=$(TORTURE_SEED) \
	  $(CARGO) test --release --locked -p crossbook --test torture -- --nocapture --test-threads=1

page: require-node ## Tests of the page's own JavaScript
	$(NODE) --test web/*.test.js

guard: require-rust require-valgrind ## Instructions and allocations of fixed workloads, within a tenth of what is written down
	$(CARGO) run --release --locked -p crossbook-guard -- check

guard-renew: require-rust require-valgrind ## Writes down what they are now, where a change is meant to cost what it costs
	$(CARGO) run --release --locked -p crossbook-guard -- renew

recorded: require-rust ## Logs that were recorded once, replayed by a release build: each state must be what it was
	$(CARGO) run --release --locked -p crossbook-guard --bin recorded

# The binary that `unit` has compiled: with one of its tests, as tests ask some libraries for more features.
clients: require-rust $(VENV)/.installed $(MODULES)/.installed ## Real, unmodified exchange clients against the binary
	$(CARGO) build --locked --workspace --bin crossbook --test documents
	CROSSBOOK_BINARY=$(abspath $(CROSSBOOK_BINARY)) $(VENV)/bin/python -m pytest tests/clients $(PYTEST_ARGS)

bench: bench-engine bench-growth bench-structures bench-log bench-venue bench-store ## Benchmarks: book and engine, growth, structures, the log, a venue over its API, the history in SQL

bench-engine: build
	$(BINARY) bench book $(BENCH_ARGS)
	$(BINARY) bench engine $(BENCH_ARGS)

bench-growth: build
	$(BINARY) bench growth $(BENCH_ARGS)

bench-structures: build
	$(BINARY) bench structures $(BENCH_ARGS)

bench-log: build require-redis
	$(BINARY) bench log $(BENCH_ARGS)

# A scratch venue without limits, in a folder that is deleted at the end.
bench-venue: build
	$(BINARY) bench api $(BENCH_ARGS)

# A workspace of its own; the dependencies that it shares with the venue are built once. PEERS_ARGS="--json peers.json --only lobster".
peers: require-rust ## The book and the engine beside the order books on crates.io, on the same workload; prints a table
	$(CARGO) run --release --locked --manifest-path bench/peers/Cargo.toml --target-dir target -- $(PEERS_ARGS)

# Needs MariaDB; BENCH_STORE_ARGS="--database sqlite" does without.
bench-store: build
	$(BINARY) bench store $(BENCH_STORE_ARGS)
	$(BINARY) bench store --follow $(BENCH_STORE_ARGS)

# BENCH_CLUSTER_ARGS="--shards 1 --partitions 8 --workers 1,2,4,8 --no-standby --rates 1000" for the cost by number of workers.
bench-cluster: build require-redis require-haproxy ## Orders through clusters on this machine: how many, how fast, what each costs by role
	$(BINARY) bench cluster $(BENCH_CLUSTER_ARGS)

soak: build ## A venue under RATE orders a second for DURATION (1m, or 1h), then held to everything it acknowledged; prints a table
	$(BINARY) soak --rate $(RATE) --duration $(DURATION) $(SOAK_ARGS)

deny: require-rust $(TOOLS)/bin/cargo-deny ## Licences, bans and sources of the dependencies (advisories need network access)
	$(TOOLS)/bin/cargo-deny --all-features check licenses bans sources

clean: ## Remove what was built and installed here
	$(CARGO) clean
	rm -rf $(VENV) $(MODULES)

$(TOOLS)/bin/cargo-deny:
	$(CARGO) install cargo-deny --version $(CARGO_DENY_VERSION) --locked --root $(TOOLS)

# The stamp is newer than the requirements, or the environment is made anew.
$(VENV)/.installed: tests/clients/requirements.txt | require-python
	rm -rf $(VENV)
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -r tests/clients/requirements.txt
	touch $@

# npm makes the folder anew from the lock file, whose checksums it verifies.
$(MODULES)/.installed: tests/clients/package.json tests/clients/package-lock.json | require-node
	$(NPM) ci --prefix tests/clients --silent --no-audit --no-fund --ignore-scripts
	touch $@

require-rust:
	@command -v $(CARGO) >/dev/null || { echo 'cargo is missing: install Rust from https://rustup.rs' >&2; exit 1; }
	@command -v cc >/dev/null || { echo 'a C compiler is missing (cc): install your system'"'"'s build tools, on Debian: apt-get install build-essential' >&2; exit 1; }

# LLVM's fuzzer is C++. Whoever has the build tools that Rust needs mostly has this compiler too.
require-cxx:
	@command -v c++ >/dev/null || test -n "$$CXX" || { \
	  SUDO=; test "$$(id -u)" = 0 || SUDO=sudo; \
	  echo 'installing a C++ compiler for the fuzzer'; \
	  if command -v apt-get >/dev/null; then $$SUDO apt-get update -qq && $$SUDO apt-get install -y -qq --no-install-recommends g++; \
	  elif command -v dnf >/dev/null; then $$SUDO dnf install -y -q gcc-c++; \
	  elif command -v pacman >/dev/null; then $$SUDO pacman -S --noconfirm --needed gcc; \
	  elif command -v apk >/dev/null; then $$SUDO apk add --quiet g++; \
	  else echo 'a C++ compiler is missing (c++) and no known package manager is here: install one' >&2; exit 1; fi; }

# Installs Python where the system's package manager is at hand and lets us; says what is missing otherwise.
require-python:
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { \
	  SUDO=; test "$$(id -u)" = 0 || SUDO=sudo; \
	  echo 'installing Python 3 for the client suite'; \
	  if command -v apt-get >/dev/null; then $$SUDO apt-get update -qq && $$SUDO apt-get install -y -qq python3 python3-venv; \
	  elif command -v dnf >/dev/null; then $$SUDO dnf install -y -q python3 python3-pip; \
	  elif command -v pacman >/dev/null; then $$SUDO pacman -S --noconfirm --needed python; \
	  elif command -v apk >/dev/null; then $$SUDO apk add --quiet python3; \
	  elif command -v brew >/dev/null; then brew install --quiet python3; \
	  else echo 'python3 with venv is missing and no known package manager is here: install Python 3.10 or newer' >&2; exit 1; fi; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { echo 'the client suite needs Python 3.10 or newer; set PYTHON=...' >&2; exit 1; }

# The same for MariaDB, of which the tests start servers of their own; no system-wide one is started or touched.
require-mariadb:
	@PATH="$$PATH:/usr/sbin:/usr/libexec"; command -v mariadbd >/dev/null && command -v mariadb-install-db >/dev/null || { \
	  SUDO=; test "$$(id -u)" = 0 || SUDO=sudo; \
	  echo 'installing MariaDB for the tests of the history'; \
	  if command -v apt-get >/dev/null; then $$SUDO apt-get update -qq && $$SUDO env RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends mariadb-server; \
	  elif command -v dnf >/dev/null; then $$SUDO dnf install -y -q mariadb-server; \
	  elif command -v pacman >/dev/null; then $$SUDO pacman -S --noconfirm --needed mariadb; \
	  elif command -v apk >/dev/null; then $$SUDO apk add --quiet mariadb mariadb-client; \
	  elif command -v brew >/dev/null; then brew install --quiet mariadb; \
	  else echo 'mariadbd is missing and no known package manager is here: install MariaDB 10.6 or newer' >&2; exit 1; fi; }

# The same for Redis.
require-redis:
	@command -v redis-server >/dev/null || command -v valkey-server >/dev/null || { \
	  SUDO=; test "$$(id -u)" = 0 || SUDO=sudo; \
	  echo 'installing Redis for the tests of the log in streams'; \
	  if command -v apt-get >/dev/null; then $$SUDO apt-get update -qq && $$SUDO env RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends redis-server; \
	  elif command -v dnf >/dev/null; then $$SUDO dnf install -y -q redis || $$SUDO dnf install -y -q valkey; \
	  elif command -v pacman >/dev/null; then $$SUDO pacman -S --noconfirm --needed valkey; \
	  elif command -v apk >/dev/null; then $$SUDO apk add --quiet redis; \
	  elif command -v brew >/dev/null; then brew install --quiet redis; \
	  else echo 'redis-server is missing and no known package manager is here: install Redis 7 or Valkey' >&2; exit 1; fi; }

# The same for HAProxy, which stands before the gateways of a cluster. Its service stays masked until the next boot, so that none is started.
require-haproxy:
	@PATH="$$PATH:/usr/sbin:/usr/local/sbin"; command -v haproxy >/dev/null || { \
	  SUDO=; test "$$(id -u)" = 0 || SUDO=sudo; \
	  echo 'installing HAProxy for clusters on this machine'; \
	  if command -v apt-get >/dev/null; then \
	    test ! -d /run/systemd/system || $$SUDO systemctl mask --runtime --quiet haproxy || true; \
	    $$SUDO apt-get update -qq && $$SUDO env RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends haproxy; \
	  elif command -v dnf >/dev/null; then $$SUDO dnf install -y -q haproxy; \
	  elif command -v pacman >/dev/null; then $$SUDO pacman -S --noconfirm --needed haproxy; \
	  elif command -v apk >/dev/null; then $$SUDO apk add --quiet haproxy; \
	  elif command -v brew >/dev/null; then brew install --quiet haproxy; \
	  else echo 'haproxy is missing and no known package manager is here: install HAProxy 2.6 or newer' >&2; exit 1; fi; }

# The same for promtool, with which Prometheus checks metrics and rules. No Prometheus server is started.
require-promtool:
	@command -v promtool >/dev/null || { \
	  SUDO=; test "$$(id -u)" = 0 || SUDO=sudo; \
	  echo 'installing Prometheus for its promtool'; \
	  if command -v apt-get >/dev/null; then \
	    test ! -d /run/systemd/system || $$SUDO systemctl mask --runtime --quiet prometheus || true; \
	    $$SUDO apt-get update -qq && $$SUDO env RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends prometheus; \
	  elif command -v dnf >/dev/null; then $$SUDO dnf install -y -q golang-github-prometheus; \
	  elif command -v pacman >/dev/null; then $$SUDO pacman -S --noconfirm --needed prometheus; \
	  elif command -v apk >/dev/null; then $$SUDO apk add --quiet prometheus; \
	  elif command -v brew >/dev/null; then brew install --quiet prometheus; \
	  else echo 'promtool is missing and no known package manager is here: install Prometheus 2.42 or newer' >&2; exit 1; fi; }

# The same for Valgrind, which counts instructions; on Linux, since there is none for the processors of Macs.
require-valgrind:
	@command -v valgrind >/dev/null || test "$$(uname -s)" != Linux || { \
	  SUDO=; test "$$(id -u)" = 0 || SUDO=sudo; \
	  echo 'installing Valgrind for the count of instructions'; \
	  if command -v apt-get >/dev/null; then $$SUDO apt-get update -qq && $$SUDO env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends valgrind; \
	  elif command -v dnf >/dev/null; then $$SUDO dnf install -y -q valgrind; \
	  elif command -v pacman >/dev/null; then $$SUDO pacman -S --noconfirm --needed valgrind; \
	  elif command -v apk >/dev/null; then $$SUDO apk add --quiet valgrind; \
	  else echo 'valgrind is missing and no known package manager has it: install Valgrind 3.19 or newer' >&2; exit 1; fi; }

# The same for Node.js and npm.
require-node:
	@{ command -v $(NODE) && command -v $(NPM); } >/dev/null || { \
	  SUDO=; test "$$(id -u)" = 0 || SUDO=sudo; \
	  echo 'installing Node.js for the tests of the page and of JavaScript clients'; \
	  if command -v apt-get >/dev/null; then $$SUDO apt-get update -qq && $$SUDO apt-get install -y -qq --no-install-recommends nodejs npm; \
	  elif command -v dnf >/dev/null; then $$SUDO dnf install -y -q nodejs npm; \
	  elif command -v pacman >/dev/null; then $$SUDO pacman -S --noconfirm --needed nodejs npm; \
	  elif command -v apk >/dev/null; then $$SUDO apk add --quiet nodejs npm; \
	  elif command -v brew >/dev/null; then brew install --quiet node; \
	  else echo 'node with npm is missing and no known package manager is here: install Node.js 20 or newer' >&2; exit 1; fi; }
	@$(NODE) -e 'process.exit(parseInt(process.versions.node) < 20 ? 1 : 0)' || { echo 'the tests need Node.js 20 or newer; set NODE=... and NPM=...' >&2; exit 1; }
