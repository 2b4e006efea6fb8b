"""What the panel does before a first Segment needs no package that Slicer does not bring.

The tests of all that run once more, each file in a process in which none of them can be imported.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from FractureSegmentationPanel.setup.packages import DOWNLOAD_MB
from Testing.gui.bare_slicer import ABSENT

MODULES = {"connected-components-3d": "cc3d"}
"""What is imported of a package, where that is not its name."""
PARTS = {
    "self tests for a real Slicer": ("test_self_tests_in_host.py", "not Run"),
    "self test of the module and opening": ("test_panel_opening.py", ""),
    "corrections": ("test_panel_correct.py", ""),
    "exports": ("test_panel_exports.py", ""),
    "scene, review, plan and export": ("test_panel_whole_way.py", ""),
    "warnings of a result and of a scene": ("test_panel_warnings.py", ""),
}


def test_nothing_that_segment_installs_is_there() -> None:
    installed = {MODULES.get(package, package) for package in DOWNLOAD_MB}

    assert {*installed, "torch"} == set(ABSENT)


@pytest.mark.skipif(
    not (find_spec("PySide6") and find_spec("slicer")), reason="PySide6 or slicer-core is missing"
)
@pytest.mark.timeout(600)
@pytest.mark.parametrize("part", PARTS)
def test_it_works_in_a_slicer_that_has_installed_nothing(part: str, repository: Path) -> None:
    file, chosen = PARTS[part]
    done = subprocess.run(
        [
            sys.executable, "-m", "pytest", "-q", "-x", "-p", "Testing.gui.bare_slicer",
            "-p", "no:cacheprovider", "-p", "no:randomly", "-k", chosen, f"Testing/gui/{file}",
        ],
        cwd=repository,
        env={name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")},
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    assert re.search(r"\b\d+ passed", done.stdout), done.stdout
