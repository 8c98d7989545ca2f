# Everything runs in ./.venv, which is made when it is needed: python3 and make are enough.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# One test worker for each core. Each worker gets one test at a time, so that no worker is idle while another has several long tests.
WORKERS ?= auto
PYTEST := -m pytest -n $(WORKERS) --dist loadgroup
QUICK := not torture and not full_size and not packaging
# A command in an environment without what only Linux has: twice, see tests/without_linux/sitecustomize.py.
WITHOUT_LINUX = for system in bare macos; do \
	PLANBALANCE_SYSTEM=$$system PYTHONPATH="$(CURDIR)/tests/without_linux" $(BIN)/python $(PYTEST) -q -m "$(QUICK)"
# The tests that other Pythons and versions run: those where the version matters. TESTS=tests runs all tests there.
TESTS ?= @tests/core.txt

.PHONY: demo test check format bench bench-full torture test-without-linux test-lowest test-pythons docs links pictures dist clean

demo: $(VENV)/.installed
	$(BIN)/planbalance demo

test: $(VENV)/.dev
	$(BIN)/python $(PYTEST) -m "not torture" $(PYTEST_ARGS)
	$(WITHOUT_LINUX) @tests/without_linux/core.txt || exit 1; done

check: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/mypy --platform darwin --cache-dir .mypy_cache/darwin planbalance  # one cache for both would be made anew
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

# Engine, executor and faults without what only Linux has. `make test` runs a part of it.
test-without-linux: $(VENV)/.dev
	$(WITHOUT_LINUX) tests/engine tests/executor tests/faults tests/test_fs.py tests/test_lock_owner.py tests/test_tune.py \
		$(PYTEST_ARGS) || exit 1; done

# The oldest versions that pyproject.toml allows, in an environment of their own. The tests of Dask are there for its version.
test-lowest: $(VENV)/.dev
	$(PYTHON) -m venv --without-pip --clear .venv-lowest
	$(BIN)/python -m pip --python .venv-lowest/bin/python install --quiet --constraint tests/lowest.txt --editable . --group test
	.venv-lowest/bin/python $(PYTEST) -m "$(QUICK)" -q $(TESTS) tests/shards/test_dask.py $(PYTEST_ARGS)

# Every other supported Python on this machine, each in an environment of its own.
test-pythons: $(VENV)/.dev
	$(BIN)/python tests/pythons.py -n $(WORKERS) --dist loadgroup -m "$(QUICK)" -q $(TESTS) $(PYTEST_ARGS)

# The site, into site/. A broken link, a missing anchor or a page that the navigation does not list is an error.
docs: $(VENV)/.docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict  # not --quiet: warnings would not count

# Checks every web address in the texts. It needs the network, so CI does not run it.
links: $(VENV)/bin/python
	$(BIN)/python docs/_build/links.py

# Draws the pictures of the README from real runs. A test fails if the pictures of the terminal are out of date.
pictures: $(VENV)/.dev
	$(BIN)/python docs/_build/pictures.py

# Wheel and source archive, into dist/, checked as a package index would check them.
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
