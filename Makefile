# `make demo` and `make test` need Python 3.11 or newer and make; everything else goes into .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet -c constraints.txt

.PHONY: demo test lint bench bench-full docs clean
.DEFAULT_GOAL := help

help:
	@echo "make demo        train on binarized MNIST (8 minutes), write pictures and metrics to runs/demo"
	@echo "make test        the tests, with coverage"
	@echo "make lint        ruff and mypy"
	@echo "make bench       the quick form of every benchmark; make bench-full runs the whole"
	@echo "make docs        the HTML documentation, in docs/_build"

# torch goes first and pinned, so that nothing later pulls another build of it.
$(VENV)/.base: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) torch
	$(PIP) -e .
	@touch $@

$(VENV)/.dev: $(VENV)/.base
	$(PIP) -e ".[dev,browser]"
	@touch $@

$(VENV)/.docs: $(VENV)/.base
	$(PIP) -e ".[docs]"
	@touch $@

demo: $(VENV)/.base
	$(BIN)/python -m discrete_ca.demo

test: $(VENV)/.dev
	$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile --cov --cov-report=term --durations=8

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(VENV)/.dev
	$(BIN)/python -m benchmarks --quick

bench-full: $(VENV)/.dev
	$(BIN)/python -m benchmarks

docs: $(VENV)/.docs
	$(BIN)/python -m sphinx -W --keep-going -b html docs docs/_build

clean:
	rm -rf $(VENV) docs/_build
