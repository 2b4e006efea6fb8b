"""The registry of methods, and that every entry is complete and consistent."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from FractureSegmentationLib.anatomy.catalogue import bone_named
from FractureSegmentationLib.anatomy.numbering import FRACSEG
from FractureSegmentationLib.geometry import Geometry
from FractureSegmentationLib.methods.catalogue import METHODS, method_named
from FractureSegmentationLib.methods.method import Method
from FractureSegmentationLib.networks.config import TPCNetConfig
from FractureSegmentationLib.volume import FragmentMap


def test_a_method_is_found_by_its_name() -> None:
    assert method_named("fracsegmentator") is METHODS[0]


def test_an_unknown_method_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match="fracsegmentator"):
        method_named("magic")


def test_names_are_unique() -> None:
    assert len({method.name for method in METHODS}) == len(METHODS)


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_every_bone_a_method_serves_exists_and_its_fragments_can_be_numbered(
    method: Method,
) -> None:
    for slug in method.bones:
        assert FRACSEG.label_of(bone_named(slug), method.capacity) > 0


def test_what_the_method_encodes_it_decodes() -> None:
    """Two halves of a block: the perfect map gives the two halves back, and nothing else."""
    method = method_named("fracsegmentator")
    fragments = np.zeros((28, 24, 24), np.uint8)
    fragments[4:14, 4:20, 4:20] = 1
    fragments[14:24, 4:20, 4:20] = 2
    classes = method.encode(fragments, (1.0, 1.0, 1.0))
    geometry = Geometry(shape=fragments.shape, spacing_mm=(1.0, 1.0, 1.0))
    perfect = np.eye(len(method.channels), dtype=np.float16)[classes].transpose(3, 0, 1, 2)

    recovery = method.decode(
        FragmentMap(voxels=perfect, geometry=geometry, channels=method.channels),
        fragments > 0,
        method.recovery,
    )

    assert recovery.count == 2
    halves = {frozenset(np.unique(recovery.labels[fragments == f]).tolist()) for f in (1, 2)}
    assert halves == {frozenset({1}), frozenset({2})}


def test_a_method_builds_the_network_that_its_configuration_describes() -> None:
    config = TPCNetConfig(features=(4, 8), memory_keys=4, embedding_dim=8, heads=2)
    network = method_named("fracsegmentator").build_network(config.to_dict())
    assert network.config == config


@pytest.mark.parametrize(
    "change",
    [
        {"channels": ("contact",)},
        {"patch": (0, 64, 64)},
        {"overlap": 1.0},
        {"capacity": 0},
        {"spacing_mm": (1.0, -1.0, 1.0)},
    ],
)
def test_impossible_methods_are_refused(change: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"must|begin"):
        replace(METHODS[0], **change)


def test_the_registry_loads_no_torch() -> None:
    code = (
        "import sys, FractureSegmentationLib.methods.catalogue;"
        "sys.exit('torch' in sys.modules or 'vtk' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
