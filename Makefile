.DEFAULT_GOAL := help
# A uv of our own when the machine has none.
UV := $(or $(shell command -v uv 2>/dev/null),.uv/bin/uv)
PYTHON ?= python3
export UV_PYTHON ?= $(PYTHON)
export UV_PYTHON_DOWNLOADS ?= never

.PHONY: help demo install test lint faults bench clean

help:  ## List the targets
	@grep -hE '^[a-z]+: .*##' $(MAKEFILE_LIST) | sed -E 's/: .*## /\t/'

$(UV):
	$(PYTHON) -m venv .uv
	.uv/bin/pip install --quiet uv

demo: $(UV)  ## Install the core and colour the sample photographs into out/
	$(UV) sync --locked --quiet --inexact
	@start=$$(date +%s); .venv/bin/retint colorize samples -o out --overwrite && \
	echo "done in $$(( $$(date +%s) - start )) s"

install: $(UV)  ## Install everything: training, measuring, the tests' tools
	$(UV) sync --locked --quiet --all-extras

test: install  ## Install everything, check style and types, run the tests
	$(MAKE) --no-print-directory lint
	.venv/bin/pytest

lint:  ## Check style and types (after make test has installed the tools)
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy

faults:  ## Try all of tests/faults/, an hour: kills, full disks, damage, fuzzing, leaks
	RETINT_FAULTS=1 .venv/bin/pytest tests/faults

bench:  ## Print the tables of benchmarks/ (after make test has installed everything)
	.venv/bin/python benchmarks/startup.py
	.venv/bin/python benchmarks/colorize.py

clean:  ## Remove what the other targets made
	rm -rf .venv .uv out
