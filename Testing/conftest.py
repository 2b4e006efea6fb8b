"""What every test may use: real data where present, a seeded generator, a home of its own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

# Read by OpenMP, BLAS and ITK when they load, and inherited by child processes: two test workers
# on two cores run side by side instead of against each other.
for _variable in (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS",
):
    os.environ.setdefault(_variable, "1")

settings.register_profile(
    "fracseg", deadline=None, max_examples=25, derandomize=True, database=None
)
settings.load_profile("fracseg")

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the source tree."""
    return REPOSITORY


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real cases; FRACSEG_TEST_DATA names another place than ../shared/data."""
    folder = Path(os.environ.get("FRACSEG_TEST_DATA") or REPOSITORY.parent / "shared" / "data")
    if not folder.is_dir():
        pytest.skip("no real cases here; set FRACSEG_TEST_DATA to a folder that holds them")
    return folder


@pytest.fixture(scope="session")
def tiny_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an untrained fragment model, for FRACSEG_MODELS; no test may change it."""
    from Testing.tiny_cases import write_tiny_model  # torch stays unloaded until here

    folder = tmp_path_factory.mktemp("models")
    write_tiny_model(folder)
    return folder


@pytest.fixture
def rng() -> np.random.Generator:
    """A generator that starts alike in every test."""
    return np.random.default_rng(20240607)


@pytest.fixture(autouse=True, scope="session")
def _home_of_its_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No test reads or writes the user's settings, salt or models."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FRACSEG_HOME", str(tmp_path_factory.mktemp("home")))
        patch.delenv("FRACSEG_MODELS", raising=False)
        yield
