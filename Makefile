# Two commands do everything on a fresh machine with Python 3.11 or later: make demo, make test.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIN := --constraint cluster/constraints.txt

.PHONY: install demo test lint clean
install: $(VENV)/.installed
demo: $(VENV)/.installed-demo
	$(BIN)/raysel demo .demo
test: $(VENV)/.installed-test lint
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder
lint: $(VENV)/.installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
clean:
	rm -rf $(VENV) .demo

$(BIN)/pip:
	$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11) and 'raysel needs Python 3.11 or later: make PYTHON=python3.12 ...')"
	$(PYTHON) -m venv $(VENV)
$(VENV)/.installed: $(BIN)/pip pyproject.toml cluster/constraints.txt
	$(BIN)/pip install --quiet --disable-pip-version-check $(PIN) --editable .
	touch $@
$(VENV)/.installed-demo: $(VENV)/.installed
	$(BIN)/pip install --quiet --disable-pip-version-check $(PIN) --editable '.[demo]'
	touch $@
$(VENV)/.installed-test: $(VENV)/.installed-demo
	$(BIN)/pip install --quiet --disable-pip-version-check $(PIN) --editable '.[demo,test]'
	touch $@
