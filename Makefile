# Every target that a person may call has its help behind `##`. Start with `make help`.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
RUNS := $(VENV)/.runs
PROTOS := $(wildcard protos/tradingtools/v1/*.proto) third_party/ext_authz/external_auth.proto
SERVICES := $(shell grep -l '^service ' $(PROTOS))
PROTOC := PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m grpc_tools.protoc -Iprotos -Ithird_party
# Of the tests, on two cores: a third of their time they wait.
WORKERS ?= 3
# Hundreds of processes are started here: each would compile the project anew.
unexport PYTHONDONTWRITEBYTECODE

# `make run FOR=60` is `TT_LAUNCHER_FOR_SECONDS=60 python -m launcher`.
run: export TT_LAUNCHER_FOR_SECONDS := $(or $(FOR),$(TT_LAUNCHER_FOR_SECONDS))
run: export TT_LAUNCHER_LIVE := $(or $(LIVE),$(TT_LAUNCHER_LIVE))
run: export TT_LAUNCHER_SIGNER := $(or $(SIGNER),$(TT_LAUNCHER_SIGNER))
run: export TT_LAUNCHER_BOTS := $(or $(BOTS),$(TT_LAUNCHER_BOTS))
run: export TT_LAUNCHER_FOLLOWERS := $(or $(FOLLOWERS),$(TT_LAUNCHER_FOLLOWERS))
run: export TT_LAUNCHER_REST_PORT := $(or $(REST_PORT),$(TT_LAUNCHER_REST_PORT))
run: export TT_LAUNCHER_STATE_DIR := $(or $(STATE),$(TT_LAUNCHER_STATE_DIR))

# A comma inside $(or ...) separates its words.
comma := ,
COUNTS := $(or $(FOLLOWERS),1$(comma)10$(comma)100$(comma)1000)

.PHONY: bench bench-bots bench-compare bench-events bench-guard bench-parts bench-perfmon help setup run check health verify-audit test checks pytest test-long chaos simulate mutations needs kill-lines kill-lines-bots lint types imports proto proto-check fmt requirements promtool browser boards clickhouse sbom advisories clean

help: ## Show what there is to make
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sort | awk -F ':.*## ' '{printf "  %-14s %s\n", $$1, $$2}'

setup: $(READY) ## Make the environment from pinned hashes (done once; again when the pins change)

$(RUNS): requirements.txt
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON): not found; install Python 3.11 or say make PYTHON=..." >&2; exit 2; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing pinned packages into $(VENV) (once, a minute or two)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	@touch $@

$(READY): $(RUNS) requirements-dev.txt requirements-sdk.txt
	@echo "installing what tests and checks need besides (once, a minute or two)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements-sdk.txt
	@touch $@

run: $(RUNS) ## Run everything and watch it: FOR=60 ends by itself, LIVE=1 real feeds, SIGNER=1 wallets, BOTS=1 bots, FOLLOWERS=3, REST_PORT=8080, STATE=dir
	@exec $(BIN)/python -m launcher

health: $(RUNS) ## Ask each process of the run that goes on, or of the one in STATE=dir, how it is
	@$(BIN)/python -m launcher health $(STATE)

verify-audit: $(RUNS) ## Verify the audit in TT_DATABASE_URL: changes, histories of orders, seals
	@$(BIN)/python -m tools.verify_audit

check: $(RUNS) ## Check the invariants of the last run, or of STATE=dir
	@$(BIN)/python -m launcher check $(STATE)

test: needs checks simulate mutations pytest ## Everything CI runs (there SEEDS=2000); ends with pytest's closing line

checks: $(READY) ## All that looks at the code without running it, two at a time
	@$(MAKE) --no-print-directory --jobs=2 --output-sync=target types lint imports proto-check

needs: ## Fetch promtool and Chromium for the tests; without them theirs skip, and say so
	-@$(MAKE) --no-print-directory promtool
	@$(MAKE) --no-print-directory browser || true

pytest: $(READY) ## The tests alone (ARGS="-k name" picks some, WORKERS=3 processes)
	@$(BIN)/python -m pytest -q -n $(WORKERS) --dist loadfile --no-loadscope-reorder $(ARGS)

test-long: $(READY) ## The long forms of the tests (marker `long`), which CI leaves out; ARGS and WORKERS as above
	@$(BIN)/python -m pytest -q -n $(WORKERS) --dist loadfile --no-loadscope-reorder -m long $(ARGS)

chaos: $(READY) ## Random faults on real processes: SEEDS=1 one after the other, MINUTES=5 in all, OUT=report.json
	@exec $(BIN)/python -m tests.fault.chaos --seeds $(or $(SEEDS),1) --minutes $(or $(MINUTES),5) $(if $(OUT),--out $(OUT))

simulate: $(READY) ## Seeds of the deterministic simulation: SEEDS=240 FROM=1 JOBS=2
	@$(BIN)/python -m tests.simulation --seeds $(or $(SEEDS),240) --from $(or $(FROM),1) --jobs $(or $(JOBS),2)

mutations: $(READY) ## Remove each protection of the money path in turn: some seed has to notice (JOBS=2)
	@$(BIN)/python -m tests.simulation --mutations --jobs $(or $(JOBS),2)

bench: $(READY) ## System beside the durable floor, in turns: FOLLOWERS=1,10,100,1000 ROUNDS=1 WHOLE=1 (noise, bursts) TRADES=20 (of a leader at once) READS=1000 (beside REST reads) SKELETON=1 (what the architecture alone costs) AWAKE=1 (cores that never halt)
	@exec $(BIN)/python -m bench --followers $(COUNTS) --rounds $(or $(ROUNDS),1) $(if $(WHOLE),--whole) $(if $(TRADES),--trades $(TRADES)) $(if $(READS),--reads $(READS)) $(if $(SKELETON),--skeleton) $(if $(AWAKE),--awake) $(if $(OUT),--out $(OUT))

bench-compare: $(READY) ## The same, and what got slower than in BASE=file (.state/bench.json of another run)
	@exec $(BIN)/python -m bench --followers $(COUNTS) --rounds $(or $(ROUNDS),1) $(if $(WHOLE),--whole) --out .state/bench-new.json --base $(or $(BASE),.state/bench.json)

bench-bots: $(READY) ## A book to the first byte with and without a bot, a permit and a bare commit, a core of quoting bots (ARGS="--updates 500 --bots 200 --wallets 20 --seconds 20")
	@exec $(BIN)/python -m bench.bots $(ARGS)

bench-guard: $(READY) ## From a book to a committed exit with many armed triggers (ARGS="--triggers 100000 --deltas 2500 --seconds 20 --awake")
	@exec $(BIN)/python -m bench.guard $(ARGS)

bench-perfmon: $(READY) ## From a mark to a performance action with 10,000 subscriptions (ARGS="--subscriptions 10000 --assets 500 --marks 500 --falls 10")
	@exec $(BIN)/python -m bench.perfmon $(ARGS)

bench-parts: $(READY) ## What is measured beside that race: ONLY="fairness filter deltas claims sign patch memory start first cold scale" FOLLOWERS=1000 ROUNDS=1
	@exec $(BIN)/python -m bench.parts $(ONLY) --followers $(or $(FOLLOWERS),1000) --rounds $(or $(ROUNDS),1) $(if $(OUT),--out $(OUT))

bench-events: $(READY) ## How late the log of events is, what it costs, and how many webhooks leave (ARGS="--followers 100 --orders 100 --seconds 20 --endpoints 100 --bad 10 --events 200")
	@exec $(BIN)/python -m bench.events $(ARGS)

kill-lines: $(READY) ## kill -9 at every line of the money path, about 20 minutes, or in pieces (SAMPLE=40 takes some, MINUTES=5 STEPS=dir goes on where it was, LOOKING=1 kills nobody, SEED=1, KEEP=dir)
	@exec $(BIN)/python -m tests.fault.kill_lines --seed $(or $(SEED),1) $(if $(SAMPLE),--sample $(SAMPLE)) $(if $(MINUTES),--minutes $(MINUTES)) $(if $(STEPS),--steps $(STEPS)) $(if $(LOOKING),--looking) $(if $(KEEP),--keep $(KEEP))

kill-lines-bots: $(READY) ## The same for an engine of bots, in pieces (PIECE=okx.sending, MINUTES=5 each, STEPS=dir goes on where it was, REPORT=1 tells what STEPS has not)
	@exec $(BIN)/python -m tests.bots.kill_lines --seed $(or $(SEED),1) $(if $(PIECE),--piece $(PIECE)) $(if $(MINUTES),--minutes $(MINUTES)) $(if $(STEPS),--steps $(STEPS)) $(if $(LOOKING),--looking) $(if $(REPORT),--report)

lint: $(READY) ## Style and mistakes (ruff), formatting included
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types: $(READY) ## Types (mypy --strict)
	@$(BIN)/mypy

imports: $(READY) ## Who may import whom (.importlinter)
	@$(BIN)/lint-imports

proto: $(READY) ## Generate tradingtools/v1, ext_authz, docs/openapi.json and the Python client from protos/
	@$(PROTOC) --python_out=. --mypy_out=quiet:. $(PROTOS)
	@$(PROTOC) --grpc_python_out=. --mypy_grpc_out=quiet:. $(SERVICES)
	@$(BIN)/python -m tools.openapi
	@$(BIN)/python -m tools.client

proto-check: $(READY) ## Protos: lint, format, breaking changes, and that what is generated is theirs
	@$(BIN)/buf lint
	@$(BIN)/buf format -d --exit-code protos
	@base=$$(git merge-base HEAD main 2>/dev/null || true); \
	if [ "$$base" = "$$(git rev-parse HEAD 2>/dev/null)" ]; then base=$$(git rev-parse -q --verify HEAD~1 || true); fi; \
	if [ -n "$$base" ] && git cat-file -e "$$base:buf.yaml" 2>/dev/null; then \
		old=$$(mktemp -d); trap 'rm -rf "$$old"' EXIT; \
		git archive "$$base" buf.yaml protos third_party | tar -x -C "$$old"; \
		$(BIN)/buf breaking --against "$$old"; \
	else echo "proto-check: no parent to compare with, breaking changes not checked"; fi
	@new=$$(mktemp -d); trap 'rm -rf "$$new"' EXIT; \
	$(PROTOC) --python_out="$$new" --mypy_out="quiet:$$new" $(PROTOS); \
	$(PROTOC) --grpc_python_out="$$new" --mypy_grpc_out="quiet:$$new" $(SERVICES); \
	for file in $$(cd "$$new" && find . -name '*_pb2*'); do \
		diff -q "$$new/$$file" "$$file" >/dev/null || { echo "$$file is not what protos/ generate; run make proto" >&2; exit 1; }; \
	done; \
	for file in tradingtools/v1/*_pb2*; do \
		test -e "$$new/$$file" || { echo "$$file belongs to no proto; remove it" >&2; exit 1; }; \
	done
	@$(BIN)/python -m tools.openapi --check
	@$(BIN)/python -m tools.client --check

fmt: $(READY) ## Format code and protos
	@$(BIN)/ruff check --fix --quiet . || true
	@$(BIN)/ruff format .
	@$(BIN)/buf format -w protos

requirements: $(READY) ## Pin again what requirements*.in ask for (hashes, no download addresses)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check pip-tools
	@for name in requirements requirements-dev; do \
		$(BIN)/pip-compile --quiet --generate-hashes --allow-unsafe --no-emit-index-url --no-emit-trusted-host --no-emit-find-links --strip-extras --output-file $$name.txt $$name.in; \
	done

promtool: ## Fetch promtool from Debian's package into build/ unless it is installed; starts and installs nothing
	@command -v promtool >/dev/null || test -x build/prometheus/usr/bin/promtool || { \
		mkdir -p build/prometheus && cd build/prometheus && \
		{ apt-get download -qq prometheus 2>/dev/null || { apt-get update -qq && apt-get download -qq prometheus; }; } && \
		dpkg -x prometheus_*.deb . && rm prometheus_*.deb; }

clickhouse: ## Fetch Debian's old ClickHouse server with its libraries into build/; installs nothing
	@command -v clickhouse-server >/dev/null || test -x build/clickhouse/usr/sbin/clickhouse-server || { \
		mkdir -p build/clickhouse && cd build/clickhouse && \
		{ apt-cache show clickhouse-server >/dev/null 2>&1 || apt-get update -qq; } && \
		apt-get download -qq $$(apt-get install --simulate --no-install-recommends clickhouse-server | awk '/^Inst/ {print $$2}') && \
		for package in *.deb; do dpkg -x $$package . && rm $$package; done; }

browser: ## Install Debian's Chromium unless there is one, as root; the console's tests skip without it
	@$(if $(shell command -v chromium || test "$$(id -u)" = 0 && echo root),,$(error no Chromium: apt-get install chromium, as root))
	@command -v chromium >/dev/null || { \
		export DEBIAN_FRONTEND=noninteractive; \
		install() { apt-get install -qq -y --no-install-recommends chromium fonts-dejavu-core >/dev/null; }; \
		install 2>/dev/null || { apt-get update -qq; install; }; }

boards: $(READY) ## Write Grafana's boards, deploy/observability/grafana, from tools/boards.py
	@$(BIN)/python -m tools.boards

sbom: $(READY) ## List the pinned packages with versions and digests (CycloneDX) in build/sbom.json, or OUT=file
	@mkdir -p build
	@$(BIN)/python -m tools.sbom > $(or $(OUT),build/sbom.json)

advisories: $(READY) ## Compare the pinned packages with a copy of advisories (OSV) in DIR=directory, without a network
	@$(BIN)/python -m tools.advisories $(DIR)

clean: ## Remove the environment, caches and states of runs
	@rm -rf $(VENV) .state .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build
