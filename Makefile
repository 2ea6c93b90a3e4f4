# From a clean clone to a result: `make demo`. Every target sets up what it needs; a second run needs no network.

PYTHON ?= python3
VENV ?= .venv
TORCH ?= torch==2.13.0
OUTPUT ?= demo-output
PROCESSES ?= 2
BIN := $(VENV)/bin
READY := $(VENV)/.diffugts-ready

export SCAN PROMPT MODALITY

.DEFAULT_GOAL := help
.PHONY: help venv demo test lint bench bench-slicer icon sample-data screenshots public-address clean

help:
	@echo 'make demo      segment the generated demo scan, or your own: make demo SCAN=scan.nrrd PROMPT="liver tumour"'
	@echo 'make test      all tests, in two processes; make test PROCESSES=8 TESTS=Testing/engine'
	@echo 'make lint      style (ruff) and types (mypy)'
	@echo 'make bench     stage times and memory on this machine, as JSON'
	@echo 'make bench-slicer   how long the Slicer side holds up the window, as JSON'
	@echo 'make venv      only the environment in $(VENV), by PYTHON=$(PYTHON)'
	@echo 'make icon      draw the icons of extension and module again'
	@echo 'make sample-data      make the scan of the tutorial again'
	@echo 'make screenshots      draw the pictures of the module again, on the test host (Linux x86-64)'
	@echo 'make public-address   after changing DIFFUGTS_PUBLIC_ADDRESS in CMakeLists.txt'
	@echo 'make clean     remove what the targets made, and $(VENV)'

venv: $(READY)

# torch first and by itself: the index that pip is configured with decides whether it is the CPU or a CUDA build.
# The stamp is younger than the two files that say what to install, so that the second run is instant and offline.
$(READY): pyproject.toml constraints.txt
	@test -x $(BIN)/python || { \
	  $(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' || { \
	    echo "$(PYTHON) is not Python 3.10 to 3.13. Give one that is: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }; \
	  $(PYTHON) -m venv $(VENV); }
	$(BIN)/python -m pip install --quiet $(TORCH)
	$(BIN)/python -m pip install --quiet -c constraints.txt setuptools
	$(BIN)/python -m pip install --quiet -c constraints.txt --no-build-isolation -e '.[test]'
	@touch $(READY)

demo: $(READY)
	@if [ -n "$$SCAN" ]; then \
	  if [ -z "$$PROMPT" ]; then echo 'Say what to look for: make demo SCAN=... PROMPT="liver tumour"' >&2; exit 2; fi; \
	  $(BIN)/diffugts demo --scan "$$SCAN" --prompt "$$PROMPT" $${MODALITY:+--modality "$$MODALITY"} --output "$(OUTPUT)"; \
	else \
	  $(BIN)/diffugts demo --output "$(OUTPUT)"; \
	fi

# Test files side by side, each in one process, with a thread of its own: two threads of torch in each would wait for one another.
test: $(READY)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n $(PROCESSES) --dist loadfile $(TESTS)

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/mypy

bench: $(READY)
	$(BIN)/diffugts bench --json

bench-slicer: $(READY)
	$(BIN)/python Testing/slicer/benchmark.py

public-address:
	$(PYTHON) Resources/public_address.py

icon: $(READY)
	$(BIN)/python Resources/draw_icon.py

sample-data: $(READY)
	$(BIN)/python Resources/make_sample_data.py

screenshots: $(READY)
	$(BIN)/python Testing/slicer/screenshots.py

clean:
	rm -rf $(VENV) build dist demo-output DiffuGTSSlicer/*.egg-info *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
