PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# The pinned versions up to Python 3.12; from 3.13 on, the newest ones of everything.
PINS := $(shell $(PYTHON) -c 'import sys; print("-c constraints.txt" if sys.version_info < (3, 13) else "")')
INSTALL := $(BIN)/pip install --quiet --disable-pip-version-check $(PINS)
# Stamps: set-up happens once, and again only when what it was made from changes.
INSTALLED := $(VENV)/.installed-$(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])')
LINTERS := $(VENV)/.linters

.PHONY: gpu demo report notebooks docs docs-serve dist test smoke lint parity clean

demo: $(INSTALLED)  ## plain against residual depth scaling on the embedded data, with a figure
	@$(BIN)/python -m jaxseg.ops | head -n 1
	$(BIN)/python -m experiments.depth_scaling --preset quick --out runs/demo --overwrite

gpu: $(INSTALLED)  ## measurements of an accelerator, resumable, eight minutes a part
	$(BIN)/python -m experiments.benchmarks.accelerator

report: $(INSTALLED)  ## every study that is not in runs/ yet, and all of them on one page, runs/report.html
	$(BIN)/python -m experiments.report --make

# Most of the suite's time is the compiler's. Convolutions, training and exports are tested as users
# compile them; what stands on them without XLA's optimizations, which have no part in it.
# (A newer XLA ends at a flag that it no longer knows.)
QUICKLY := XLA_FLAGS="--xla_backend_optimization_level=0 --xla_cpu_parallel_codegen_split_count=1 \
	$(if $(PINS),--xla_cpu_use_fusion_emitters=false)"
PYTEST := $(BIN)/python -m pytest -n 2 --dist loadfile

test: $(INSTALLED)  ## every test, the slow ones too, a file at a time in each of two processes
	$(PYTEST) -m optimized
	$(QUICKLY) $(PYTEST) -m "not optimized"

# (What meets JAX's and Flax's own rules and jaxprs, and one study.)
SMOKE := tests/ops tests/nn tests/training tests/interop tests/analysis/test_receptive_*.py \
	tests/experiments/test_study_contract.py -k "not test_study_contract or trainability"

smoke: $(INSTALLED)  ## a part of the tests, for other versions: make smoke PYTHON=python3.13 VENV=.venv-newest
	$(PYTEST) -m "optimized and not slow" $(SMOKE)
	$(QUICKLY) $(PYTEST) -m "not optimized and not slow" $(SMOKE)

lint: $(LINTERS)  ## style, imports, docstrings, types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright

parity: $(INSTALLED)  ## install PyTorch, which the parity tests compare with, and what exports and notebooks need
	$(INSTALL) -e '.[tests,onednn,parity,export,notebooks,docs,browser]'

notebooks: $(INSTALLED)  ## execute every page of notebooks/ into its .ipynb; PAGES="03 07" for some
	$(INSTALL) -e '.[tests,notebooks]'
	$(BIN)/python notebooks/build_notebooks.py $(PAGES)

# (The variable silences an advertisement of mkdocs-material's.)
MKDOCS := NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs

docs: $(INSTALLED)  ## the site into site/, strictly: no broken link, no missing reference
	$(INSTALL) -e '.[tests,docs]'
	[ ! -d experiments/explorer ] || $(BIN)/python -m experiments.explorer --out docs/explorer.html
	[ ! -f runs/report.html ] || cp runs/report.html docs/report.html
	$(MKDOCS) build --strict --quiet
	@echo "The site begins at site/index.html."

docs-serve: docs  ## the site at localhost:8000, built anew after each change
	$(MKDOCS) serve

dist: $(INSTALLED)  ## the source distribution and the wheel into dist/, checked
	$(INSTALL) -e '.[tests,release]'
	$(BIN)/python tools/make_dist.py

clean:
	rm -rf $(VENV) .venv-newest runs dist site .pytest_cache .ruff_cache .hypothesis

$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "jaxseg needs Python 3.11 or later: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv --clear $(VENV)
	$(INSTALL) -e '.[tests,onednn]'
	touch $@

$(LINTERS): $(INSTALLED)
	$(INSTALL) -e '.[tests,dev]'
	touch $@
