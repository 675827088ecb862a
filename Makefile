# The verbs of the project. Each one sets up what it needs; `make venv` does nothing when it is up to date.
#
#   make demo    a demo clinic on http://127.0.0.1:8000 (kept in ./demo-clinic)
#   make test    every test that is not marked slow        make test-slow   the slow ones too
#   make check   ruff, mypy, import rules
#   make bench   the figures, as ratios measured in one run
#   make docs    the generated reference pages
#   make lock    new hashed requirement files from pyproject.toml (needs uv on the PATH)

DEMO ?= demo-clinic
CODE := records projections api ops

# The first interpreter that is new enough. `make PYTHON=/path/to/python` overrides it.
PYTHON ?= $(shell for python in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && echo $$python && break; done)

BIN := .venv/bin
STAMP := .venv/installed
LOCK := uv pip compile --quiet --universal --generate-hashes --python-version 3.11 --no-emit-index-url --no-header

.PHONY: venv test test-slow check format bench demo docs lock clean

venv: $(STAMP)

$(STAMP): requirements/dev.txt pyproject.toml
	@if [ -z "$(PYTHON)" ]; then \
		echo "Wellkept needs Python 3.11 or newer, and python3 is older or missing: $$(python3 --version 2>&1)." >&2; \
		echo "Install one, or name it: make venv PYTHON=/path/to/python3.11" >&2; exit 1; fi
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps --editable .
	@touch $(STAMP)

test: venv
	$(BIN)/python -m pytest

test-slow: venv
	$(BIN)/python -m pytest -m "slow or not slow"

check: venv
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy $(CODE)
	$(BIN)/lint-imports --no-cache

format: venv
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: venv
	$(BIN)/wellkept bench

demo: venv
	@if [ -d "$(DEMO)" ]; then exec $(BIN)/wellkept serve --data "$(DEMO)"; \
	else exec $(BIN)/wellkept demo --data "$(DEMO)"; fi

docs: venv
	$(BIN)/python -m ops.docs

lock:
	$(LOCK) pyproject.toml --extra postgres --extra metrics --extra pkcs11 --extra pdf --extra protection --output-file requirements/runtime.txt
	$(LOCK) pyproject.toml --extra postgres --extra metrics --extra pkcs11 --extra pdf --extra protection --extra test --constraint requirements/runtime.txt --output-file requirements/dev.txt
	$(LOCK) pyproject.toml --extra postgres --extra metrics --extra pkcs11 --extra pdf --extra protection --extra test --extra peers --constraint requirements/dev.txt --output-file requirements/peers.txt

clean:
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
