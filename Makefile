.DEFAULT_GOAL := help
# A uv of our own when the machine has none.
UV := $(or $(shell command -v uv 2>/dev/null),.uv/bin/uv)
PYTHON ?= python3
export UV_PYTHON ?= $(PYTHON)
export UV_PYTHON_DOWNLOADS ?= never

.PHONY: help demo install test lint faults bench docs licences audit coverage clean
.PHONY: test-lowest test-newest release-check

help:  ## List the targets
	@grep -hE '^[a-z-]+: .*##' $(MAKEFILE_LIST) | sed -E 's/: .*## /\t/'

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

faults:  ## Try all of tests/faults/, which takes long: kills, full disks, damage, fuzzing, leaks
	RETINT_FAULTS=1 .venv/bin/pytest tests/faults

bench:  ## Print what start-up and colouring take (after make install); more in benchmarks/
	.venv/bin/python benchmarks/startup.py
	.venv/bin/python benchmarks/colorize.py

# Not --quiet: that hides what is wrong.
docs:  ## Build the documentation into site/ (after make install)
	NO_MKDOCS_2_WARNING=1 .venv/bin/mkdocs build --strict

licences:  ## Check the licences of what make install has installed
	.venv/bin/python scripts/check_licences.py

audit: $(UV)  ## Look up the locked packages among known vulnerabilities (asks PyPI)
	$(UV) export --quiet --locked --all-extras --no-emit-project -o .audit.txt
	$(UV) tool run pip-audit --strict --require-hashes --disable-pip -r .audit.txt
	rm .audit.txt

# But for those of full disks, where the measuring itself fails.
coverage:  ## Run the tests and say which lines they leave out (after make install)
	.venv/bin/pytest --cov --cov-report=term --cov-report=html \
		--deselect tests/faults/test_limits.py::test_disks_with_less_and_less_room \
		--deselect tests/faults/test_limits.py::test_a_film_goes_on_when_there_is_room_again

# They test what needs no PyTorch; of the rest, they see whether versions can be found for it.
test-lowest: RESOLUTION = lowest-direct
test-newest: RESOLUTION = highest
test-lowest:  ## Test the core with the lowest versions that pyproject.toml allows
test-newest:  ## Test the core with the newest versions there are
test-lowest test-newest: $(UV)
	$(UV) venv --quiet --clear .venv-$(RESOLUTION)
	$(UV) pip compile --quiet --resolution $(RESOLUTION) --all-extras pyproject.toml >/dev/null
	$(UV) pip install --quiet --python .venv-$(RESOLUTION) --resolution $(RESOLUTION) \
		-e '.[dev,heif,video,web]'
	.venv-$(RESOLUTION)/bin/python -m pytest -q tests/test_lab.py tests/test_merge.py \
		tests/test_photo.py tests/test_hints.py tests/test_colorizer.py tests/test_cli.py \
		tests/web/test_http.py

release-check: $(UV)  ## Build the wheel, install it without an index, colour a sample offline
	UV=$(UV) scripts/check_release.sh

clean:  ## Remove what the other targets made
	rm -rf .venv .venv-* .uv out site dist htmlcov .coverage
