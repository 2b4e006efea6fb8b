"""The self tests that are meant for a real Slicer, in the host: they are at least right about us.

What they are for, the real PythonQt and the real widgets, they show in Slicer only.
"""

from __future__ import annotations

import sys
import unittest
from collections.abc import Iterator
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

from Testing.gui.host.host import Host

FOLDER = Path(__file__).resolve().parent.parent / "slicer"
NAMES = tuple(sorted(file.stem for file in FOLDER.glob("FractureSegmentation*.py")))
WINDOWLESS = "FractureSegmentationScripting"
BEYOND_THE_HOST = {
    "test_the_module_shows_its_icon": "the host draws no list of modules",
    "test_the_sample_is_registered": "the host's Sample Data keeps no list by category",
    "test_buttons_and_effects_have_one_history": "the host draws with no effect",
}


def self_tests(name: str) -> list[str]:
    """The names of the tests in one file, read without importing it."""
    text = (FOLDER / f"{name}.py").read_text(encoding="utf-8")
    return [line.split("(")[0].split()[1] for line in text.splitlines() if "def test_" in line]


@pytest.fixture
def case_class(
    request: pytest.FixtureRequest, host: Host, repository: Path
) -> Iterator[type[unittest.TestCase]]:
    """The TestCase of a file, imported in the running host as Slicer's runner does."""
    name = request.param
    host.load_module(repository / "FractureSegmentation" / "FractureSegmentation.py")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(FOLDER))
        spec = spec_from_file_location(name, FOLDER / f"{name}.py")
        assert spec is not None
        assert spec.loader is not None
        module = module_from_spec(spec)
        spec.loader.exec_module(module)
        yield getattr(module, name)
        sys.modules.pop("self_test_scene", None)


def run_one(case: type[unittest.TestCase], test: str) -> None:
    result = unittest.TestResult()
    case(test).run(result)
    if result.skipped:
        pytest.skip(result.skipped[0][1])
    assert result.testsRun == 1
    assert not result.errors + result.failures, (result.errors + result.failures)[0][1]


@pytest.mark.parametrize(
    ("case_class", "test"),
    [(name, test) for name in NAMES for test in self_tests(name)],
    indirect=["case_class"],
)
def test_a_self_test_passes_in_the_host(
    host: Host, case_class: type[unittest.TestCase], test: str
) -> None:
    if test in BEYOND_THE_HOST:
        pytest.skip(BEYOND_THE_HOST[test])
    if case_class.__name__ == WINDOWLESS:
        with host.without_main_window():
            run_one(case_class, test)
    else:
        run_one(case_class, test)
