# Every target works alone on a fresh clone: .venv is made when it is missing.
PYTHON ?= python3
BIN := .venv/bin

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-slow bench constraints lint docs docs-serve

help: ## Show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 12

setup: .venv/ready ## Make .venv with everything in it

CONSTRAINTS ?= constraints.txt   # empty: the newest versions there are

.venv/ready: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "gan_aug needs Python 3.11 or newer; make PYTHON=python3.x ...")'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --editable '.[dev]' $(if $(strip $(CONSTRAINTS)),--constraint $(CONSTRAINTS))
	touch $@

demo: .venv/ready ## Run the whole job on made-up images (a few minutes)
	$(BIN)/python -m gan_aug.demo

test: .venv/ready ## Run the fast tests
	$(BIN)/python -m pytest -n 2 --dist loadfile --durations=10

test-slow: .venv/ready ## Run the slow tests (kill and resume, wheel, real X-rays)
	$(BIN)/python -m pytest -n 2 --dist loadfile -m slow --durations=10

bench: .venv/ready ## Measure speed against a plain PyTorch loop; DATA=DIR adds the JPEG part
	$(BIN)/python experiments/speed/bench.py $(if $(DATA),--data $(DATA))
	$(BIN)/python experiments/speed/quality.py
	$(BIN)/python experiments/speed/throughput.py
	$(BIN)/python experiments/speed/family.py

docs: .venv/ready ## Build the documentation into site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build

docs-serve: .venv/ready ## Show the documentation on 127.0.0.1:8000, with its search
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs serve

constraints: .venv/ready ## Write the versions that are installed into constraints.txt
	$(BIN)/pip freeze --exclude-editable > constraints.txt

lint: .venv/ready ## Check style, of pages too, and types as Linux, Windows and macOS have them
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	find README.md CONTRIBUTING.md docs -name '*.md' | xargs $(BIN)/python docs/_make/style.py
	printf '%s\n' linux win32 darwin | xargs -P 2 -I {} \
	  $(BIN)/mypy --platform {} --cache-dir .mypy_cache/{}
