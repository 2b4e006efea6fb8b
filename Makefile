# make demo    build a fracture CT, segment it with the shipped weights, say where the result is
# make test    the whole test suite; needs no network once installed, no GPU, no Slicer
# make mrml    the tests on MRML with every supported release of slicer-core
# make lint    ruff and mypy
#
# PYTHON chooses the interpreter (3.10 to 3.13); pip's own settings choose where packages come from.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
WORKERS ?= 2
TEST_TIMEOUT_S ?= 120
SEED ?= 7
# A release of slicer-core for each Slicer that is supported: 5.11, 5.12 and 5.13.
SLICER_CORES ?= 5.11.0.6 5.12.4.0 5.13.31053.0

DEMO_CT := demo/ct/ct.nii.gz
DEMO_RESULT := demo/result

# The environment decides, not PYTHON: it may have been made earlier with another one.
VERSION_OF = $$($(1) -c 'import sys; print("%d.%d" % sys.version_info[:2])')
INSTALL = $(BIN)/python -m pip install -c constraints/python$(call VERSION_OF,$(BIN)/python).txt
INSTALLED_FROM := pyproject.toml $(wildcard constraints/*.txt)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help install dev reference demo test mrml lint format clean

help: ## list the targets
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 20

install: $(VENV)/installed ## make .venv and install fracseg into it

dev: $(VENV)/installed-dev ## the same, with what tests and lint need

$(BIN)/python:
	@version=$(call VERSION_OF,$(PYTHON)) && test -f constraints/python$$version.txt || { \
	    echo "$(PYTHON) is Python $$version; 3.10 to 3.13 is needed. Try: make $(MAKECMDGOALS) PYTHON=python3.12" >&2; \
	    exit 1; }
	$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
	    echo "No environment could be made; on Debian or Ubuntu: apt-get install python3-venv" >&2; \
	    exit 1; }

$(VENV)/installed: $(INSTALLED_FROM) | $(BIN)/python
	$(INSTALL) -e '.[torch]'
	@touch $@

$(VENV)/installed-dev: $(INSTALLED_FROM) | $(BIN)/python
	$(INSTALL) -e '.[train,dev]'
	@touch $@ $(VENV)/installed

# One try per environment: scikit-fmm may need a compiler, and tests that miss it skip and say so.
$(VENV)/installed-reference: | $(VENV)/installed-dev
	-$(INSTALL) -e '.[train,dev,reference]' || echo "Without the reference packages: the tests that compare with them are skipped."
	@touch $@

reference: $(VENV)/installed-reference ## try to add the packages that tests compare with

$(DEMO_CT): | $(VENV)/installed
	$(BIN)/fracseg phantom demo/ct --seed $(SEED)

demo: $(VENV)/installed $(DEMO_CT) ## segment a made-up fracture CT on the CPU
	$(BIN)/fracseg segment $(DEMO_CT) $(DEMO_RESULT) --device cpu --overwrite
	@echo
	@echo "The CT (no patient: made by our generator)   $(DEMO_CT)"
	@echo "The picture                                  $(DEMO_RESULT)/preview.png"
	@echo "The fragments, for 3D Slicer                 $(DEMO_RESULT)/fragments.seg.nrrd"
	@echo "The fragments, as a label image              $(DEMO_RESULT)/fragments.nii.gz"
	@echo "One surface per fragment (LPS, mm)           $(DEMO_RESULT)/meshes/"
	@echo "Volumes, contacts, warnings                  $(DEMO_RESULT)/report.json"
	@echo
	@echo "Your own CT (a DICOM folder, NIfTI, NRRD or MHA), into a new folder:"
	@echo "    $(BIN)/fracseg segment PATH_TO_CT RESULT_FOLDER"
	@echo "Not for diagnosis; review every fragment."

test: $(VENV)/installed-dev $(VENV)/installed-reference ## run the whole test suite
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile \
	    --timeout=$(TEST_TIMEOUT_S) $(PYTEST_ARGS)

# Each brings its own vtk, so the pins of these two do not hold in its environment.
build/slicer-core-%/installed: $(INSTALLED_FROM) | $(BIN)/python
	$(BIN)/python -m venv $(@D)
	grep -v -e '^slicer-core==' -e '^vtk==' \
	    constraints/python$(call VERSION_OF,$(BIN)/python).txt > $(@D)/constraints.txt
	$(@D)/bin/python -m pip install -c $(@D)/constraints.txt -e . slicer-core==$* \
	    highdicom hypothesis nibabel pytest pytest-timeout slicerio trimesh
	@touch $@

mrml: $(SLICER_CORES:%=build/slicer-core-%/installed) ## Testing/mrml on the data model of 3D Slicer 5.11 to 5.13
	@for version in $(SLICER_CORES); do \
	    echo "slicer-core $$version"; \
	    OMP_NUM_THREADS=1 build/slicer-core-$$version/bin/python -m pytest \
	        --timeout=$(TEST_TIMEOUT_S) Testing/mrml $(PYTEST_ARGS) || exit 1; \
	done

lint: $(VENV)/installed-dev ## check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/installed-dev ## let ruff write what it can mend
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean: ## remove .venv, the demo and caches
	rm -rf $(VENV) demo build *.egg-info .pytest_cache .ruff_cache .mypy_cache
