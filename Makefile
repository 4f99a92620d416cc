# Every command that a person runs; `make help` lists them.

.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# The first Python that is there and that Lambda has, too; PYTHON=python3.12 chooses another.
CANDIDATES := python3 python3.13 python3.12 python3.11 python
IS_FIT := import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))
ifeq ($(origin PYTHON),undefined)
PYTHON := $(shell for python in $(CANDIDATES); do \
  if $$python -c '$(IS_FIT)' >/dev/null 2>&1; then echo $$python; break; fi; done)
endif

VENV := .venv/bin
PLATFORM := $(VENV)/python -m localstack
# What works on any stack that runs: here, or with TARGET=aws in the account of the shell (STACK names another one).
OPERATE = $(VENV)/python -m tools.operate $(if $(TARGET),--target "$(TARGET)") $(if $(STACK),--stack "$(STACK)")
SOURCES := functions layers localstack tests tools benchmarks
LAYERS := $(patsubst layers/%/Makefile,%,$(wildcard layers/*/Makefile))
LOCK := $(VENV)/uv pip compile --quiet --generate-hashes --universal --no-header --no-emit-index-url \
  --python-version 3.11 --no-config --excludes requirements/excluded.in
# It runs on one Python, and its requirements contradict each other on the next one.
LOCK_LOCALSTACK := $(patsubst 3.11,3.13,$(filter-out --universal,$(LOCK)))

# ---------------------------------------------------------------- environments

.PHONY: python environment environments setup-dev install-deps

python:
	@if [ -z "$(PYTHON)" ] || ! $(PYTHON) -c '$(IS_FIT)' 2>/dev/null; then \
	  echo "  Python 3.11, 3.12 or 3.13 is needed; $(or $(PYTHON),python3) is $$($(or $(PYTHON),python3) --version 2>&1 || true)" >&2; \
	  echo "  what to do  install one, or name it: PYTHON=python3.12 make $(MAKECMDGOALS)" >&2; exit 1; fi

environment: python
	@$(PYTHON) -m localstack.environments dev

environments: python
	@$(PYTHON) -m localstack.environments

setup-dev install-deps: environments ## make the environments with all that is locked (every other command does so, too)
	@echo "  environment   .venv and .local/platform are ready; nothing else needs installing (make up starts the platform)"

# ---------------------------------------------------------------- the platform on this machine

.PHONY: up up-build down status logs healthcheck build deploy promote describe database-stop database-start sam-local

up: environments ## start everything, deploy what changed, print the URL
	@$(PLATFORM) up

up-build: environments ## build, then start everything (make up builds what changed by itself)
	@$(PLATFORM) build
	@$(PLATFORM) up

down: ## stop everything; the state stays
	@if [ -x $(VENV)/python ]; then $(PLATFORM) down; else echo "  platform      was never started"; fi

status: environment ## what runs, where it listens, what is deployed
	@$(PLATFORM) status

logs: environment ## follow the logs of all functions and of the platform
	@$(PLATFORM) logs all

# A service is a folder of functions/ with a service.py, which also says by which older words it is known.
logs-%: environment ## follow the logs of one service
	@$(PLATFORM) logs $*

dev-%: environments ## start everything, have each saved edit of one service live in a second or two, follow its logs
	@$(PLATFORM) dev $*

healthcheck: environment ## GET /healthz?deep=true
	@$(PLATFORM) healthcheck

build: environment ## build functions and layers
	@$(PLATFORM) build

deploy: environments ## build and put the present sources live
	@$(PLATFORM) deploy

promote: environment ## make an account an admin: make promote EMAIL=you@example.com [TARGET=aws]
	@test -n "$(EMAIL)" || { echo "  say whom: make promote EMAIL=you@example.com" >&2; exit 1; }
	@$(OPERATE) promote "$(EMAIL)"

describe: environment ## the running platform as JSON, for scripts
	@$(PLATFORM) describe

database-stop database-start: environment ## stop or start PostgreSQL alone, to see the platform without it
	@$(PLATFORM) database $(@:database-%=%)

SAM_PORT ?= 3001
sam-local: environment ## serve the API by sam local too, functions in Docker, before the platform that runs: [SAM_PORT=3001]
	@$(PLATFORM) sam-local --port $(SAM_PORT)

# ---------------------------------------------------------------- LocalStack, without Docker
ON_LOCALSTACK := $(VENV)/python -m localstack.targets.localstack
.PHONY: up-localstack down-localstack

up-localstack: environments ## the platform on LocalStack: http://localhost:13000 [LOCALSTACK_API_PORT=13000 LOCALSTACK_PORT=14566]
	@$(ON_LOCALSTACK) up

down-localstack: ## stop it, state and all
	@if [ -x $(VENV)/python ]; then $(ON_LOCALSTACK) down; else echo "  LocalStack    was never started"; fi

# ---------------------------------------------------------------- the history

.PHONY: verify-index reindex redrive
# The shell has a USER of its own; only one that is given to make counts.
USER_ID = $(if $(filter command line,$(origin USER)),$(USER))
INDEX_OPTIONS = --service "$(SERVICE)" --user "$(USER_ID)" --from "$(FROM)" --to "$(TO)" $(if $(GRACE),--grace $(GRACE))

verify-index: environment ## compare history and records: [SERVICE=image] [USER=id] [FROM=2026-11-01] [TO=…] [TARGET=aws]
	@$(OPERATE) verify-index $(INDEX_OPTIONS)

reindex: environment ## repair the history from the records: SERVICE=image [USER=id] [FROM=…] [TO=…] [TARGET=aws]
	@$(OPERATE) reindex $(INDEX_OPTIONS)

redrive: environment ## move the messages of the dead-letter queues back: [SERVICE=image, or usage] [TARGET=aws]
	@$(OPERATE) redrive --service "$(SERVICE)"

# ---------------------------------------------------------------- usage

.PHONY: verify-usage recount forget scrape-token query prometheus

verify-usage: environment ## compare usage with the records: [FROM=2026-11-01] [TO=…] [TARGET=aws]
	@$(OPERATE) verify-usage --from "$(FROM)" --to "$(TO)"

recount: environment ## count anew from the records, while the platform runs: [FROM=2026-11-01] [TO=…] [TARGET=aws]
	@$(OPERATE) recount --from "$(FROM)" --to "$(TO)"

query: environment ## ask the records anything, in DuckDB's SQL: SQL="SELECT … FROM calls" [FROM=2026-11-01] [TO=…] [TARGET=aws]
	@test -n "$(value SQL)" || { echo "  say what: make query SQL=\"SELECT service, count(*) FROM calls GROUP BY 1\"" >&2; exit 1; }
	@$(PYTHON) -m localstack.environments query
	@SQL='$(subst ','\'',$(value SQL))' $(OPERATE) query --from "$(FROM)" --to "$(TO)"

scrape-token: environment ## write the token of /metrics to where Prometheus' configuration looks for it [TARGET=aws]
	@$(OPERATE) scrape-token

# The integration tests let it scrape; without it that test is skipped.
prometheus: ## install Debian's Prometheus and promtool, as root, unless they are there
	@command -v prometheus promtool >/dev/null || { as_root=$$([ $$(id -u) = 0 ] || echo sudo); \
	  $$as_root apt-get -qq update && $$as_root apt-get install -qq --no-install-recommends prometheus; }
	@prometheus --version 2>&1 | head -1

forget: environment ## remove an account and all that is its own, after asking: USER=id-or-address [YES=1] [TARGET=aws]
	@test -n "$(USER_ID)" || { echo "  say whom: make forget USER=you@example.com" >&2; exit 1; }
	@$(OPERATE) forget --user "$(USER_ID)" $(if $(YES),--yes)

# ---------------------------------------------------------------- tests

.PHONY: browser test test-platform test-unit test-integration test-console test-localstack capabilities test-clock test-runtimes fuzz lint template openapi docs new-service-check format

# tests/conftest.py says which tests stay together. Those that share a platform take longest, so they begin.
AT_ONCE := -n 2 --no-loadscope-reorder
# Byte code among the sources would make `sam build` take them for changed.
test test-platform test-unit test-integration test-console test-localstack test-clock test-runtimes fuzz lint template openapi docs new-service-check: export PYTHONDONTWRITEBYTECODE := 1

# Debian's Chromium, where apt may install it; where there is none, the tests that need it say so and are skipped.
browser: environment
	@$(VENV)/python -m tools.browser

# What starts platforms, and what floods, kills, cuts off and rotates one: long, and in CI.
THE_PLATFORM_ITSELF := tests/integration/operations tests/integration/platform tests/integration/ministack
COVERED := --cov --cov-branch --cov-report=term --cov-fail-under=90

test: environments browser ## unit and integration tests [COVERAGE=1: with branch coverage, 90 % or more]
	@$(if $(COVERAGE),$(VENV)/coverage erase)
	@$(VENV)/python -m pytest $(AT_ONCE) tests/integration tests/unit $(THE_PLATFORM_ITSELF:%=--ignore %) $(if $(COVERAGE),$(COVERED))

test-platform: environments ## the platform's life and hardships: builds, crowds, killed workers, outages, rotation, roles; MiniStack's faults
	@$(VENV)/python -m pytest $(AT_ONCE) $(THE_PLATFORM_ITSELF)

test-unit: environment ## unit tests: no network, no platform
	@$(VENV)/python -m pytest $(AT_ONCE) tests/unit

test-integration: environments browser ## integration tests on a platform of their own [EMULATOR=localstack] [RECORD=1: for make capabilities]
	@$(VENV)/python -m pytest $(AT_ONCE) tests/integration

test-console: environments browser ## the console in a real browser: every page, axe-core, hostile texts; pictures in .local/console
	@$(VENV)/python -m tools.browser --fonts
	@$(VENV)/python -m pytest -n0 tests/console

# What tells most in little time; all of it is EMULATOR=localstack make test-integration.
LOCALSTACK_TESTS := capabilities finds journey sessions usage

test-localstack: environments ## a part of the integration tests on LocalStack (needs Python 3.13, too)
	@EMULATOR=localstack $(VENV)/python -m pytest $(LOCALSTACK_TESTS:%=tests/integration/test_%.py)

capabilities: environment ## show in docs/emulators.md what make test-integration RECORD=1 has found
	@$(VENV)/python -m tools.capabilities write

test-clock: environment ## unit tests just before midnight of odd days, in other zones, on each Python (Linux, with a C compiler)
	@$(VENV)/python -m tests.clock $(AT_ONCE) $(or $(TESTS),tests/unit)

test-runtimes: environment ## unit tests on the other Pythons of Lambda that this machine has
	@$(VENV)/python -m tools.runtimes $(AT_ONCE) $(or $(TESTS),tests/unit)

# A part is auth, protected or a generating service.
test-%: environment ## call one part of the running platform, print what goes and comes: [TARGET=aws]
	@$(OPERATE) smoke $*

fuzz: environments ## call everything that the API's description tells, with schemathesis: [SECONDS=600] [SEED=7]
	@$(PYTHON) -m localstack.environments fuzz
	@$(VENV)/python -m tests.fuzz $(if $(SECONDS),--seconds $(SECONDS)) $(if $(SEED),--seed $(SEED))

lint: environment ## ruff, mypy, import rules, the template with rules of our own, all that is generated
	@$(VENV)/ruff check $(SOURCES)
	@$(VENV)/ruff format --check $(SOURCES)
	@$(VENV)/mypy functions layers localstack tools
	@$(VENV)/python -m tools.import_rules
	@PYTHONPATH=. $(VENV)/cfn-lint template.yaml --append-rules tools/cfn_rules --mandatory-checks E9
	@$(VENV)/python -m tools.template check
	@$(VENV)/python -m tools.openapi check
	@$(VENV)/python -m tools.docs check
	@$(VENV)/python -m tools.capabilities check

template: environment ## render template.yaml from tools/template and the services' descriptors
	@$(VENV)/python -m tools.template write

openapi: environment ## write the API's description, functions/ops/openapi.json (ALLOW_BREAKING=1: also when clients break)
	@$(VENV)/python -m tools.openapi write $(if $(ALLOW_BREAKING),--allow-breaking)

docs: environment ## write the tables of the documentation: services, routes, parameters, limits, commands
	@$(VENV)/python -m tools.docs write

new-service-check: environments ## follow docs/adding-a-service.md in a copy: what a service costs, and that it works
	@$(VENV)/python -m tools.new_service

format: environment ## format the code and sort imports
	@$(VENV)/ruff check --fix-only --quiet $(SOURCES)
	@$(VENV)/ruff format $(SOURCES)

# ---------------------------------------------------------------- benchmarks

.PHONY: bench-index bench-cold-start bench-calls bench-burst bench-chat bench-deploy bench-usage verify-usage-history usage-burst

bench-cold-start: build ## what each function imports at a cold start, to benchmarks/results [BEFORE=build of another commit] [ONLY="image.get users.me"]
	@$(VENV)/python benchmarks/cold_start.py --boto3 $$(ls -d .local/platform/lambda/lib/python3*/site-packages) \
	  $(if $(BEFORE),--before $(BEFORE)) $(if $(ONLY),--only $(ONLY))

bench-index bench-calls bench-burst bench-chat bench-deploy: export PYTHONPATH := layers/core:layers/generation:functions
bench-index bench-calls bench-burst bench-chat bench-deploy: export PYTHONDONTWRITEBYTECODE := 1
bench-calls: environments ## what each call takes beside its floor, on a platform of its own [ROUNDS=60]
	@$(VENV)/python -m benchmarks.calls $(if $(ROUNDS),--rounds $(ROUNDS))

bench-burst: environments ## fifty pictures at once from cold, memory, and 32 at once beside a plain container (Linux)
	@$(VENV)/python -m benchmarks.burst

bench-chat: environments ## what a message takes beside a picture, and when a streamed answer's pieces come [ROUNDS=40]
	@$(VENV)/python -m benchmarks.chat $(if $(ROUNDS),--rounds $(ROUNDS))

bench-deploy: environments ## a deployment when nothing has changed, and how soon an edit is live [ROUNDS=5]
	@$(VENV)/python -m benchmarks.deploy $(if $(ROUNDS),--rounds $(ROUNDS))

bench-index: environments ## what a line of a long history costs, and a page (QUICK=1: fewer points, writes nothing)
	@$(VENV)/python -m benchmarks.index $(if $(QUICK),--quick)

verify-usage-history bench-usage usage-burst: export PYTHONPATH := functions:layers/core:layers/accounts:layers/generation
verify-usage-history bench-usage usage-burst: export PYTHONDONTWRITEBYTECODE := 1
verify-usage-history: environment ## compare the analytics routes with the records of ninety made-up days: [RECORDS=50000]
	@$(VENV)/python -m benchmarks.usage_history $(if $(RECORDS),--records $(RECORDS))

bench-usage: environment ## what an overview of 400 days costs at a million calls, and at a thousand: [QUICK=1]
	@$(VENV)/python -m benchmarks.usage_overview $(if $(QUICK),--quick)

usage-burst: environment ## write 10,000 records at once on the platform here, and see that each counts once: [RECORDS=10000] [CHAOS=1] [SEED=1]
	@$(VENV)/python -m benchmarks.usage_burst $(if $(RECORDS),--records $(RECORDS)) $(if $(CHAOS),--chaos) $(if $(SEED),--seed $(SEED))

# ---------------------------------------------------------------- upkeep

.PHONY: lock vendor clean help

lock: environment ## resolve all requirements anew (UPGRADE=1: to the newest versions)
	@$(LOCK) $(if $(UPGRADE),--upgrade) requirements/uv.in -o requirements/uv.txt
	@$(LOCK) $(if $(UPGRADE),--upgrade) requirements/dev.in -o requirements/dev.txt
	@$(LOCK) $(if $(UPGRADE),--upgrade) requirements/platform.in -o requirements/platform.txt
	@$(LOCK) $(if $(UPGRADE),--upgrade) requirements/fuzz.in -o requirements/fuzz.txt
	@$(LOCK) $(if $(UPGRADE),--upgrade) requirements/query.in -o requirements/query.txt
	@$(LOCK) $(if $(UPGRADE),--upgrade) --constraint requirements/dev.txt requirements/bench.in -o requirements/bench.txt
	@$(LOCK) $(if $(UPGRADE),--upgrade) --constraint requirements/dev.txt requirements/lambda.in -o requirements/lambda.txt
	@$(LOCK) $(if $(UPGRADE),--upgrade) --constraint requirements/lambda.txt requirements/localstack-functions.in -o requirements/localstack-functions.txt
	@$(LOCK_LOCALSTACK) $(if $(UPGRADE),--upgrade) requirements/localstack.in -o requirements/localstack.txt
	@for layer in $(LAYERS); do $(LOCK) $(if $(UPGRADE),--upgrade) --constraint requirements/dev.txt \
	  $$(ls layers/$$layer/excluded.in 2>/dev/null | sed 's/^/--excludes /') \
	  layers/$$layer/requirements.in -o layers/$$layer/requirements.txt; done

vendor: environment ## fetch the packages of the console's page anew, as functions/console/vendor/packages.json pins them
	@$(VENV)/python -m tools.vendor

clean: down down-localstack ## remove builds and environments (STATE=1: also accounts, pictures and all other state)
	@rm -rf .venv .aws-sam .coverage .coverage.* .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	@rm -rf .local/platform .local/localstack .local/fuzz .local/query .local/bench .local/runtimes .local/layer-cache .local/build* .local/functions .local/packages .local/logs .local/run
	@find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +
	@if [ -n "$(STATE)" ]; then rm -rf .local; echo "  state         removed"; \
	  elif [ -d .local/state ]; then echo "  state         kept in .local/state (make clean STATE=1 removes it)"; fi

help: python ## this list
	@$(PYTHON) -m tools.commands
