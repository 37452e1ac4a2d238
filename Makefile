# The first Python that fits; `make PYTHON=/path/to/python setup` takes another.
FITS := import sys, venv; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell for name in python3.12 python3 python3.13 python3.11; do $$name -c '$(FITS)' 2>/dev/null && echo $$name && break; done)
BIN := .venv/bin
STAMP := .venv/.set-up
REQUIREMENTS := -r requirements.txt -r requirements-dev.txt -c constraints.txt
TESTS ?= tests/unit tests/integration tests/acceptance
SOURCES := plugins devstack tests dags $(wildcard benchmarks)

# Byte code halves the time that each of Airflow's processes takes to start.
unexport PYTHONDONTWRITEBYTECODE
# Only the checkout's own virtual environment counts.
unexport VIRTUAL_ENV PYTHONPATH PYTHONHOME
MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help
.PHONY: help setup demo stop clean check format test test-celery soak bench bench-freshness bench-peers up down

help:  ## List the targets
	@sed -n 's/^\([a-z-]*\):.*##  *\(.*\)/  make \1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{printf "%-14s %s\n", $$1, $$2}'

setup: $(STAMP)  ## Make .venv with every locked version (again only when a requirement changed)

$(STAMP): requirements.txt requirements-dev.txt constraints.txt pyproject.toml
	@test -n "$(PYTHON)" || { echo "No Python 3.11 or newer with the venv module is on PATH. Install one (python3.12 and python3.12-venv)."; exit 1; }
	@test -x $(BIN)/python || { echo "making .venv with $(PYTHON)"; $(PYTHON) -m venv .venv; }
	@echo "installing the locked packages (a minute or two when nothing is cached)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt uv \
		&& $(BIN)/uv pip install --quiet --python $(BIN)/python --compile-bytecode $(REQUIREMENTS) \
		&& $(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps -e . \
		|| { echo "uv could not do it; pip tries, which takes longer"; \
			$(BIN)/python -m pip install --quiet --disable-pip-version-check $(REQUIREMENTS) \
			&& $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -e . ; }
	@touch $@

demo: $(STAMP)  ## Start PostgreSQL, Elasticsearch and Airflow, run two cycles of every pipeline, compare the targets
	@$(BIN)/python -m devstack demo

stop: $(STAMP)  ## Stop what `make demo` started; the data stay
	@$(BIN)/python -m devstack stop

clean:  ## Stop it and remove all that was made here: data, logs, .venv, caches
	@if test -x $(BIN)/python && test -d .stack; then $(BIN)/python -m devstack clean; fi
	@rm -rf .venv .stack .mypy_cache .ruff_cache .pytest_cache .hypothesis build plugins/*.egg-info
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

check: $(STAMP)  ## Format, lint, types and the direction of imports
	@$(BIN)/ruff format --check $(SOURCES)
	@$(BIN)/ruff check $(SOURCES)
	@$(BIN)/mypy
	@$(BIN)/pytest -q tests/unit/test_import_direction.py

format: $(STAMP)  ## Format the code and fix what can be fixed by itself
	@$(BIN)/ruff check --fix $(SOURCES)
	@$(BIN)/ruff format $(SOURCES)

test: $(STAMP)  ## Unit, integration and acceptance tests on real servers of their own; TESTS=tests/unit for a part
	@$(BIN)/pytest $(TESTS)

test-celery: $(STAMP)  ## CeleryExecutor on Redis with two workers, one of which is killed: two minutes, not part of `make test`
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --compile-bytecode -r requirements-celery.txt -c constraints.txt
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/pytest tests/celery

soak: $(STAMP)  ## The judge for 10,000 steps: random writes, crashes and cycles; ARGS="--seed 1 --steps 2000"
	@$(BIN)/python -m tests.judge soak $(ARGS)

bench: $(STAMP)  ## Measure: ARGS="--help" says what
	@$(BIN)/python -m benchmarks $(ARGS)

bench-scale: $(STAMP)  ## Measure many pipelines on one Airflow: two hours; ARGS="--minutes 10" for less
	@$(BIN)/python -m benchmarks.scale $(ARGS)

bench-freshness: $(STAMP)  ## Measure seconds from a commit to the target with watch: five minutes
	@$(BIN)/python -m benchmarks.freshness $(ARGS)

bench-peers: $(STAMP)  ## Measure other tools on the same work; ARGS="--quick" for a tenth of the rows
	@$(BIN)/python -m benchmarks.peers $(ARGS)

up:  ## Start the production parts with docker compose (copy .env.example to .env first)
	@test -f .env || { echo "Copy .env.example to .env and set its passwords first."; exit 1; }
	docker compose up --build --detach --wait

down:  ## Stop the production parts; the volumes stay
	docker compose down
