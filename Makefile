# `make run` and `make test` set up what they need in .venv; a second call starts at once.
.DEFAULT_GOAL := help
SHELL := /bin/bash
.PHONY: help run run-dapr test lint fmt lock bench clean

BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

help: ## show this list
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' Makefile

run: .venv/.run ## the example agent on an embedded sidecar, until Ctrl-C
	@exec $(BIN)/python agent.py

run-dapr: .venv/.dev ## the same agent with Redis and Dapr, until Ctrl-C
	@exec $(BIN)/python -m dev.run

test: .venv/.dev ## linters, then all tests; the last line names the backends that ran
	@exec $(BIN)/python -m dev.suite

lint: .venv/.dev ## the linters alone
	@exec $(BIN)/python -m dev.suite --lint

fmt: .venv/.dev ## put the code into its one form
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: .venv/.dev ## the benchmarks, by hand on an idle machine
	@exec $(BIN)/python -m bench

LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --custom-compile-command 'make lock' \
	pyproject.toml --all-extras
lock: .venv/.dev ## write requirements/ anew from pyproject.toml (add UPGRADE=--upgrade for newer releases)
	$(LOCK) $(UPGRADE) --group dev --output-file requirements/dev.txt
	$(LOCK) $(UPGRADE) --group run --constraints requirements/dev.txt --output-file requirements/run.txt

clean: ## remove everything that the other targets made in this folder
	rm -rf .venv .retunable .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Stamps: set up again only when what is installed has changed.
.venv/.run: requirements/run.txt pyproject.toml | .venv/bin/python
	@echo "installing what the agent needs into .venv"
	@$(PIP) install --require-hashes -r requirements/run.txt
	@$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@

.venv/.dev: requirements/dev.txt pyproject.toml | .venv/bin/python
	@echo "installing what the tests need into .venv"
	@$(PIP) install --require-hashes -r requirements/dev.txt
	@$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@ .venv/.run

.venv/bin/python:
	@for python in python3 python3.13 python3.12 python3.11; do \
		if $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
			echo "making .venv with $$($$python --version)"; \
			exec $$python -m venv .venv; \
		fi; \
	done; \
	echo "Retunable needs Python 3.11 or later and its venv module; found neither as python3 nor as python3.11 to python3.13." >&2; \
	exit 1
