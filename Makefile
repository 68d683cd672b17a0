# `make` alone prints the commands. A fresh machine needs Python 3.11 or later and make.

VENV = .venv
BIN = $(VENV)/bin
BENCH_VENV := .venv-bench
# Looked for only when the environment is made.
PYTHON ?= $(shell for name in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$name -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$name && break; done)
PG15_BIN ?= /usr/lib/postgresql/15/bin
# Whatever reaches the database through Django alone runs on 18 only.
WITH_OWN_SQL := $(addprefix tests/,assets credits events ops standing)
TEST_PROCESSES ?= 2
PYTEST := $(BIN)/pytest -n $(TEST_PROCESSES)
# Commands that look at the code alone: no secret of an instance, no data of one.
ASIDE := env -u HOST -u PORT -u HANSA_PUBLIC_URL HANSA_SECRET_KEY=of-no-instance \
	HANSA_DATA=$(VENV)/no-instance
COMPILE := $(BIN)/uv pip compile -q --universal --generate-hashes --no-emit-index-url \
	--python-version 3.11

.DEFAULT_GOAL := help
.PHONY: help setup run demo simulate test check fix migrate docs lock reset audit bench-ledger bench-race bench-sweep bench-trees

help: ## print the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(VENV)/.for-developers ## make .venv with everything that developing needs

run: $(VENV)/.for-running ## start a whole market on this machine; Ctrl-C stops it
	@$(BIN)/python -m marketplace.embedded

demo: $(VENV)/.for-running ## play one settled task against the running market
	@$(BIN)/python manage.py demo

simulate: $(VENV)/.for-running ## play days of a market in seconds, S=sybils; alone it names them
	@$(BIN)/python manage.py simulate $(S)

test: $(VENV)/.for-developers ## run every test, or those of T=path
	$(PYTEST) $(T)
ifndef T
	@if [ -x $(PG15_BIN)/initdb ]; then \
		echo "Again on PostgreSQL 15, what has SQL of its own:"; \
		PG_PROGRAMS=$(PG15_BIN) $(PYTEST) -m "not browser and not embedded and not of_files_alone" $(WITH_OWN_SQL); \
	else \
		echo "No PostgreSQL 15 at $(PG15_BIN) (PG15_BIN): tests ran on 18 only."; \
	fi
endif

check: $(VENV)/.for-developers ## run everything that CI runs
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy .
	$(BIN)/lint-imports
	$(ASIDE) $(BIN)/python manage.py makemigrations --check --dry-run
	$(ASIDE) $(BIN)/python manage.py spectacular --validate --fail-on-warn --file $(VENV)/openapi.yaml
	$(BIN)/openapi-spec-validator $(VENV)/openapi.yaml
	$(ASIDE) $(BIN)/python manage.py document_settings --check
	@$(MAKE) --no-print-directory test

fix: $(VENV)/.for-developers ## repair what the linter can, and format
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

migrate: $(VENV)/.for-running ## bring the database of the running market up to date
	@$(BIN)/python manage.py migrate

docs: $(VENV)/.for-running ## write the documents that are generated
	@$(ASIDE) $(BIN)/python manage.py document_settings
	@$(ASIDE) $(BIN)/python manage.py document_states

lock: $(VENV)/.for-developers ## choose the newest versions that pyproject.toml allows
	$(COMPILE) --upgrade pyproject.toml -o requirements.lock
	$(COMPILE) --upgrade pyproject.toml --group dev -o requirements-dev.lock
	$(COMPILE) --upgrade pyproject.toml --group bench -o requirements-bench.lock
	echo uv | $(COMPILE) --upgrade - -o requirements-uv.lock

reset: $(VENV)/.for-running ## remove all data of the market
	@$(BIN)/python -m marketplace.embedded reset

bench-race: $(VENV)/.for-running ## measure how agents race for tasks over HTTP
	@$(BIN)/python -m bench.race

bench-sweep: $(VENV)/.for-running ## measure how fast 10,000 overdue tasks are dealt with
	@$(BIN)/python -m bench.sweep

bench-trees: $(VENV)/.for-running ## measure what a subtask of a plan costs beside a task of its own
	@$(BIN)/python -m bench.trees

audit: $(VENV)/.for-running ## check the books of the running market
	@$(BIN)/python manage.py audit

bench-ledger: $(BENCH_VENV)/.for-bench ## measure the ledger; ARGS=--quick, ARGS="--scale 10000000"
	@$(BENCH_VENV)/bin/python -m bench.ledger $(ARGS)

# --- The environment --------------------------------------------------------------------------

# One environment serves both: where the developers' packages are, running needs no others.
RUNNING_LOCK := $(if $(wildcard $(VENV)/.for-developers),requirements-dev.lock,requirements.lock)

$(VENV)/.for-running: $(RUNNING_LOCK) requirements-uv.lock
	$(call install,$(RUNNING_LOCK))
	@touch $@

$(VENV)/.for-developers: requirements-dev.lock requirements-uv.lock
	$(call install,requirements-dev.lock)
	@touch $@ $(VENV)/.for-running

$(BENCH_VENV)/.for-bench: VENV = $(BENCH_VENV)
$(BENCH_VENV)/.for-bench: requirements-bench.lock requirements-uv.lock
	$(call install,requirements-bench.lock)
	@touch $@

# uv is many times faster than pip. What it installs it compiles only when told to (pip does so by
# itself), and uncompiled, every process takes four seconds longer to start. Where uv cannot reach
# what pip can, such as a mirror that only pip is told of, pip does the work. Both insist on the
# hashes of the lock files. A pip beside the interpreter saves seconds; where there is none
# (Debian), the environment gets one of its own.
define install
	@test -n "$(PYTHON)" || { echo "Hansa needs Python 3.11 or later; set PYTHON to it."; exit 1; }
	@test -x $(BIN)/python || if $(PYTHON) -m pip --version >/dev/null 2>&1; \
		then $(PYTHON) -m venv --without-pip $(VENV); else $(PYTHON) -m venv $(VENV); fi
	@echo "Installing $(1) into $(VENV)"
	@if $(BIN)/python -m pip --version >/dev/null 2>&1; \
		then pip="$(BIN)/python -m pip"; else pip="$(PYTHON) -m pip --python $(BIN)/python"; fi; \
	pip="$$pip --disable-pip-version-check --no-input -q install --require-hashes -r"; \
	{ $$pip requirements-uv.lock \
		&& $(BIN)/uv pip sync -q --compile-bytecode --python $(BIN)/python --require-hashes $(1); } \
	|| { echo "uv could not, so pip does"; $$pip $(1); }
endef
