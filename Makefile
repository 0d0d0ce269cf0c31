# Two commands on a fresh machine: `make run` computes the study of config.yaml, `make test` runs all tests.

CONFIG ?= config.yaml
CORES  ?= $(shell nproc 2>/dev/null || getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)
PYTHON ?= python3
PYTEST_ARGS ?=
BENCH_ARGS ?=

BIN := .venv/bin

.PHONY: run test test-fast docs bench env env-test env-docs lint clean

run: env
	@$(BIN)/snakemake --snakefile Snakefile --configfile $(CONFIG) --cores $(CORES)

test: env-docs
	@$(BIN)/python -m pytest -n 2 --dist worksteal $(PYTEST_ARGS)

test-fast: env-test
	@$(BIN)/python -m pytest -n 2 --dist worksteal -m "not slow" $(PYTEST_ARGS)

docs: env-docs
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet && echo "Documentation: site/index.html"

bench: env-test
	@$(BIN)/python benchmarks/peers.py $(BENCH_ARGS)

lint: env-test
	@$(BIN)/ruff check . && $(BIN)/ruff format --check src tests benchmarks workflow/scripts && $(BIN)/mypy && $(BIN)/lint-imports && $(BIN)/snakefmt --check Snakefile workflow

env: .venv/.ready

env-test: .venv/.ready-test

env-docs: .venv/.ready-docs

.venv/.ready: requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "proplim needs Python 3.11 or newer; this is " + sys.version.split()[0] + ". Name another: make PYTHON=python3.12 ...")'
	@echo "Preparing .venv (once; a minute or two)"
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

.venv/.ready-test: .venv/.ready requirements-test.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-test.txt
	@touch $@

.venv/.ready-docs: .venv/.ready-test requirements-docs.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-docs.txt
	@touch $@

clean:
	rm -rf .venv .snakemake results site
