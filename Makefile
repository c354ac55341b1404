# make run   start Local IVS, the service and the example application: a private channel that plays
# make run-aws      start two services that share moto's DynamoDB and Secrets Manager, and Local IVS
# make test  run every check and test, as CI does
# make coverage     run the tests and measure their branch coverage, which has a lower limit
# make test-all     make test and make coverage, then all tests at full size
# make docs         build the documentation as a site in docs/_build
# make sbom         write what an image contains as sbom.json, in the format CycloneDX
# make bench        compare the service with other servers, for about five minutes
# make reliability  request URLs through outages, for about ten minutes; needs to mount a small disk
# make test-lowest  run the tests with the lowest versions of the dependencies that are allowed
#
# All install pinned requirements into an environment here, and do so again when the pins change.

SHELL := /bin/sh
.DEFAULT_GOAL := help

VENV := .venv
AWSCLI := .venv-awscli
LOWEST := .venv-lowest
SBOM := .venv-sbom
DYNALITE := tests/dynalite/node_modules
PLAYERS := tests/player/node_modules
BIN := $(VENV)/bin
NEW_ENOUGH := import sys; sys.exit(sys.version_info < (3, 11))
# The first interpreter that is new enough. To choose another: `make PYTHON=/path/to/python run`.
PYTHON = $(shell for python in python3 python3.14 python3.13 python3.12 python3.11 python; do \
	"$$python" -c '$(NEW_ENOUGH)' 2>/dev/null && echo "$$python" && break; done)
# Three workers on two cores, because many tests wait for a process. Each begins with a third of the
# tests, so that neighbors share fixtures, and then takes tests from the others.
PYTEST := pytest -n 3 --dist worksteal
PIP_INSTALL := -m pip --quiet --disable-pip-version-check install
PIP := $(BIN)/python $(PIP_INSTALL)

# Compiled modules are kept, because the tests start hundreds of processes.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help docs sbom run run-aws test coverage test-all bench reliability test-lowest requirements

help:
	@sed -n 's/^# make /make /p' Makefile

run: $(VENV)/.run
	@exec $(BIN)/python -m demo

run-aws: $(VENV)/.test
	@exec $(BIN)/python -m demo.launcher.run_aws

test: $(VENV)/.test $(AWSCLI)/.made $(DYNALITE)/.made $(PLAYERS)/.made
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/actionlint -shellcheck= -pyflakes=
	cd local_ivs && ../$(BIN)/mypy
	@# The folder stays if this fails.
	run=$$(mktemp -d) && $(BIN)/$(PYTEST) --basetemp="$$run/tests" && \
		$(BIN)/python -m scripts.search_logs "$$run/tests" && rm -rf "$$run"
	cd local_ivs && ../$(BIN)/$(PYTEST)

coverage: $(VENV)/.test $(AWSCLI)/.made $(DYNALITE)/.made $(PLAYERS)/.made
	$(BIN)/$(PYTEST) --cov
	cd local_ivs && ../$(BIN)/$(PYTEST) --cov

test-all: test coverage
	TEST_SIZE=full $(BIN)/$(PYTEST)
	$(BIN)/python -m benchmarks.fleet

docs: $(VENV)/.test
	$(BIN)/python -m sphinx --quiet --fail-on-warning --nitpicky --keep-going -b html docs docs/_build

sbom: $(SBOM)/.made
	$(SBOM)/bin/cyclonedx-py requirements requirements/service.txt --pyproject pyproject.toml -o sbom.json

bench: $(VENV)/.run
	$(BIN)/python -m benchmarks.serving

reliability: $(VENV)/.test
	$(BIN)/python -m benchmarks.reliability --output benchmarks/results

test-lowest: $(LOWEST)/.made $(AWSCLI)/.made $(DYNALITE)/.made $(PLAYERS)/.made
	$(LOWEST)/bin/$(PYTEST) -m "not installs"
	cd local_ivs && ../$(LOWEST)/bin/$(PYTEST) -m "not installs"

$(VENV)/.run $(VENV)/.test: $(VENV)/.%: requirements/%.txt pyproject.toml local_ivs/pyproject.toml | $(VENV)/.made
	@echo "Installing what requirements/$*.txt pins ..."
	@$(PIP) --require-hashes -r requirements/$*.txt
	@$(PIP) --no-deps --no-build-isolation --editable ./local_ivs --editable .
	@touch $@

$(LOWEST)/.made: requirements/lowest.txt pyproject.toml local_ivs/pyproject.toml | $(VENV)/.made
	@echo "Installing what requirements/lowest.txt pins ..."
	@"$(PYTHON)" -m venv $(LOWEST)
	@$(LOWEST)/bin/python $(PIP_INSTALL) --require-hashes -r requirements/lowest.txt
	@$(LOWEST)/bin/python $(PIP_INSTALL) --no-deps --no-build-isolation \
		--editable ./local_ivs --editable .
	@touch $@

# The aws CLI needs another release of botocore than the program, so it has its own environment.
$(AWSCLI)/.made: requirements/awscli.txt | $(VENV)/.made
	@echo "Installing what requirements/awscli.txt pins ..."
	@"$(PYTHON)" -m venv $(AWSCLI)
	@$(AWSCLI)/bin/python $(PIP_INSTALL) --require-hashes -r requirements/awscli.txt
	@touch $@

# It has dependencies that nothing else here needs.
$(SBOM)/.made: requirements/sbom.txt | $(VENV)/.made
	@echo "Installing what requirements/sbom.txt pins ..."
	@"$(PYTHON)" -m venv $(SBOM)
	@$(SBOM)/bin/python $(PIP_INSTALL) --require-hashes -r requirements/sbom.txt
	@touch $@

# For the tests: dynalite, the stand-in for DynamoDB, which runs in a process of its own; hls.js and
# the Amazon IVS player, which run in Chromium; TypeScript, which checks the types of player.js; and
# axe-core, which checks pages for accessibility.
$(DYNALITE)/.made $(PLAYERS)/.made: %/node_modules/.made: %/package-lock.json
	@command -v npm >/dev/null || { echo \
		"npm is missing, which installs programs for the tests. On Debian: apt install nodejs npm" \
		>&2; exit 1; }
	@echo "Installing what $< pins ..."
	@npm ci --prefix $(@D)/.. --ignore-scripts --no-audit --no-fund --silent
	@touch $@

$(VENV)/.made:
	@"$(PYTHON)" -c '$(NEW_ENOUGH)' 2>/dev/null || { echo \
		"Python 3.11 or newer was not found. Install it, or name one: make PYTHON=/path/to/python run" \
		>&2; exit 1; }
	@"$(PYTHON)" -c 'import ensurepip, venv' 2>/dev/null || { echo \
		"The Python module venv is missing. On Debian or Ubuntu: apt install python3-venv" >&2; exit 1; }
	@"$(PYTHON)" -m venv $(VENV)
	@touch $@

# Run `make requirements` to update the pins. It needs uv, which no environment of ours installs.
# The releases of npm's packages are in package.json files, and the lock files name no registry.
# pip finds a pin for "coverage[toml]" only if it has the extra: without it, a new release of coverage
# would break the installation.
COMPILE = uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --no-strip-extras \
	--custom-compile-command "make requirements"
requirements:
	$(COMPILE) --upgrade pyproject.toml local_ivs/pyproject.toml requirements/build.in \
		requirements/demo.in --extra service -o requirements/run.txt
	$(COMPILE) --upgrade pyproject.toml --extra service -c requirements/run.txt \
		-o requirements/service.txt
	$(COMPILE) --upgrade pyproject.toml local_ivs/pyproject.toml requirements/build.in \
		--extra service --extra otel --extra test -c requirements/run.txt -o requirements/test.txt
	$(COMPILE) --upgrade requirements/awscli.in -o requirements/awscli.txt
	$(COMPILE) --upgrade requirements/sbom.in -o requirements/sbom.txt
	$(COMPILE) --upgrade --resolution lowest-direct pyproject.toml local_ivs/pyproject.toml \
		requirements/build.in --extra service --extra otel -o $(VENV)/lowest.txt
	$(COMPILE) --upgrade pyproject.toml local_ivs/pyproject.toml requirements/build.in \
		--extra service --extra otel --extra test -c $(VENV)/lowest.txt -o requirements/lowest.txt
	for folder in tests/dynalite tests/player; do \
		npm install --prefix $$folder --package-lock-only --omit-lockfile-registry-resolved \
			--ignore-scripts --no-audit --no-fund --silent || exit 1; \
	done
