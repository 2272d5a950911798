# Every target bootstraps what it needs, and is quick when that is there already.
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help posture demo venv prepare prepare-lambda-3.13 browser test test-python test-slow test-sandbox test-lambda-3.13 lint lint-python lint-terraform lint-workflows lint-security lint-plans wheel release-check coverage mutation docs picture bench fuzz clean clean-runs lock

# The interpreter named on the command line or in the environment; otherwise the first that the project supports.
SUPPORTED := (3, 11) <= sys.version_info[:2] < (3, 15)
ifeq ($(origin PYTHON),undefined)
PYTHON := $(shell for python in python3 python3.14 python3.13 python3.12 python3.11 \
	"$${PYENV_ROOT:-$$HOME/.pyenv}"/versions/3.1[1-4].*/bin/python; do \
	"$$python" -c 'import sys; sys.exit(not $(SUPPORTED))' 2>/dev/null && echo "$$python" && break; done)
PYTHON := $(or $(PYTHON),python3)
endif
VENV := .venv
BIN := $(VENV)/bin
CHECKOV_VENV := .venv-checkov
PROWLER_VENV := .venv-prowler
# The runtime of the function in AWS: found on the PATH or among pyenv's versions, or named on the command line.
LAMBDA_VENV := .venv-lambda
LAMBDA_PYTHON ?= $(shell for python in python3.13 "$${PYENV_ROOT:-$$HOME/.pyenv}"/versions/3.13.*/bin/python; do \
	"$$python" -c 'import venv' 2>/dev/null && echo "$$python" && break; done)
# Prowler 5.46 does not install on Python 3.14.
PROWLER_PYTHON ?= $(shell for python in "$(PYTHON)" python3.13 python3.12 python3.11 "$${PYENV_ROOT:-$$HOME/.pyenv}"/versions/3.1[1-3].*/bin/python; do \
	"$$python" -c 'import sys, venv; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' 2>/dev/null && echo "$$python" && break; done)
JUDGES := tests/judges/node_modules
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# What is installed here is not compiled: without its bytecode, each of the hundreds of processes would compile it again.
unexport PYTHONDONTWRITEBYTECODE

help: ## Show this help
	@sed -n 's/^\([a-z0-9.-]*\):[^#]*## \(.*\)/make \1\t\2/p' $(MAKEFILE_LIST)

demo: $(VENV)/.demo-ready ## Run a rollout to an emulated organization on this machine
	$(BIN)/python scripts/rollout.py demo

venv: $(VENV)/.demo-ready ## Create the Python environment .venv, with the command session-manager-fleet

prepare: $(VENV)/.ready $(CHECKOV_VENV)/.ready $(JUDGES)/.ready browser prepare-lambda-3.13 ## Install what lint and the tests need

prepare-lambda-3.13: $(if $(LAMBDA_PYTHON),$(LAMBDA_VENV)/.ready)

browser: $(VENV)/.ready
	@$(BIN)/python tools/browser.py

# Three for each core: for half of its time, a test waits for the provider, which waits for AWS to settle.
TEST_PROCESSES ?= $(shell echo $$((3 * $$(getconf _NPROCESSORS_ONLN))))

# Both suites at once: the function's one needs one core, and shows nothing until it has ended.
test: $(VENV)/.ready $(CHECKOV_VENV)/.ready $(JUDGES)/.ready browser prepare-lambda-3.13 ## Run the tests, against the real terraform and the emulated organization
	@$(MAKE) --no-print-directory --jobs=2 test-python test-lambda-3.13

test-python: $(VENV)/.ready $(CHECKOV_VENV)/.ready $(JUDGES)/.ready browser
	$(BIN)/python -m pytest -m "not slow" --numprocesses $(TEST_PROCESSES) --dist loadgroup --no-loadscope-reorder

test-slow: $(VENV)/.ready $(CHECKOV_VENV)/.ready $(JUDGES)/.ready browser ## Run the longest tests, which make test leaves out
	$(BIN)/python -m pytest -m slow --numprocesses $(TEST_PROCESSES) --dist loadgroup --no-loadscope-reorder

test-sandbox: $(VENV)/.ready ## Run the tests of the emulated organization only
	$(BIN)/python -m pytest --numprocesses 2 --dist loadgroup tests/aws_sandbox

# Without the fixtures of the other suites, which need the whole environment, and without the failure of each of all calls
# in turn, which is half of the suite: in which order calls are made is the same in all versions of Python.
test-lambda-3.13: prepare-lambda-3.13 ## Run the function's suite on Python 3.13, its runtime in AWS
ifneq ($(LAMBDA_PYTHON),)
	MODEL_STEPS=100 $(LAMBDA_VENV)/bin/python -m pytest --quiet -k 'not whichever_call_fails' --confcutdir tests/session_preferences -p no:cacheprovider tests/session_preferences > $(LAMBDA_VENV)/suite.log 2>&1 || { cat $(LAMBDA_VENV)/suite.log; exit 1; }
	@echo "The function's suite on Python 3.13: $$(tail -n 1 $(LAMBDA_VENV)/suite.log)"
else ifeq ($(CI),true)
	@echo "The function's suite needs Python 3.13, its runtime in AWS: install it, or set LAMBDA_PYTHON=…" >&2; exit 1
else
	@echo "SKIPPED: the function's suite on Python 3.13, its runtime in AWS; no such interpreter was found. Set LAMBDA_PYTHON=…" >&2
endif

lint: lint-python lint-terraform lint-workflows lint-security ## Check style, types, terraform, generated files and security posture

lint-python: $(VENV)/.ready
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

lint-terraform: $(VENV)/.ready
	$(BIN)/python scripts/package_lambda.py --check
	$(BIN)/python tools/terraform_docs.py --check
	$(BIN)/python tools/architecture.py --check
	$(BIN)/python tools/permissions.py --check
	$(BIN)/python tools/verify_docs.py --check
	terraform fmt -check -recursive -diff
	$(BIN)/python tools/validate_modules.py

# The schemas are those that check-jsonschema carries.
lint-workflows: $(VENV)/.ready ## Check the workflows and actions: security, and GitHub's and GitLab's schemas
	$(BIN)/zizmor --offline --quiet --strict-collection .github
	$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.github-actions .github/actions/*/action.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.dependabot .github/dependabot.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.gitlab-ci --data-transform gitlab-ci examples/organization_gitlab/.gitlab-ci.yml .gitlab/nightly-verify.yml

# SARIF=FILE writes the findings for code scanning, too.
comma := ,
lint-security: $(CHECKOV_VENV)/.ready ## Check the security posture of the Terraform code with checkov
	$(CHECKOV_VENV)/bin/checkov --directory . --config-file .checkov.yaml $(if $(SARIF),--output cli --output sarif --output-file-path console$(comma)$(SARIF))

# Plans have real values, where the code has variables.
lint-plans: $(CHECKOV_VENV)/.ready ## Check all plans of a run with checkov: make lint-plans RUN=runs/ID
	$(CHECKOV_VENV)/bin/checkov --directory $(or $(RUN),$(error RUN=runs/ID is missing)) --config-file tools/checkov_plans.yaml

# The function is measured in its sources: the tests of its package run the same files. COVERAGE_TESTS=… measures a part.
COVERAGE_TESTS ?= tests
coverage: export COVERAGE_FILE := $(CURDIR)/build/coverage/data
coverage: export MEASURE_FUNCTION_SOURCES := 1
coverage: $(VENV)/.ready $(CHECKOV_VENV)/.ready $(JUDGES)/.ready browser ## Run the tests, and fail below 92 % of lines and branches
	rm -rf build/coverage
	mkdir -p build/coverage
	$(BIN)/python -m coverage run -m pytest -m "not slow" --numprocesses $(TEST_PROCESSES) --dist loadgroup --no-loadscope-reorder --override-ini 'pythonpath=. lambda_src' $(COVERAGE_TESTS)
	$(BIN)/python -m coverage combine --quiet
	$(BIN)/python -m coverage report

# It takes hours, and goes on where it was stopped: build/mutation keeps what is known. MUTANTS='session_preferences.document.*'
# tests a part, MUTANTS='--sample 300' as many mutants, the same ones each time; MUTANTS=--report tests nothing.
mutation: $(VENV)/.ready ## Test the tests: at least 85 % of the mutants must be killed
	$(BIN)/python tools/mutation.py $(MUTANTS)

# The same files give the same wheel: dates are those of the last commit.
wheel: $(VENV)/.ready ## Build the wheel of this version into dist/
	SOURCE_DATE_EPOCH=$$(git log -1 --format=%ct) $(BIN)/pip wheel --quiet --no-deps --no-build-isolation --wheel-dir dist .

release-check: $(VENV)/.ready ## Check that a version can be released, build its wheel, and write build/release-notes.md: make release-check VERSION=0.2.0
	$(BIN)/python tools/release.py $(or $(VERSION),$(error VERSION=X.Y.Z is missing)) --notes build/release-notes.md
	@$(MAKE) --no-print-directory wheel
	$(BIN)/python tools/release.py $(VERSION) --wheels dist

posture: $(VENV)/.demo-ready $(PROWLER_VENV)/.ready ## Let Prowler judge what a rollout creates in emulated accounts
	$(BIN)/python tools/posture.py

# Longer on request: make fuzz FUZZ_SECONDS=600
FUZZ_SECONDS ?= 60
fuzz: $(VENV)/.ready ## Read random files of every format for FUZZ_SECONDS each (default 60)
	FUZZ_SECONDS=$(FUZZ_SECONDS) $(BIN)/python -m pytest --numprocesses 2 --timeout 0 tests/fuzz

docs: $(VENV)/.ready ## Write the generated parts of the READMEs and of docs/architecture.md
	$(BIN)/python tools/permissions.py
	$(BIN)/python tools/verify_docs.py
	$(BIN)/python tools/terraform_docs.py
	$(BIN)/python tools/architecture.py

picture: $(VENV)/.ready browser ## Make docs/report.png, the picture of the HTML report
	$(BIN)/python tools/report_picture.py

bench: $(VENV)/.ready ## Measure speed and memory, as ratios against a baseline in the same run
	PYTHONPATH=. $(BIN)/python tests/bench/bench.py

clean: ## Remove environments and caches; runs/ stays
	rm -rf $(VENV) $(CHECKOV_VENV) $(PROWLER_VENV) $(LAMBDA_VENV) $(JUDGES) build .terraform .pytest_cache .mypy_cache .ruff_cache .hypothesis scripts/*.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# A run may hold the only copy of a state that could not be saved.
clean-runs: ## Remove runs/, unless a state in it was not saved
	@left=$$(find runs -name errored.tfstate 2>/dev/null); [ -z "$$left" ] || { echo "These states are saved nowhere else; push or remove them first:" >&2; echo "$$left" >&2; exit 1; }
	rm -rf runs

# The exact versions behind pyproject.toml's ranges, with hashes and without the address of any package index.
lock: $(VENV)/.ready ## Renew requirements/ from pyproject.toml
	$(BIN)/pip install --quiet --require-hashes --requirement requirements/uv.txt
	$(eval COMPILE := $(BIN)/uv pip compile --quiet --generate-hashes --no-emit-index-url --no-header --universal --python-version 3.11)
	$(COMPILE) --upgrade pyproject.toml --extra test --group build --output-file requirements/test.txt
	$(COMPILE) --upgrade pyproject.toml --constraints requirements/test.txt --extra sandbox --group build --output-file requirements/sandbox.txt
	$(COMPILE) --upgrade pyproject.toml --constraints requirements/test.txt --group build --output-file requirements/runtime.txt
	echo 'cdklabs.cdk-validator-cfnguard' | $(COMPILE) --upgrade --no-deps - --output-file requirements/guard.txt
	printf '%s\n' boto3 hypothesis 'moto[kms,s3,ssm]' pytest pytest-timeout pyyaml | $(COMPILE) --upgrade - --constraints requirements/test.txt --output-file requirements/lambda.txt
	echo 'prowler' | $(COMPILE) --upgrade - --output-file requirements/prowler.txt
	echo 'checkov==3.3.30' | $(COMPILE) --upgrade - --output-file requirements/checkov.txt

# Python compiles what it imports: less than half of what is installed here.
define INSTALL
$(BIN)/pip install --quiet --no-compile --require-hashes --requirement $<
$(BIN)/pip install --quiet --no-deps --no-build-isolation --editable .
$(BIN)/python tools/install_cfn_guard.py
endef

# The demo needs no test tools; the tests add theirs to the same environment.
$(VENV)/.demo-ready: requirements/sandbox.txt requirements/guard.txt pyproject.toml | $(BIN)/python
	$(INSTALL)
	@touch $@

$(VENV)/.ready: requirements/test.txt requirements/guard.txt pyproject.toml | $(BIN)/python
	$(INSTALL)
	@touch $@ $(VENV)/.demo-ready

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(None if $(SUPPORTED) else "Python 3.11, 3.12, 3.13 or 3.14 is needed; this is " + sys.version.split()[0] + ". Set PYTHON=…")'
	$(PYTHON) -m venv $(VENV)

$(CHECKOV_VENV)/.ready: requirements/checkov.txt
	$(PYTHON) -m venv $(CHECKOV_VENV)
	$(CHECKOV_VENV)/bin/pip install --quiet --no-compile --require-hashes --requirement requirements/checkov.txt
	@touch $@

$(PROWLER_VENV)/.ready: requirements/prowler.txt
	$(or $(PROWLER_PYTHON),$(error Prowler needs Python 3.11, 3.12 or 3.13: set PROWLER_PYTHON=…)) -m venv $(PROWLER_VENV)
	$(PROWLER_VENV)/bin/pip install --quiet --no-compile --require-hashes --requirement requirements/prowler.txt
	@touch $@

$(LAMBDA_VENV)/.ready: requirements/lambda.txt
	$(LAMBDA_PYTHON) -m venv $(LAMBDA_VENV)
	$(LAMBDA_VENV)/bin/pip install --quiet --no-compile --require-hashes --requirement requirements/lambda.txt
	@touch $@

# Engines that only the tests use; they work without their install scripts.
$(JUDGES)/.ready: tests/judges/package-lock.json
	@node -e 'process.exit(Number.parseInt(process.versions.node) < 20 ? 1 : 0)' 2>/dev/null && command -v npm >/dev/null || { echo "Node.js 20 or newer, with npm, is needed for the tests: put node and npm on the PATH." >&2; exit 1; }
	npm ci --prefix tests/judges --ignore-scripts --loglevel=error
	chmod +x $(JUDGES)/@microsoft/sarif-multitool-*/Sarif.Multitool
	@touch $@
