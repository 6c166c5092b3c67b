# Everything a newcomer needs: `make demo` to see it run, `make test` to see it hold.
# Each target sets up .venv by itself; another interpreter: make PYTHON=python3.13 test; one process: make test WORKERS=0

PYTHON ?= python3
WORKERS ?= 2
PY := .venv/bin/python
PACKAGES := anchong api controller firmware_bridge simulators
PINS := requirements/run.txt requirements/demo.txt
DEV_PINS := requirements/postgresql.txt requirements/dev.txt

.PHONY: demo test check fmt fuzz clean

demo: .venv/.demo-ready
	@$(PY) -m anchong demo $(ARGS)

test: .venv/.dev-ready
	@$(PY) -m pytest -n $(WORKERS) --dist loadfile $(ARGS)

check: .venv/.dev-ready
	@.venv/bin/ruff format --check .
	@.venv/bin/ruff check .
	@.venv/bin/mypy --strict
	@.venv/bin/lint-imports

fmt: .venv/.dev-ready
	@.venv/bin/ruff format .
	@.venv/bin/ruff check --fix .

# Coverage-guided, for a stated time: make fuzz ARGS="--for-s 600"; says how to install what it needs
fuzz: .venv/.dev-ready
	@$(PY) -m tests.fuzz $(ARGS)

clean:
	@rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist *.egg-info
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/.made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
		|| { echo "Python 3.11 or newer is needed: install python3, or say make PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null \
		|| { echo "Python's venv module is missing: apt-get install python3-venv"; exit 1; }
	@$(PY) -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear .venv
	@touch $@

# pip compiles what it installs; our own packages are compiled here, so that the first start is as quick as the next
.venv/.demo-ready: $(PINS) pyproject.toml | .venv/.made
	@echo "Setting up .venv, about half a minute ..."
	@$(PY) -m pip install -q --disable-pip-version-check $(PINS:%=-r %)
	@$(PY) -m pip install -q --disable-pip-version-check --no-deps -e .
	@$(PY) -m compileall -q $(PACKAGES)
	@touch $@

.venv/.dev-ready: $(DEV_PINS) .venv/.demo-ready
	@echo "Adding the tools for tests and checks ..."
	@$(PY) -m pip install -q --disable-pip-version-check $(PINS:%=-r %) $(DEV_PINS:%=-r %)
	@touch $@
