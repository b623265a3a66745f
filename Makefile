PYTHON ?= python3
BIN := .venv/bin
# Stamps: set-up happens once, and again only when what it was made from changes.
INSTALLED := .venv/.installed
LINTERS := .venv/.linters

.PHONY: demo report notebooks docs docs-serve dist test lint parity clean

demo: $(INSTALLED)  ## plain against residual depth scaling on the embedded data, with a figure
	@$(BIN)/python -m jaxseg.ops | head -n 1
	$(BIN)/python -m experiments.depth_scaling --preset quick --out runs/demo --overwrite

report: $(INSTALLED)  ## every study that is not in runs/ yet, and all of them on one page, runs/report.html
	$(BIN)/python -m experiments.report --make

# Most of the suite's time is the compiler's. Convolutions, training and exports are tested as users
# compile them; what stands on them without XLA's optimizations, which have no part in it.
QUICKLY := XLA_FLAGS="--xla_backend_optimization_level=0 --xla_cpu_use_fusion_emitters=false --xla_cpu_parallel_codegen_split_count=1"
PYTEST := $(BIN)/python -m pytest -n 2 --dist loadfile

test: $(INSTALLED)  ## every test, the slow ones too, a file at a time in each of two processes
	$(PYTEST) -m optimized
	$(QUICKLY) $(PYTEST) -m "not optimized"

lint: $(LINTERS)  ## style, imports, docstrings, types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright

parity: $(INSTALLED)  ## install PyTorch, which the parity tests compare with, and what exports and notebooks need
	$(BIN)/pip install --quiet -c constraints.txt -e '.[tests,onednn,parity,export,notebooks,docs,browser]'

notebooks: $(INSTALLED)  ## execute every page of notebooks/ into its .ipynb; PAGES="03 07" for some
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[tests,notebooks]'
	$(BIN)/python notebooks/build_notebooks.py $(PAGES)

# (The variable silences an advertisement of mkdocs-material's.)
MKDOCS := NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs

docs: $(INSTALLED)  ## the site into site/, strictly: no broken link, no missing reference
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[tests,docs]'
	[ ! -d experiments/explorer ] || $(BIN)/python -m experiments.explorer --out docs/explorer.html
	[ ! -f runs/report.html ] || cp runs/report.html docs/report.html
	$(MKDOCS) build --strict --quiet
	@echo "The site begins at site/index.html."

docs-serve: docs  ## the site at localhost:8000, built anew after each change
	$(MKDOCS) serve

dist: $(INSTALLED)  ## the source distribution and the wheel into dist/, checked
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[tests,release]'
	$(BIN)/python tools/make_dist.py

clean:
	rm -rf .venv runs dist site .pytest_cache .ruff_cache .hypothesis

$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "jaxseg needs Python 3.11 or later: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[tests,onednn]'
	touch $@

$(LINTERS): $(INSTALLED)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[tests,dev]'
	touch $@
