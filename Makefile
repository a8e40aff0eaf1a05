# Two commands matter: `make up` and `make test`. `make help` lists the rest.

PYTHON ?= python3
BIN := .venv/bin
# Several workers, each with a database of its own; a file's tests stay together. How
# many, and who begins with what: hub/testing/lanes.py.
SUITE := $(BIN)/pytest --forbid-skips --numprocesses auto --dist loadfile
LOCK := $(BIN)/uv pip compile -q --upgrade --python-version 3.11 --generate-hashes \
  --no-emit-index-url --custom-compile-command 'make lock'

# What a hub that listens to the world is given; nothing of it is a secret.
DEPLOYED := DEBUG=false BEHIND_TLS=true ALLOWED_HOSTS=monitor.example.org \
  PUBLIC_URLS=https://monitor.example.org AGENT_TOKEN=only-for-the-check \
  SECRET_KEY=only-for-the-check-0123456789-abcdefghijklmnopqrstuvwxyz \
  TIMESCALE_URL=postgresql://hub@db.example.org/hub REDIS_URL=redis://db.example.org/0

.DEFAULT_GOAL := help
.PHONY: help up test lint format proto lock services bench python installed
.PHONY: chaos fuzz mutants sbom

help: ## list what can be made
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-10s %s\n", $$1, $$2}' Makefile

up: python ## start the hub here, with an agent that watches this machine
	@$(PYTHON) requirements/install.py hub
	@exec $(BIN)/python manage.py up

test: services ## run every test, on SQLite and on TimescaleDB + Redis
	@echo 'run 1 of 2: everything, on SQLite; about six minutes on two cores'
	$(SUITE)
	@echo 'run 2 of 2: the hub on TimescaleDB and Redis; about two minutes'
	$(SUITE) -m 'not (process or browser)' --services production hub

lint: installed ## check style, types, migrations, settings, generated code
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	@mkdir -p .services/lint
	DATA_DIR=.services/lint $(BIN)/python manage.py makemigrations --check --dry-run --skip-checks
	$(DEPLOYED) $(BIN)/python manage.py check --deploy --fail-level WARNING
	$(BIN)/pytest -q hub/tests/test_imports.py hub/tests/test_wire.py
	$(BIN)/python requirements/audit.py

format: installed ## put the code into its one form
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

proto: installed ## generate the wire's Python from proto/metrics.proto
	$(BIN)/python proto/generate.py

lock: installed ## choose newer versions within requirements/*.in
	$(LOCK) requirements/dev.in -o requirements/dev.txt
	$(LOCK) -c requirements/dev.txt requirements/hub.in -o requirements/hub.txt
	$(LOCK) -c requirements/dev.txt requirements/agent.in -o requirements/agent.txt
	$(LOCK) -c requirements/dev.txt requirements/archive.in -o requirements/archive.txt
	$(LOCK) -c requirements/dev.txt requirements/s3.in -o requirements/s3.txt

sbom: installed ## list in sbom/ what is installed with the hub and the agent, as CycloneDX
	@$(BIN)/python requirements/sbom.py sbom

services: installed ## fetch PostgreSQL + TimescaleDB, Redis, Chromium, stress-ng, an S3 server for the tests
	@$(BIN)/python -m hub.testing.install

bench: services ## measure
	$(BIN)/python -m bench

chaos: services ## break everything for an hour, and count every sample
	$(BIN)/python -m hub.testing.oracle --long

fuzz: installed ## give any bytes at all to what reads the wire, for four minutes
	@mkdir -p .services/fuzz
	DATA_DIR=.services/fuzz $(BIN)/python -m hub.tests.fuzz --minutes 4

mutants: services ## plant one fault for each invariant, and see a test fail
	$(BIN)/python -m hub.testing.mutants

installed: python
	@$(PYTHON) requirements/install.py dev

python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  found=$$($(PYTHON) --version 2>&1) || found='not to be found'; \
	  echo "sysmonstm needs Python 3.11 or newer, and $(PYTHON) is $$found." \
	    "Name another one: make $(MAKECMDGOALS) PYTHON=/path/to/python3.11" >&2; \
	  exit 1; }
