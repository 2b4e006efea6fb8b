"""Starting up: what a fresh interpreter loads."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

LIBRARY = "FractureSegmentationLib"
TRAINING = "fracseg_training"
HELP = f"import sys; sys.argv = ['fracseg', '--help']; from {LIBRARY}.cli.main import main; main()"


def loaded_after(statement: str, repository: Path) -> set[str]:
    """Top-level packages that are loaded once a fresh interpreter ran `statement`."""
    code = f"{statement}; import sys; print(*{{m.partition('.')[0] for m in sys.modules}})"
    environment = {**os.environ, "PYTHONPATH": str(repository)}
    answer = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env=environment,
        timeout=60,
    )
    return set(answer.stdout.split())


def test_importing_the_library_loads_nothing_heavy(repository: Path) -> None:
    loaded = loaded_after(f"import {LIBRARY}", repository)

    assert not loaded & {"torch", "vtk", "vtkmodules", "slicer", "qt", "numpy", "scipy", TRAINING}


def test_the_command_line_starts_without_the_packages_its_commands_need(repository: Path) -> None:
    loaded = loaded_after(f"import {LIBRARY}.cli.main", repository)

    assert not loaded & {"torch", "vtk", "vtkmodules", "slicer", "scipy", "SimpleITK", TRAINING}


def test_help_loads_nothing_that_computes(repository: Path) -> None:
    statement = f"try:\n    {HELP}\nexcept SystemExit:\n    print()"

    loaded = loaded_after(f"exec({statement!r})", repository)

    assert not loaded & {"torch", "vtk", "vtkmodules", "scipy", "SimpleITK"}
