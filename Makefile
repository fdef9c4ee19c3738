# What a newcomer types. Everything lands in .venv and .huntaze, nothing is taken from the machine but python3.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: up demo test chaos fuzz bench gallery lint types fix env-example clean

# Done again whenever the lock, the project or the interpreter's own tools change; safe to break off and repeat.
$(READY): uv.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "huntaze-workers needs Python 3.11 or newer; this is $$($(PYTHON) -V). Name another with PYTHON=..."; exit 1; }
	@test -x $(BIN)/uv || { $(PYTHON) -m venv $(VENV) && $(BIN)/pip install --quiet --disable-pip-version-check 'uv>=0.13,<0.14'; } || \
	  { echo "The environment could not be made. On Debian: apt install python3-venv"; exit 1; }
	@$(BIN)/uv sync --quiet --compile-bytecode --locked --extra local --inexact --python $(BIN)/python
	@touch $@

up: $(READY)
	@$(BIN)/huntaze up $(if $(VIDEO),"$(VIDEO)")

demo: $(READY)
	@$(BIN)/huntaze demo $(if $(VIDEO),"$(VIDEO)")

test: $(READY) lint types
	@$(BIN)/lint-imports
	@$(BIN)/pytest -n auto

lint: $(READY)
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check

types: $(READY)
	@$(BIN)/mypy

fix: $(READY)
	@$(BIN)/ruff check --fix
	@$(BIN)/ruff format

# FULL=1: the sizes of the README's figures, on a quiet machine; JSON=1: the figures as the last line.
bench: $(READY)
	@$(BIN)/uv sync --quiet --compile-bytecode --locked --extra local --group bench --inexact --python $(BIN)/python
	@$(BIN)/python -m benchmarks $(if $(FULL),--full) $(if $(JSON),--json)

# JOBS=10000 SEED=7 MINUTES=10: a fleet of its own, killed, frozen and cut off while it works, bills, tells webhooks
# and asks models; JSON=1: one line.
# SEEDS="1 2 3": one after the other.
chaos: $(READY)
	@$(BIN)/python -m tests.chaos $(if $(JOBS),--jobs $(JOBS)) $(if $(SEEDS)$(SEED),--seed $(SEEDS) $(SEED)) $(if $(MINUTES),--minutes $(MINUTES)) $(if $(JSON),--json)

# Every file of ../shared/videos on one page and one picture, in .huntaze/gallery: to be looked at.
gallery: $(READY)
	@$(BIN)/python -m tests.gallery

# FILES=2000 SEED=1: broken films, each looked at by a child that has ten seconds; what crashes or hangs it is kept.
fuzz: $(READY)
	@$(BIN)/python -m tests.fuzz $(if $(FILES),--files $(FILES)) $(if $(SEED),--seed $(SEED))

env-example: $(READY)
	@$(BIN)/python -c "from huntaze.settings import example_file; print(example_file(), end='')" > .env.example

clean:
	rm -rf $(VENV) .huntaze .mypy_cache .ruff_cache .pytest_cache .hypothesis
