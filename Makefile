# Two commands for a newcomer: `make demo` and `make test`. Both set up .venv first; a second call starts at once.

# The first Python here that every dependency has wheels for; `make test PYTHON=/path/to/python` chooses another.
PYTHON ?= $(shell for python in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)
BIN := .venv/bin
READY := .venv/ready
LIBRARIES := OpenCV and MediaPipe need: apt-get install libgl1 libglib2.0-0 libegl1 libgles2

.PHONY: demo test test-lowest quick check lint bench gpu release

demo: $(READY)
	@start=$$(date +%s); $(BIN)/frontalize demo demo && echo "make demo: $$(($$(date +%s) - start)) s"

# worksteal: each process begins with half of the files in order, so fixtures of a file are made once, and takes from the
# other when it is done. loadfile would start files with few, slow tests last.
PYTEST := $(BIN)/python -m pytest -n 2 --dist worksteal

test: $(READY)
	@start=$$(date +%s); $(PYTEST) && echo "make test: $$(($$(date +%s) - start)) s"

# All tests with the lowest version that each bound of pyproject.toml allows, on the lowest Python. Newer releases of what
# those require warn of old calls, and Ray 2.50 leaves files open; the linters are tested with today's versions only.
LOWEST_PYTHON ?= python3.11
LOWEST := .venv-lowest

test-lowest: $(LOWEST)/ready
	$(LOWEST)/bin/python -m pytest -n 2 --dist worksteal -W default::DeprecationWarning -W default::PendingDeprecationWarning \
	-W default::FutureWarning -W default::pytest.PytestUnraisableExceptionWarning \
	--deselect tests/test_house.py::test_the_gates_are_green

# While editing: what is quick, of every package, and nothing that needs a GPU.
quick: $(READY)
	@start=$$(date +%s); $(PYTEST) -m "not slow and not gpu" && echo "make quick: $$(($$(date +%s) - start)) s"

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

check: lint test

bench: $(READY)
	@test -n "$(PHOTOS)" -a -n "$(PAIRS)" -a -n "$(BARE)" || { \
	echo "say make bench PHOTOS=folder PAIRS=paired-set BARE=python-with-mediapipe-0.10.21"; exit 1; }
	$(BIN)/python examples/bench/align.py $(PHOTOS) --bare-python $(BARE)
	$(BIN)/python examples/bench/align.py $(PHOTOS) --bare-python $(BARE) --megapixels 12
	$(BIN)/python examples/bench/loader.py $(PAIRS)

# Checks, builds and proves wheel and source distribution; uploads nothing. examples/release/release.py --tag tags, too.
release: $(READY)
	$(BIN)/python examples/release/release.py

# On a machine with an NVIDIA GPU: is what is claimed of GPUs true? PYTHON_GPU names a Python with what is needed, to do
# without .venv; WORDS are those of examples/gpu/report.py, as in `make gpu WORDS=--dry`.
PYTHON_GPU ?= $(BIN)/python

gpu: $(if $(filter $(BIN)/python,$(PYTHON_GPU)),$(READY))
	@start=$$(date +%s); $(PYTHON_GPU) -m examples.gpu.report $(WORDS) && echo "make gpu: $$(($$(date +%s) - start)) s"

# An environment of another Python is made anew: venv alone would leave `python` in it to that one, and `pip` to this one.
VERSION := -c 'import sys; print(sys.version_info[:2])'

$(READY): pyproject.toml
	@test -n "$(PYTHON)" || { echo "no Python 3.11 or newer found; install one, or say make PYTHON=/path/to/python"; exit 1; }
	@start=$$(date +%s); echo "setting up .venv with $(PYTHON): about 8.2 GB, some minutes"; \
	if test "$$($(BIN)/python $(VERSION) 2>&1)" != "$$($(PYTHON) $(VERSION))"; then clear=--clear; fi; \
	$(PYTHON) -m venv $$clear .venv && $(BIN)/pip install --quiet --disable-pip-version-check --editable '.[train,mediapipe,demo,dev,onnx,ray]' \
	&& { $(BIN)/python -c 'import cv2' || { echo "$(LIBRARIES)"; exit 1; }; } \
	&& touch $@ && echo "set up in $$(($$(date +%s) - start)) s"

$(LOWEST)/ready: pyproject.toml tests/lowest_versions.py
	@$(LOWEST_PYTHON) -c '' || { echo "no $(LOWEST_PYTHON) found; install it, or say make LOWEST_PYTHON=/path/to/python"; exit 1; }
	$(LOWEST_PYTHON) -m venv --clear $(LOWEST)
	$(LOWEST_PYTHON) tests/lowest_versions.py > $(LOWEST)/lowest.txt
	$(LOWEST)/bin/pip install --quiet --disable-pip-version-check --constraint $(LOWEST)/lowest.txt setuptools
	$(LOWEST)/bin/pip install --quiet --disable-pip-version-check --constraint $(LOWEST)/lowest.txt --no-build-isolation \
	--editable '.[train,mediapipe,demo,dev,onnx,ray]'
	touch $@
