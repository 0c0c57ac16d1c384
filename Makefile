# Everything a person needs: make run, make test, make demo. The rest serves development.
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PORT ?= 8888
export PORT
# One process per core. A file stays with one of them, and so do the servers that its tests share.
PARALLEL := --numprocesses=auto --dist=loadfile

.PHONY: help run test soak bench demo lint format clean

help:
	@echo "make run    serve at http://localhost:$(PORT), set up at the first start"
	@echo "make test   all tests, on SQLite and PostgreSQL, with the real Temporal and a real browser"
	@echo "make demo   see it work: Temporal, its Web UI, a Worker that encrypts, and this server"
	@echo "make soak   20,000 decodes by two processes, one of them killed, on SQLite and PostgreSQL"
	@echo "make bench  what a request costs beside a server in the style of Temporal's sample; takes 25 minutes, needs wrk"
	@echo "make lint   ruff, mypy, import contracts, migrations, deployment checks"
	@echo "make format ruff's formatter"

$(VENV)/run.stamp: requirements.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

$(VENV)/dev.stamp: requirements-dev.txt requirements-aws.txt requirements-pkcs11.txt $(VENV)/run.stamp
	$(BIN)/pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@

run: $(VENV)/run.stamp
	@$(BIN)/python manage.py migrate --verbosity 0
	@$(BIN)/python manage.py bootstrap
	@exec $(BIN)/python manage.py serve

test: $(VENV)/dev.stamp
	$(BIN)/python -m pytest $(PARALLEL) tests --ignore=tests/e2e
	TEST_DATABASE=postgresql $(BIN)/python -m pytest $(PARALLEL) tests --ignore=tests/e2e
	$(BIN)/python -m pytest tests/e2e

soak: $(VENV)/dev.stamp
	TEST_SOAK=1 $(BIN)/python -m pytest tests/e2e/test_audit_faults.py -k killed --durations=0

bench: $(VENV)/dev.stamp
	@command -v wrk >/dev/null || { echo "make bench needs wrk: apt-get install wrk"; exit 1; }
	@mkdir -p bench/results
	$(BIN)/python -m bench --verbs decode,encode --output bench/results/$$(date +%Y-%m-%d)-sqlite.json
	$(BIN)/python -m bench --credential token --output bench/results/$$(date +%Y-%m-%d)-sqlite-token.json
	$(BIN)/python -m bench --postgresql --output bench/results/$$(date +%Y-%m-%d)-postgresql.json
	$(BIN)/python -m bench.later --output bench/results/$$(date +%Y-%m-%d)-later-sqlite.json
	$(BIN)/python -m bench.later --postgresql --output bench/results/$$(date +%Y-%m-%d)-later-postgresql.json
	$(BIN)/python -m bench.stall --output bench/results/$$(date +%Y-%m-%d)-stall.json
	$(BIN)/python -m bench.processes --output bench/results/$$(date +%Y-%m-%d)-processes.json
	$(BIN)/python -m bench.memory --output bench/results/$$(date +%Y-%m-%d)-memory.json
	$(BIN)/python -m bench.start --output bench/results/$$(date +%Y-%m-%d)-start.json

demo: $(VENV)/dev.stamp
	@exec $(BIN)/python -m demo

lint: $(VENV)/dev.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python manage.py makemigrations --check --dry-run
	@var=$$(mktemp -d) && export CODEC_VAR=$$var CODEC_PUBLIC_URL=https://codec.example.com CODEC_TRUSTED_PROXIES=1 \
	    CODEC_UI_ORIGINS=https://temporal.example.com && $(BIN)/python manage.py migrate --verbosity 0 \
	    && $(BIN)/python manage.py bootstrap >/dev/null \
	    && $(BIN)/python manage.py check --deploy --fail-level WARNING; status=$$?; rm -rf $$var; exit $$status

format: $(VENV)/dev.stamp
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache
