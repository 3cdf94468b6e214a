# The project's tasks, the same for people and for CI. The environment is .venv: made on first use, then reused.

PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed
CHECKERS := .venv/.checkers-installed
SOURCES := protocol emulator host tests docs

.DEFAULT_GOAL := help
.PHONY: help demo test check validate bench pictures soak wheel-test fuzz

help: ## list these targets
	@sed -n 's/^\([a-z-]*\):.*## /make \1                /;s/^\(make .\{12\}\) */  \1/p' $(MAKEFILE_LIST)

demo: $(INSTALLED) ## a device and a host on a pseudo-terminal, a drawing of the therapy, and a conformance run
	@$(BIN)/python docs/examples/demo.py

test: $(INSTALLED) ## run the tests
	@$(BIN)/pytest -n auto --dist worksteal

check: $(CHECKERS) ## lint, format, types, and who imports whom
	@echo "ruff check" && $(BIN)/ruff check --quiet $(SOURCES)
	@echo "ruff format" && $(BIN)/ruff format --check --quiet $(SOURCES)
	@echo "mypy" && $(BIN)/mypy
	@echo "pyright" && $(BIN)/pyright
	@echo "layering" && $(BIN)/pytest --quiet --no-header tests/repo/test_layering.py

validate: $(INSTALLED) ## print published figures beside the emulator's own
	@$(BIN)/python tests/validation

bench: $(INSTALLED) ## measure speed and memory, each beside its floor
	@$(BIN)/python tests/benchmarks

pictures: $(INSTALLED) ## draw the pictures of the README anew
	@$(BIN)/ipg-emulator plot waveform --model scs-burst -o docs/waveform.png
	@$(BIN)/ipg-emulator plot battery --model drg-primary -o docs/longevity.png
	@$(BIN)/ipg-emulator plot ecap --model scs-closed-loop --loop-only -o docs/closed-loop.png

soak: $(INSTALLED) ## the long campaigns: every bit error, 100 million mutated frames, a million changes over a bad link, the suite over slow ones
	@set -e; for campaign in $$(grep -l __main__ tests/campaigns/*.py); do echo "== $$campaign"; $(BIN)/python $$campaign; done

fuzz: $(INSTALLED) ## fuzz receiver, messages and devices, guided by coverage: SECONDS of each (60)
	@$(BIN)/python tests/fuzz --seconds $(or $(SECONDS),60)

wheel-test: $(INSTALLED) ## build the wheel and test it where the source cannot be seen
	@.ci/wheel-test $(BIN)/python

$(INSTALLED): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed, $(PYTHON) is %d.%d: make PYTHON=python3.12" % sys.version_info[:2])'
	@echo "making the environment .venv (once, about half a minute)"
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --upgrade pip
	@echo "installing the packages it needs"
	@$(BIN)/python -m pip install --quiet --group test --editable .
	@$(BIN)/python -m pip install --quiet --only-binary atheris --group fuzz || echo "there is no atheris for this system: fuzzing is left out"
	@touch $@

$(CHECKERS): $(INSTALLED)
	@echo "installing ruff, mypy and pyright (once)"
	@$(BIN)/python -m pip install --quiet --group check
	@touch $@
