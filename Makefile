# Two commands matter: `make demo` makes a dataset, `make test` proves the whole.
PYTHON ?= python3
BIN := .venv/bin
CHAOS_SEED ?= 0
.DEFAULT_GOAL := help
.PHONY: help install demo test chaos cluster check clean

help: ## Show what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: .venv/.installed ## Create .venv and install Spritemill with its worker (CPU)

.venv/.installed: pyproject.toml deploy/constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check -c deploy/constraints.txt -e '.[worker]'
	@touch $@

.venv/.installed-dev: .venv/.installed
	$(BIN)/pip install --quiet --disable-pip-version-check -c deploy/constraints.txt -e '.[worker,dev]'
	@touch $@

demo: install ## Make a dataset of 1,200 sprites from examples/quickstart.yaml
	$(BIN)/spritemill run examples/quickstart.yaml

test: .venv/.installed-dev ## Run every test against real Redis, PostgreSQL and Ceph S3
	deploy/install-test-servers.sh
	$(BIN)/pytest --numprocesses=2 --dist=loadfile --cov --cov-report=term:skip-covered --cov-fail-under=90 --durations=10

chaos: .venv/.installed-dev ## Do a fleet every harm there is (docs/chaos.md)
	deploy/install-test-servers.sh
	CHAOS_SEED=$(CHAOS_SEED) $(BIN)/pytest tests/chaos -m "" --numprocesses=2 --chaos-report=build/chaos

cluster: .venv/.installed-dev ## Run the example over Redis, PostgreSQL and S3 with two workers
	deploy/install-test-servers.sh
	$(BIN)/python -m deploy.servers deploy/local-cluster.sh examples/quickstart.yaml

check: .venv/.installed-dev ## Lint, types and import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

clean: ## Remove what was installed and cached here
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .coverage
