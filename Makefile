# Everything runs in ./.venv, which the first target makes: python3 and make are enough.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# Test workers: two a core hide the waiting for the disk.
WORKERS ?= auto

.PHONY: demo test check format bench bench-full torture test-lowest test-pythons clean

demo: $(VENV)/.installed
	$(BIN)/planbalance demo

test: $(VENV)/.dev
	$(BIN)/python -m pytest -n $(WORKERS) -m "not torture" $(PYTEST_ARGS)

check: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -n $(WORKERS) -m "not torture and not full_size" -q $(PYTEST_ARGS)

format: $(VENV)/.dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(VENV)/.dev
	$(BIN)/python -m benchmarks

torture: $(VENV)/.dev
	$(BIN)/python -m pytest -n $(WORKERS) -m torture $(PYTEST_ARGS)

# The oldest versions that pyproject.toml admits, in an environment of their own.
test-lowest:
	$(PYTHON) -m venv --clear .venv-lowest
	.venv-lowest/bin/python -m pip install --quiet --upgrade "pip>=25.1"
	.venv-lowest/bin/python -m pip install --quiet --constraint tests/lowest.txt --editable . --group test
	.venv-lowest/bin/python -m pytest -n $(WORKERS) -m "not torture and not full_size" -q $(PYTEST_ARGS)

# Every supported Python that this machine has, each in an environment of its own.
test-pythons:
	$(PYTHON) tests/pythons.py

clean:
	rm -rf $(VENV) .venv-lowest .venv-3.* .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis dist

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"

$(VENV)/.installed: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --editable '.[report]'
	touch $@

$(VENV)/.dev: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --editable . --group dev
	touch $@ $(VENV)/.installed
