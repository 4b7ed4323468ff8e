# Two commands do everything on a machine with Python 3.11: `make figures` and `make test`.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: help figures test bench docs lint format build clean

help:
	@echo "make figures   run all experiments: figures, tables and results/index.html"
	@echo "make test      run the tests"
	@echo "make bench     measure the speed against the FFTs and against other libraries"
	@echo "make docs      the documentation, in build/docs; opens without a server"
	@echo "make lint      formatting, style and types"
	@echo "make build     source archive and wheel in dist/"
	@echo "make clean     remove what the other targets made"

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; call: make PYTHON=/path/to/python3.11 ...")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/figures.installed: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) --editable '.[plots,fits,learned]'
	@touch $@

$(VENV)/dev.installed: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) --editable '.[dev]'
	@touch $@

$(VENV)/bench.installed: $(VENV)/dev.installed
	$(PIP) --editable '.[dev,bench]'
	@touch $@

$(VENV)/docs.installed: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) --editable '.[docs]'
	@touch $@

figures: $(VENV)/figures.installed
	$(BIN)/python -m experiments --out results

test: $(VENV)/dev.installed
	$(BIN)/python -m pytest -n 2

bench: $(VENV)/bench.installed
	$(BIN)/python -m tests.benchmarks

docs: $(VENV)/docs.installed
	$(BIN)/python -m sphinx -W --keep-going -q -b html docs build/docs
	@echo "open build/docs/index.html"

lint: $(VENV)/dev.installed
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy sigdeconv

format: $(VENV)/dev.installed
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

build: $(VENV)/dev.installed
	$(BIN)/python -m build

clean:
	rm -rf $(VENV) build dist results docs/gallery docs/gallery_scripts docs/sg_execution_times.rst docs/reference/generated .mypy_cache .pytest_cache .ruff_cache .hypothesis
