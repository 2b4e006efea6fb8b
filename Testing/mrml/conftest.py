"""Real MRML for every test of this folder; without the package slicer-core they are skipped."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from FractureSegmentationLib.editing.fragments import Fragments
from FractureSegmentationLib.geometry import Geometry
from FractureSegmentationLib.types import LabelArray
from FractureSegmentationLib.volume import LabelVolume, Volume

if TYPE_CHECKING:
    from Testing.mrml.mrml_scene import SlicerScene

HAS_SLICER = importlib.util.find_spec("slicer") is not None
REASON = 'the package slicer-core is not installed (python -m pip install -e ".[slicer]")'

MakeCt = Callable[..., Any]
MakeSegmentation = Callable[..., Any]


class _Skipped(pytest.Module):
    """A file of tests that cannot even be imported here."""

    def collect(self) -> list[pytest.Item]:
        pytest.skip(REASON, allow_module_level=True)


if not HAS_SLICER:

    def pytest_pycollect_makemodule(module_path: Path, parent: pytest.Collector) -> pytest.Module:
        return _Skipped.from_parent(parent, path=module_path)


@pytest.fixture(scope="session")
def _started(tmp_path_factory: pytest.TempPathFactory) -> SlicerScene:
    from Testing.mrml.mrml_scene import start_scene  # not without slicer

    return start_scene(tmp_path_factory.mktemp("scene"))


@pytest.fixture
def started(_started: SlicerScene, monkeypatch: pytest.MonkeyPatch) -> Iterator[SlicerScene]:
    """An empty scene with all logics, also as `slicer.mrmlScene` and `slicer.modules`.

    Only for as long as a test runs: the panel's tests have a scene of their own in this process.
    """
    import slicer

    for name, value in _started.attributes.items():
        monkeypatch.setattr(slicer, name, value, raising=False)
    yield _started
    _started.scene.Clear(False)


@pytest.fixture
def scene(started: SlicerScene) -> Any:
    """An empty vtkMRMLScene, also as `slicer.mrmlScene`."""
    return started.scene


@pytest.fixture
def make_ct(scene: Any) -> MakeCt:
    """A CT node of (K, J, I) voxels; 1 mm voxels with x = i, y = j, z = k unless told otherwise."""
    from Testing.mrml.mrml_scene import add_volume

    def make(voxels: Any, geometry: Geometry | None = None, name: str = "CT") -> Any:
        k, j, i = voxels.shape
        plain = Geometry(shape=(k, j, i), spacing_mm=(1.0, 1.0, 1.0))
        return add_volume(scene, Volume(voxels=voxels, geometry=geometry or plain), name)

    return make


@pytest.fixture
def make_segmentation(scene: Any) -> MakeSegmentation:
    """A segmentation that shows (K, J, I) labels; with a CT node, on its grid and tied to it."""
    from FractureSegmentationLib.mrml.layer import tie_to_ct
    from FractureSegmentationLib.mrml.segmentation import show_fragments
    from FractureSegmentationLib.mrml.volume import volume_of

    def make(
        labels: LabelArray, ct: Any = None, geometry: Geometry | None = None, **known: Any
    ) -> Any:
        k, j, i = labels.shape
        grid = geometry or Geometry(shape=(k, j, i), spacing_mm=(1.0, 1.0, 1.0))
        node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Fragments")
        if ct is not None:
            grid = volume_of(ct).geometry
            tie_to_ct(node, ct)
        volume = LabelVolume(voxels=np.asarray(labels, np.uint16), geometry=grid)
        show_fragments(node, Fragments.of(volume, **known))
        return node

    return make


@pytest.fixture
def two_bones() -> LabelArray:
    """(10, 12, 14) the left hip bone in fragments 51 and 52 side by side, a patella piece 501."""
    labels = np.zeros((10, 12, 14), np.uint16)
    labels[2:8, 2:6, 1:7] = 51
    labels[2:8, 2:6, 7:10] = 52
    labels[3:6, 9:11, 3:6] = 501
    return labels
