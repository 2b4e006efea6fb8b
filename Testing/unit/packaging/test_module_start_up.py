"""What the module file costs when Slicer starts: next to nothing, and no heavy package."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from Testing.unit.packaging.installed_tree import MODULE_FILE, install, run_in_stub

HEAVY = {
    *("torch", "monai", "numpy", "scipy", "SimpleITK", "pydicom", "cc3d", "click"),
    *("safetensors", "matplotlib", "distributed", "dask", "highdicom", "vtkmodules"),
    "fracseg_training",
}
MEASURE = """
import json
before = set(sys.modules)
load_module(folder / {name!r})
print(json.dumps(sorted({{m.partition(".")[0] for m in set(sys.modules) - before}})))
"""


@pytest.fixture(scope="module")
def installed(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return install(repository, tmp_path_factory.mktemp("installed"))


def opened(folder: Path, name: str) -> set[str]:
    """The packages that loading one module file loads."""
    return set(json.loads(run_in_stub(folder, MEASURE.format(name=name))))


def test_loading_the_module_loads_no_heavy_package(installed: Path) -> None:
    packages = opened(installed, MODULE_FILE)

    assert packages & HEAVY == set()
