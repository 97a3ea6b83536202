# Every target makes .venv from constraints.txt when it is missing, with what that target needs.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --constraint constraints.txt
# One thread for BLAS and torch in each process: on matrices as small as those of the tests, threads wait for each other.
# Bytecode is kept, whatever the environment says: the tests start hundreds of processes that import the same modules.
PYTEST := PYTHONDONTWRITEBYTECODE= OMP_NUM_THREADS=1 $(BIN)/python -m pytest
# A worker that dies ends the run at once: the tests of its group would be waited for without end.
PARALLEL := --dist loadgroup --no-loadscope-reorder --max-worker-restart 0 -n

.PHONY: demo quick test test-slow cover lint bench docs fuzz clean

demo: .venv/.demo
	$(BIN)/dspgraph demo

# The core, and the laws of every node at a few cuts.
quick: .venv/.test
	$(PYTEST) $(PARALLEL) 2 --quick

# Everything but what takes minutes, in three processes: many tests wait for others. NODE=lpc: one node and its laws.
test: .venv/.test
ifdef NODE
	$(PYTEST) --node $(NODE) -m "not slow" $(wildcard tests/nodes/*/test_$(NODE).py) tests/system/test_laws.py
else
	$(PYTEST) $(PARALLEL) 3 -m "not slow"
endif

# Line and branch coverage of the core by its own tests; fails below the figure in pyproject.toml.
cover: .venv/.test
	$(PYTEST) $(PARALLEL) 2 tests --ignore=tests/nodes --ignore=tests/kernels --ignore=tests/models --ignore=tests/system \
	    -m "not slow and not cluster" --cov --cov-report=
	$(BIN)/python -m coverage report

# More cases of what the fast tests hold, and what takes minutes.
test-slow: .venv/.test
	$(PYTEST) $(PARALLEL) 2 -m slow

lint: .venv/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: .venv/.test
	$(PIP) --editable ".[bench]"
	$(BIN)/python -m benchmarks

# The site, in docs/_build: open docs/_build/index.html. A page for every node shows the output of the node's example.
docs: .venv/.test
	$(PIP) --editable ".[docs]"
	OMP_NUM_THREADS=1 $(BIN)/python -m sphinx -W --keep-going -q -b html docs docs/_build

# Damaged files through the command line: make fuzz SECONDS=600. The inputs with faults are kept in the folder fuzz.
SECONDS ?= 30
fuzz: .venv/.test
	$(BIN)/python tests/system/fuzz.py --seconds $(SECONDS)

clean:
	rm -rf .venv build dist demo docs/_build docs/generated

# torch first and alone: whatever else asks for it then finds the pinned build.
.venv/.demo: constraints.txt pyproject.toml
	$(PYTHON) -m venv .venv
	$(PIP) "setuptools<82" wheel
	$(PIP) torch
	$(PIP) --editable .
	touch $@

.venv/.test: .venv/.demo
	$(PIP) --editable ".[dev]"
	touch $@
