# Crossbook. `make` alone lists the targets.

CARGO   ?= cargo
PYTHON  ?= python3
VENV    := .venv
BINARY  := target/release/crossbook
TOOLS   := target/tools
CARGO_DENY_VERSION := 0.20.2

# What the client suite is given; `make clients PYTEST_ARGS="-k ccxt -x"` runs a part of it.
PYTEST_ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help build demo test lint format unit clients bench deny clean require-rust require-python

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sort | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

build: require-rust ## Build the release binary, target/release/crossbook
	$(CARGO) build --release --locked -p crossbook

demo: build ## Build, then start a live venue with simulated traders in a fresh folder
	$(BINARY) demo

test: lint unit clients ## Everything: formatting, clippy, unit tests, release build, real clients

lint: require-rust ## Formatting, and clippy with warnings as errors
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings

format: require-rust ## Format the Rust sources
	$(CARGO) fmt --all

unit: require-rust ## Tests of the Rust workspace
	$(CARGO) test --workspace --locked

clients: build $(VENV)/.installed ## Real, unmodified exchange clients against the release binary
	$(VENV)/bin/python -m pytest tests/clients $(PYTEST_ARGS)

bench: require-rust ## Benchmarks: the book, the engine, and the whole venue under load
	$(CARGO) bench --workspace --locked

deny: require-rust $(TOOLS)/bin/cargo-deny ## Licences, bans and sources of the dependencies (advisories need network access)
	$(TOOLS)/bin/cargo-deny --all-features check licenses bans sources

clean: ## Remove what was built and installed here
	$(CARGO) clean
	rm -rf $(VENV)

$(TOOLS)/bin/cargo-deny:
	$(CARGO) install cargo-deny --version $(CARGO_DENY_VERSION) --locked --root $(TOOLS)

# The stamp is newer than the requirements, or the environment is made anew.
$(VENV)/.installed: tests/clients/requirements.txt | require-python
	rm -rf $(VENV)
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -r tests/clients/requirements.txt
	touch $@

require-rust:
	@command -v $(CARGO) >/dev/null || { echo 'cargo is missing: install Rust from https://rustup.rs' >&2; exit 1; }
	@command -v cc >/dev/null || { echo 'a C compiler is missing (cc): install your system'"'"'s build tools, on Debian: apt-get install build-essential' >&2; exit 1; }

require-python:
	@command -v $(PYTHON) >/dev/null || { echo 'python3 is missing: the client suite needs Python 3.10 or newer' >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { echo 'the client suite needs Python 3.10 or newer; set PYTHON=...' >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { echo 'Python cannot make virtual environments: on Debian, apt-get install python3-venv' >&2; exit 1; }
