# Crossbook. `make` alone lists the targets.

CARGO   ?= cargo
PYTHON  ?= python3
NODE    ?= node
NPM     ?= npm
export CARGO PYTHON NODE NPM
VENV    := .venv
MODULES := tests/clients/node_modules
PAGE    := terminal/node_modules
CONSOLE := console/node_modules
DEPLOY_VENV := .venv-deploy
AWS_VENV    := .venv-aws
AWS_MODULES := deploy/aws/node_modules
BINARY  := target/release/crossbook
TOOLS   := target/tools
SITE    := target/site
IMAGE   := target/image
KUBE    := target/kube
CARGO_DENY_VERSION := 0.20.2
MDBOOK_VERSION     := 0.5.4

# The binary that the client suite starts. For a release binary:
# make build clients CROSSBOOK_BINARY=target/release/crossbook
CROSSBOOK_BINARY ?= target/debug/crossbook

# Arguments of the client suite; make clients PYTEST_ARGS="-k ccxt -x" runs a part of it.
# CCXT_STATIC=DIR also replays ccxt's corpus of requests and responses: DIR is ts/src/test/static of its repository.
PYTEST_ARGS ?=

# Arguments of the benchmarks: make bench-venue BENCH_ARGS="--rate 2000 --report venue.html"
BENCH_ARGS ?=
BENCH_STORE_ARGS ?=
BENCH_CLUSTER_ARGS ?=
PEERS_ARGS ?=

# Arguments of the checks of deploy/: make deploy-lint DEPLOY_ARGS="-k alerts"
DEPLOY_ARGS ?=
# Arguments of the checks of deploy/aws: make aws-lint AWS_ARGS="-k moto"
AWS_ARGS ?=
# Arguments of the observed cluster: make observe OBSERVE_ARGS="--only Redis"
OBSERVE_ARGS ?=

# Number of simulated worlds, and arguments of the simulator; SIMULATE_ARGS="--start 7" repeats the same worlds.
SEEDS         ?= 2000
SIMULATE_ARGS ?=

# Fuzzing time for each target, and arguments of the fuzzer: FUZZ_ARGS=--list, FUZZ_ARGS="rest same", FUZZ_ARGS=--keep.
FUZZ_SECONDS ?= 60
FUZZ_ARGS    ?=

# Number of kills in the torture test, and the seed that times them; an empty seed stands for a fresh one.
TORTURE_ROUNDS ?= 100
TORTURE_SEED   ?=

# Duration and orders per second of the soak test, and its arguments; DURATION=1h for the full hour.
DURATION  ?= 1m
RATE      ?= 5000
SOAK_ARGS ?=

# Replicas of each Redis master of the local cluster, and arguments of `crossbook cluster`.
REPLICAS     ?= 1
CLUSTER_ARGS ?=

# Clippy in the place of the compiler, for the crates of the workspace: what it compiles is run, and its warnings are
# errors. A check before would read every crate, third-party ones included, a second time.
LINTED := CLIPPY_ARGS=-Dwarnings__CLIPPY_HACKERY__ RUSTC_WORKSPACE_WRAPPER=clippy-driver

# All tests but those in documentation, of which there are none (`.ci/check.py comments`): to look for them, rustdoc
# reads each crate once more.
TESTED := --lib --bins --tests

# Simulated worlds in `check`; `unit` has 400.
CHECK_WORLDS := 40

# The crates that `check` tests.
CORE := types book ledger protocol engine views projection oracle log node gateway simulator architecture

# The profile of what `guard` and `recorded` run: the release build without optimization across crates, which takes
# minutes. Counts differ between profiles, so renew them when this changes.
GUARD_PROFILE ?= guard

SHELL := bash

.DEFAULT_GOAL := help
.PHONY: help build split demo cluster test check lint texts format unit simulate bugs fuzz chaos torture page \
  page-build guard guard-renew recorded clients deploy-lint observe manifests image kube release bench bench-engine \
  bench-growth bench-structures bench-log bench-venue bench-store bench-cluster measure plan-check peers soak \
  aws-lint object-store other-servers deny docs clean require-all

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sort | awk -F ':.*## ' '{printf "  make %-13s %s\n", $$1, $$2}'

build: require-rust ## Build the release binary target/release/crossbook, with its debug information in a file beside it
	$(CARGO) build --release --locked -p crossbook
	@$(MAKE) --no-print-directory split BINARY=$(BINARY)

# Moves the debug information into BINARY.debug. Backtraces name functions without that file, and source lines with it.
# Cargo's own splitting leaves the line tables in the binary. Cargo restores the whole binary with every build.
split:
	@if command -v objcopy >/dev/null && readelf -SW $(BINARY) 2>/dev/null | grep -q '\.debug_line'; then \
	  objcopy --only-keep-debug --compress-debug-sections=zlib $(BINARY) $(BINARY).debug && \
	  objcopy --strip-debug --add-gnu-debuglink=$(BINARY).debug $(BINARY) $(BINARY).stripped && \
	  mv $(BINARY).stripped $(BINARY); fi

demo: build ## Build, then start a venue with simulated traders in a fresh folder
	$(BINARY) demo

cluster: build require-redis require-mariadb require-haproxy ## Start a whole cluster on this machine; REPLICAS=2 for more Redis replicas
	$(BINARY) cluster --replicas $(REPLICAS) $(CLUSTER_ARGS)

test: FUZZ_SECONDS = 5
test: require-all texts unit bugs fuzz page guard recorded clients deploy-lint ## Run everything that a change must pass before it is merged

# Names all missing programs at once, before any of them is installed.
require-all:
	@.ci/require rust cxx python mariadb redis haproxy promtool amtool valgrind node chromium

# Compiles no third-party crate that the tests of the core do not need, and starts no server.
check: require-rust texts ## Check formatting and texts; run clippy and the tests of core, log, node, gateway, fixed seeds
	$(LINTED) CROSSBOOK_WORLDS=$(CHECK_WORLDS) $(CARGO) test $(TESTED) --locked $(CORE:%=--package crossbook-%)

lint: require-rust texts ## Check formatting, texts, and all Rust sources with clippy, warnings as errors
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings

texts: require-rust require-python ## Check formatting, documents, line width and commit subjects
	$(CARGO) fmt --all --check
	cd .ci && $(PYTHON) -m unittest -q test_check
	$(PYTHON) .ci/check.py

format: require-rust ## Format the Rust sources
	$(CARGO) fmt --all

unit: require-rust require-mariadb require-redis require-haproxy require-promtool ## Run clippy and the tests of the workspace, with real MariaDB, Redis and HAProxy servers
	$(LINTED) $(CARGO) test $(TESTED) --workspace --locked --no-fail-fast

simulate: require-rust ## Run SEEDS simulated worlds with fresh seeds, in which everything fails; print the seed of a failure
	$(CARGO) run --locked -p crossbook-simulator --bin simulate -- --seeds $(SEEDS) $(SIMULATE_ARGS)

# The wrapper compiles only the crates of the workspace again, and cargo keeps them apart from those without bugs. The
# command builds the whole workspace, so that it shares the dependencies that `unit` has compiled.
bugs: require-rust ## Run the simulator on a build with planted bugs; it must find each within its budget of worlds
	RUSTC_WORKSPACE_WRAPPER=$(CURDIR)/crates/simulator/rustc-with-bugs \
	  $(CARGO) test --locked --workspace --test bugs -- --nocapture --test-threads=1

# The wrapper compiles only the crates of the workspace again, with coverage counters. The command builds the whole
# workspace, so that it shares the dependencies that `unit` has compiled, but for the few that tests want with more
# features.
fuzz: require-rust require-cxx ## Fuzz every decoder of outside input for FUZZ_SECONDS; print how to reproduce a crash
	RUSTC_WORKSPACE_WRAPPER=$(CURDIR)/crates/fuzz/rustc-with-coverage \
	  $(CARGO) build --locked --workspace --features crossbook-fuzz/libfuzzer --bin fuzz
	target/debug/fuzz --seconds $(FUZZ_SECONDS) $(FUZZ_ARGS)

# One test at a time, so that the printed times are comparable.
chaos: require-rust require-mariadb require-redis require-haproxy ## Kill and pause every part of a cluster under load; print a table
	$(CARGO) test --release --locked -p crossbook --test program cluster:: -- --ignored --nocapture --test-threads=1

# Valkey and MySQL in place of Redis and MariaDB. MYSQL_SERVER and REDIS_SERVER name other programs than those unpacked.
OTHER_SERVERS := $(TOOLS)/debian
other-servers: require-rust $(if $(and $(MYSQL_SERVER),$(REDIS_SERVER)),,$(OTHER_SERVERS)/bin/mysqld) ## Run the tests of logs and history with Valkey and MySQL servers
	REDIS_SERVER=$${REDIS_SERVER:-$(abspath $(OTHER_SERVERS))/bin/valkey-server} \
	  MYSQL_SERVER=$${MYSQL_SERVER:-$(abspath $(OTHER_SERVERS))/bin/mysqld} $(LINTED) \
	  $(CARGO) test $(TESTED) --locked -p crossbook-servers -p crossbook-redis-store -p crossbook-store

# The same seed kills at the same times: make torture TORTURE_SEED=7
torture: require-rust ## Kill the venue TORTURE_ROUNDS times under full load, fill its disk, limit its files; print the seed
	CROSSBOOK_TORTURE_ROUNDS=$(TORTURE_ROUNDS) CROSSBOOK_TORTURE_SEED=$(TORTURE_SEED) \
	  $(CARGO) test --release --locked -p crossbook --test program torture:: -- --nocapture --test-threads=1

page-build: require-node $(PAGE)/.installed $(CONSOLE)/.installed ## Build the web pages into terminal/dist and console/dist, which the binary carries
	$(NPM) run --silent --prefix terminal build
	$(NPM) run --silent --prefix console build

# The built files are in the repository, so that Rust alone builds the binary; here they are built once more, and must
# be the same. A test that fails leaves a picture and a trace in target/page, where the pictures of the others are too.
page: require-rust require-node require-chromium $(PAGE)/.installed $(CONSOLE)/.installed ## Check the web pages, and test them in a real browser against the binary
	for page in terminal console; do \
	  $(NPM) run --silent --prefix $$page check && $(NPM) run --silent --prefix $$page test && \
	  $(NPM) run --silent --prefix $$page build -- --outDir $(CURDIR)/target/$$page || exit 1; \
	  diff -rq $$page/dist target/$$page || \
	    { echo "$$page/dist is not what is built from $$page/src: run make page-build"; exit 1; }; \
	done
	$(LINTED) $(CARGO) build --locked --workspace --bin crossbook --test program
	CROSSBOOK_BINARY=$(abspath $(CROSSBOOK_BINARY)) \
	  $(NODE) --test --test-concurrency=2 --test-reporter=spec \
	  terminal/tests/browser/*.test.mjs console/tests/browser/*.test.mjs

guard: require-rust require-valgrind ## Compare instructions and allocations of fixed workloads with the accepted counts, within 10 %
	$(CARGO) run --profile $(GUARD_PROFILE) --locked -p crossbook-guard -- check

guard-renew: require-rust require-valgrind ## Accept the present counts of instructions and allocations
	$(CARGO) run --profile $(GUARD_PROFILE) --locked -p crossbook-guard -- renew

recorded: require-rust ## Replay recorded logs with an optimized build; the states must be the recorded ones
	$(CARGO) run --profile $(GUARD_PROFILE) --locked -p crossbook-guard --bin recorded

# Uses the binary that `unit` has compiled: with one of its tests, because tests want some libraries with more features.
clients: require-rust $(VENV)/.installed $(MODULES)/.installed ## Run real, unmodified exchange clients against the binary
	$(LINTED) $(CARGO) build --locked --workspace --bin crossbook --test program
	CROSSBOOK_BINARY=$(abspath $(CROSSBOOK_BINARY)) $(VENV)/bin/python -m pytest tests/clients $(PYTEST_ARGS)

# Every check is a file in tests/deploy; none starts a server, and all of them take less than a minute.
deploy-lint: require-promtool require-amtool $(DEPLOY_VENV)/.installed $(TOOLS)/bin/helm ## Check what deploy/ holds: rules, alerts, runbooks, dashboards
	$(DEPLOY_VENV)/bin/python -m pytest tests/deploy $(DEPLOY_ARGS)

# Needs 185 MB of npm packages and a minute, so `test` does without.
aws-lint: $(AWS_VENV)/.installed $(AWS_MODULES)/.installed ## Check the CDK app of deploy/aws: templates, linters, moto
	$(AWS_VENV)/bin/python -m pytest tests/aws/test_cdk.py $(AWS_ARGS)

manifests: $(DEPLOY_VENV)/.installed $(TOOLS)/bin/helm ## Render the Helm chart of each profile into deploy/kubernetes
	$(DEPLOY_VENV)/bin/python tests/deploy/chart.py

# Built twice, to show that the digest is the same.
image: build require-image $(DEPLOY_VENV)/.installed ## Build the container image target/image/crossbook.tar twice, and test it under runc
	deploy/image/build.sh $(BINARY) $(IMAGE)/again
	deploy/image/build.sh $(BINARY) $(IMAGE)
	CROSSBOOK_IMAGE=$(abspath $(IMAGE))/crossbook.tar $(DEPLOY_VENV)/bin/python -m pytest tests/image

# Builds a Kubernetes once, which takes minutes; needs root. KUBE_REPORT=FILE.md writes the table to a file.
KUBE_BINARY ?= $(BINARY)
kube: require-image require-kube require-redis require-mariadb $(DEPLOY_VENV)/.installed $(TOOLS)/bin/helm ## Install the chart on a Kubernetes of this machine; upgrade, drain, cut and scale it under load
	@test $(KUBE_BINARY) != $(BINARY) || $(MAKE) --no-print-directory build
	nice -n 15 tests/kube/build.sh $(KUBE)
	deploy/image/build.sh $(KUBE_BINARY) $(IMAGE)
	tests/kube/images.sh $(IMAGE)/crossbook.tar $(KUBE)
	ln -sf $(abspath $(TOOLS))/bin/kubectl $(KUBE)/bin/kubectl
	$(DEPLOY_VENV)/bin/python tests/kube/run.py $(KUBE_REPORT)

# Packed twice, to show that the same binary gives the same files.
release: build require-packing $(DEPLOY_VENV)/.installed ## Pack a release into target/dist: archive, Debian package, debug information, checksums
	deploy/release/build.sh $(BINARY) target/dist-again
	deploy/release/build.sh $(BINARY) target/dist
	$(DEPLOY_VENV)/bin/python -m pytest tests/release

# The program is the one that `unit` has compiled.
object-store: require-rust require-redis require-haproxy $(AWS_VENV)/.installed ## Run snapshots and backups on a server that speaks S3
	$(LINTED) $(CARGO) build --locked --workspace --bin crossbook --test program
	CROSSBOOK_BINARY=$(abspath $(CROSSBOOK_BINARY)) $(AWS_VENV)/bin/python -m pytest tests/aws/test_s3.py $(AWS_ARGS)

# What it keeps, pictures and logs of all processes, is in target/observe.
observe: build require-redis require-mariadb require-haproxy require-observers $(DEPLOY_VENV)/.installed ## Fire every alert by its real fault at a real cluster, with a real Prometheus; draw the dashboards
	$(DEPLOY_VENV)/bin/python tests/observe/observe.py --binary $(BINARY) --keep target/observe $(OBSERVE_ARGS)

bench: bench-engine bench-growth bench-structures bench-log bench-venue bench-store ## Run the benchmarks of book, engine, growth, structures, log, API and history

bench-engine: build
	$(BINARY) bench book $(BENCH_ARGS)
	$(BINARY) bench engine $(BENCH_ARGS)

bench-growth: build
	$(BINARY) bench growth $(BENCH_ARGS)

bench-structures: build
	$(BINARY) bench structures $(BENCH_ARGS)

bench-log: build require-redis
	$(BINARY) bench log $(BENCH_ARGS)

# Starts a venue without rate limits in a temporary folder.
bench-venue: build
	$(BINARY) bench api $(BENCH_ARGS)

# Reports of today, for the documents to cite. Run it on an idle machine, and add the files to docs/SUMMARY.md.
MEASUREMENT = docs/measurements/$(shell date +%F)
measure: build require-redis require-mariadb ## Run all benchmarks and write their reports to docs/measurements
	for what in book engine growth structures log api store recovery overload bursts; do \
	  $(BINARY) bench $$what --report $(MEASUREMENT)-$$what.md || exit; done
	$(BINARY) bench store --follow --report $(MEASUREMENT)-history-lag.md

# Fits the costs of an order at three rates, predicts a fourth, and measures it: with one hop, and with one or two. For
# an idle machine; takes 3 minutes.
PLAN_CHECK := target/plan-check
PLAN_SHAPE := --shards 1 --partitions 1,3 --seconds 8
plan-check: build require-redis require-haproxy ## Predict what an order costs at another rate, and measure it
	mkdir -p $(PLAN_CHECK)
	$(BINARY) bench cluster $(PLAN_SHAPE) --rates 500,1000,2500 --json $(PLAN_CHECK)/fit.json
	$(BINARY) bench cluster $(PLAN_SHAPE) --rates 4000 --json $(PLAN_CHECK)/measured.json
	$(BINARY) plan --costs $(PLAN_CHECK)/fit.json --check $(PLAN_CHECK)/measured.json \
	  --html $(MEASUREMENT)-plan-check.md

# A workspace of its own; the dependencies that it shares with the venue are built once.
# make peers PEERS_ARGS="--json peers.json --only lobster"
peers: require-rust ## Compare the book and the engine with the order books on crates.io, on the same workload
	$(CARGO) run --release --locked --manifest-path bench/peers/Cargo.toml --target-dir target -- $(PEERS_ARGS)

# Needs MariaDB, unless BENCH_STORE_ARGS="--database sqlite".
bench-store: build
	$(BINARY) bench store $(BENCH_STORE_ARGS)
	$(BINARY) bench store --follow $(BENCH_STORE_ARGS)

# The cost by number of workers:
# BENCH_CLUSTER_ARGS="--shards 1 --partitions 8 --workers 1,2,4,8 --no-standby --rates 1000"
bench-cluster: build require-redis require-haproxy ## Measure throughput, latency and CPU time by role of clusters on this machine
	$(BINARY) bench cluster $(BENCH_CLUSTER_ARGS)

soak: build ## Load a venue with RATE orders per second for DURATION, then verify every acknowledged order
	$(BINARY) soak --rate $(RATE) --duration $(DURATION) $(SOAK_ARGS)

deny: require-rust $(TOOLS)/bin/cargo-deny ## Check licences, bans and sources of the dependencies (advisories need a network)
	$(TOOLS)/bin/cargo-deny --all-features check licenses bans sources

# The site has the layout of the repository, so that the links of the documents hold in both.
docs: require-rust require-python $(TOOLS)/bin/mdbook ## Build the documents as a site: target/site/html/index.html
	rm -rf $(SITE)
	.ci/site $(SITE)/source
	$(TOOLS)/bin/mdbook build
	$(PYTHON) .ci/check.py site

clean: ## Remove what was built and installed here
	$(CARGO) clean
	rm -rf $(VENV) $(DEPLOY_VENV) $(AWS_VENV) $(MODULES) $(AWS_MODULES) $(PAGE) $(CONSOLE)

$(TOOLS)/bin/cargo-deny:
	$(CARGO) install cargo-deny --version $(CARGO_DENY_VERSION) --locked --root $(TOOLS)

$(OTHER_SERVERS)/bin/mysqld: .ci/debian-servers
	.ci/debian-servers $(OTHER_SERVERS)

$(TOOLS)/bin/helm: .ci/helm | require-python
	.ci/helm $(TOOLS)/bin

$(TOOLS)/bin/mdbook:
	$(CARGO) install mdbook --version $(MDBOOK_VERSION) --locked --root $(TOOLS) --no-default-features --features search

# The environment is made again when the requirements are newer than the stamp.
$(VENV)/.installed: tests/clients/requirements.txt | require-python
	rm -rf $(VENV)
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -r tests/clients/requirements.txt
	touch $@

$(DEPLOY_VENV)/.installed: tests/deploy/requirements.txt | require-python
	rm -rf $(DEPLOY_VENV)
	$(PYTHON) -m venv $(DEPLOY_VENV)
	$(DEPLOY_VENV)/bin/python -m pip install --quiet --disable-pip-version-check -r tests/deploy/requirements.txt
	touch $@

$(AWS_VENV)/.installed: tests/aws/requirements.txt | require-python
	rm -rf $(AWS_VENV)
	$(PYTHON) -m venv $(AWS_VENV)
	$(AWS_VENV)/bin/python -m pip install --quiet --disable-pip-version-check -r tests/aws/requirements.txt
	touch $@

$(AWS_MODULES)/.installed: deploy/aws/package.json deploy/aws/package-lock.json | require-node
	$(NPM) ci --prefix deploy/aws --silent --no-audit --no-fund --ignore-scripts
	touch $@

$(CONSOLE)/.installed: console/package.json console/package-lock.json | require-node
	$(NPM) ci --prefix console --silent --no-audit --no-fund --ignore-scripts
	touch $@

$(PAGE)/.installed: terminal/package.json terminal/package-lock.json | require-node
	$(NPM) ci --prefix terminal --silent --no-audit --no-fund --ignore-scripts
	touch $@

# npm makes the folder from the lock file, whose checksums it verifies.
$(MODULES)/.installed: tests/clients/package.json tests/clients/package-lock.json | require-node
	$(NPM) ci --prefix tests/clients --silent --no-audit --no-fund --ignore-scripts
	touch $@

# Installs a missing program with the system's package manager; .ci/require lists them.
require-%:
	@.ci/require $*
