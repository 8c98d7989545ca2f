# Everything runs in ./.venv, which the first target makes: python3 and make are enough.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# Test workers, one a core; a test at a time, so that none sits on the long ones while another has nothing to do.
WORKERS ?= auto
PYTEST := -m pytest -n $(WORKERS) --dist loadgroup
QUICK := not torture and not full_size and not packaging
# What other Pythons and versions run: the rooms where these matter. TESTS=tests runs everything there.
TESTS ?= @tests/core.txt

.PHONY: demo test check format bench bench-full torture test-lowest test-pythons docs links pictures dist clean

demo: $(VENV)/.installed
	$(BIN)/planbalance demo

test: $(VENV)/.dev
	$(BIN)/python $(PYTEST) -m "not torture" $(PYTEST_ARGS)

check: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python $(PYTEST) -m "$(QUICK)" -q $(PYTEST_ARGS)

format: $(VENV)/.dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(VENV)/.dev
	$(BIN)/python -m benchmarks

bench-full: $(VENV)/.dev
	$(BIN)/python -m benchmarks --full

torture: $(VENV)/.dev
	$(BIN)/python $(PYTEST) -m torture $(PYTEST_ARGS)

# The oldest versions that pyproject.toml admits, in an environment of their own; Dask's tests are there for Dask's version.
test-lowest: $(VENV)/.dev
	$(PYTHON) -m venv --without-pip --clear .venv-lowest
	$(BIN)/python -m pip --python .venv-lowest/bin/python install --quiet --constraint tests/lowest.txt --editable . --group test
	.venv-lowest/bin/python $(PYTEST) -m "$(QUICK)" -q $(TESTS) tests/shards/test_dask.py $(PYTEST_ARGS)

# Every other supported Python that this machine has, each in an environment of its own.
test-pythons: $(VENV)/.dev
	$(BIN)/python tests/pythons.py -n $(WORKERS) --dist loadgroup -m "$(QUICK)" -q $(TESTS) $(PYTEST_ARGS)

# The site, into site/: a broken link, a missing anchor or a page without a place is an error.
docs: $(VENV)/.docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict  # not --quiet: warnings would not count

# Every address that the texts name, asked whether it is there: needs the network, so CI does not run it.
links: $(VENV)/bin/python
	$(BIN)/python docs/_build/links.py

# The README's pictures, from real runs; a test says when those of the terminal are no longer what is printed.
pictures: $(VENV)/.dev
	$(BIN)/python docs/_build/pictures.py

# Wheel and sdist, into dist/, checked as an index would check them.
dist: $(VENV)/.dev
	rm -rf dist
	$(BIN)/python -m build --no-isolation
	$(BIN)/python -m twine check --strict dist/*
	$(BIN)/check-wheel-contents dist/*.whl

clean:
	rm -rf $(VENV) .venv-lowest .venv-3.* .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis dist site

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"

$(VENV)/.installed: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --editable '.[report]'
	touch $@

$(VENV)/.dev: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --editable . --group dev
	touch $@ $(VENV)/.installed

$(VENV)/.docs: pyproject.toml $(VENV)/.dev
	$(BIN)/python -m pip install --quiet --group docs
	touch $@
