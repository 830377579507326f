# make setup | test | lint | demo | clean
#   PYTHON      the interpreter the environment is made with (3.10 to 3.13)
#   VENV        where the environment lies
#   TORCH_ARGS  more arguments for pip when it installs torch, as an index of
#               CPU builds
#   TEST_JOBS   how many processes run the tests, each file in one of them
#   PYTEST_ARGS more arguments for pytest
PYTHON ?= python3
VENV ?= .venv
TORCH_ARGS ?=
TEST_JOBS ?= 2
PYTEST_ARGS ?=

CONSTRAINTS := requirements/constraints.txt
STAMP := $(VENV)/.setup-done
RUN := $(VENV)/bin/python
SPELLED := $(wildcard *.md *.toml *.in *.yml Makefile setup.py benchmarks \
	configs docs mbcd_mmaction requirements tests tools)

.PHONY: setup test lint demo clean
.DEFAULT_GOAL := setup

setup: $(STAMP)
	@echo "== setup: $(VENV) is ready"

$(STAMP): setup.py pyproject.toml $(CONSTRAINTS)
	@echo '== setup: an environment in $(VENV), with pinned requirements'
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(None if \
		(3, 10) <= v <= (3, 13) else "Python 3.10 to 3.13 expected, got \
	%d.%d; say make PYTHON=python3.11" % v)'
	@# An environment without pip is half-made: venv completes it.
	@$(RUN) -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv $(VENV)
	@# torch first and pinned: the rest then takes what is there.
	$(RUN) -m pip install $(TORCH_ARGS) torch==2.13.0 -c $(CONSTRAINTS)
	$(RUN) -m pip install -c $(CONSTRAINTS) -e '.[lite,plot,dev]'
	@touch $@

test: $(STAMP)
	@echo '== test: pytest'
	OMP_NUM_THREADS=1 $(RUN) -m pytest -n $(TEST_JOBS) --dist loadfile \
		$(PYTEST_ARGS)

lint: $(STAMP)
	@echo '== lint: ruff, codespell, mypy --strict on the equations'
	$(RUN) -m ruff check .
	$(RUN) -m codespell_lib $(SPELLED)
	$(RUN) -m mypy --strict mbcd_mmaction/functional

demo: $(STAMP)
	@echo '== demo: mini set, ERM and MBCD on it, table and pictures'
	$(RUN) tools/demo.py

clean:
	@echo '== clean: build products and caches; $(VENV), data and runs stay'
	rm -rf build dist *.egg-info mbcd_mmaction/.mim
	rm -rf .pytest_cache .ruff_cache .mypy_cache
	find benchmarks configs mbcd_mmaction tests tools -name __pycache__ -prune \
		-exec rm -rf {} +
