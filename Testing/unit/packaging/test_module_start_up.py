"""What the module file costs when Slicer starts: next to nothing, and no heavy package."""

from __future__ import annotations

import json
import statistics
from pathlib import Path

import pytest

from Testing.unit.packaging.installed_tree import MODULE_FILE, install, run_in_stub

HEAVY = {
    *("torch", "monai", "numpy", "scipy", "SimpleITK", "pydicom", "cc3d", "click"),
    *("safetensors", "matplotlib", "distributed", "dask", "highdicom", "vtkmodules"),
    "fracseg_training",
}
EMPTY = """
import slicer
from slicer.ScriptedLoadableModule import *


class Empty(ScriptedLoadableModule):
    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        parent.title = "Empty"
"""
MEASURE = """
import json, time
before, started = set(sys.modules), time.process_time()
load_module(folder / {name!r})
seconds = time.process_time() - started
print(json.dumps([seconds, sorted({{m.partition(".")[0] for m in set(sys.modules) - before}})]))
"""
RUNS = 7


@pytest.fixture(scope="module")
def installed(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return install(repository, tmp_path_factory.mktemp("installed"))


def opened(folder: Path, name: str) -> tuple[float, set[str]]:
    """Processor seconds that loading one module file takes, and the packages it loads."""
    seconds, packages = json.loads(run_in_stub(folder, MEASURE.format(name=name)))
    return seconds, set(packages)


def test_loading_the_module_loads_no_heavy_package(installed: Path) -> None:
    _, packages = opened(installed, MODULE_FILE)

    assert packages & HEAVY == set()


def test_loading_the_module_costs_under_a_tenth_of_a_second(
    installed: Path, tmp_path: Path
) -> None:
    """Beside an empty scripted module; processor time, medians, byte code already written."""
    (tmp_path / "Empty.py").write_text(EMPTY, encoding="utf-8")
    opened(installed, MODULE_FILE)
    opened(tmp_path, "Empty.py")

    ours = statistics.median(opened(installed, MODULE_FILE)[0] for _ in range(RUNS))
    empty = statistics.median(opened(tmp_path, "Empty.py")[0] for _ in range(RUNS))

    assert ours - empty < 0.1
