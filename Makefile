# `make help` lists the targets. PYTHON=python3.12 chooses the interpreter that .venv is made with.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --constraint constraints.txt

.DEFAULT_GOAL := help
.PHONY: help install demo test lint format bench clean

help: ## List the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

install: .venv/.installed ## Make .venv and install the package with its tested versions

demo: .venv/.installed ## Score the demo responses at three intensities and print the sweep
	$(BIN)/python evaluate.py theory=pvq value=benevolence intensity=-2,0,2 -m

test: .venv/.installed-dev ## Run every test, slow ones too
	$(BIN)/python -m pytest -n auto --dist worksteal -m ""

lint: .venv/.installed-dev ## Check format, style and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: .venv/.installed-dev ## Rewrite the sources in the house format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: .venv/.installed-dev ## Run every benchmark; results go to benchmarks/results/
	@set -e; for script in $(filter-out benchmarks/record.py, $(wildcard benchmarks/*.py)); do echo "== $$script"; $(BIN)/python $$script; done

clean: ## Remove the environment and what the tools left; results stay
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis dist build

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/.installed: pyproject.toml constraints.txt | .venv/bin/python
	$(PIP) --editable .
	@touch $@

.venv/.installed-dev: .venv/.installed
	$(PIP) --editable '.[dev]'
	@touch $@
