"""A plugin of pytest: the packages that a first Segment installs cannot be imported.

    python -m pytest -p Testing.gui.bare_slicer Testing/gui/test_panel_correct.py

So is a Slicer that has not run a segmentation yet.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from types import ModuleType

import pytest

ABSENT = ("cc3d", "click", "edt", "onnxruntime", "safetensors", "torch")


class Absent:
    """Finds no module of these packages, and lets nobody else find one."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> None:
        """Raise where one of them is asked for."""
        if name.partition(".")[0] in ABSENT:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


def pytest_configure() -> None:
    """From before the first test on."""
    assert not set(ABSENT) & set(sys.modules)
    sys.meta_path.insert(0, Absent())  # type: ignore[arg-type]


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A test that put one of them in place has shown nothing."""
    if set(ABSENT) & set(sys.modules):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
