"""Bones with a map to recover from: true maps made imperfect, or a network's, and phantoms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import gaussian_filter

from fracseg_training.benchmarks.oracle import PATIENTS
from fracseg_training.data.prepare import WORKING_SPACING_MM, real_cases
from FractureSegmentationLib.geometry import Geometry
from FractureSegmentationLib.instances import bicm
from FractureSegmentationLib.volume import FragmentMap

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import numpy.typing as npt

    from fracseg_training.data.cases import Case
    from FractureSegmentationLib.types import LabelArray, MaskArray

MODEL = "fracsegmentator-small"
_BLUR_VOXELS = 0.8
_NOISE = 0.15


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MappedBone:
    """A bone, its true fragments and a map as a network might give it.

    Attributes:
        name: of the bone.
        fragments: (K, J, I) true labels 1..n, 0 outside.
        fragment_map: probabilities on the same grid.
    """

    name: str
    fragments: LabelArray
    fragment_map: FragmentMap

    @property
    def bone(self) -> MaskArray:
        """(K, J, I) the bone."""
        mask: MaskArray = self.fragments > 0
        return mask


def real_bones(data: Path) -> Iterator[Case]:
    """The nine bones of the three real patients at the working spacing."""
    for patient in PATIENTS:
        yield from real_cases(data / "real" / patient)


def mapped_bones(cases: list[Case], *, uses_network: bool) -> list[MappedBone]:
    """Bones with their maps.

    Args:
        cases: the bones.
        uses_network: predict the maps with the shipped weights; else blur the true classes and
            add noise, seeded.
    """
    if uses_network:
        maps = shipped_maps(cases)
    else:
        maps = [
            noisy_map(case.fragments, np.random.default_rng(number))
            for number, case in enumerate(cases)
        ]
    return [
        MappedBone(name=case.info.name, fragments=case.fragments, fragment_map=predicted)
        for case, predicted in zip(cases, maps, strict=True)
    ]


def shipped_maps(cases: list[Case]) -> list[FragmentMap]:
    """What the shipped weights say of bones whose mask is given."""
    from fracseg_training.fragments.score import predicted_map, window_plan
    from FractureSegmentationLib.inference.predictor import Predictor
    from FractureSegmentationLib.networks.model_folder import shipped_model
    from FractureSegmentationLib.networks.weights import load_model

    _, network = load_model(shipped_model(MODEL))
    predictor = Predictor(network, window_plan(), device="cpu")
    return [predicted_map(case, case.fragments > 0, predictor) for case in cases]


def noisy_map(fragments: LabelArray, rng: np.random.Generator) -> FragmentMap:
    """The true classes, blurred and with smooth noise added, as float16 probabilities.

    Args:
        fragments: (K, J, I) true labels, voxels of 1 mm.
        rng: draws the noise.
    """
    classes = bicm.encode(fragments, WORKING_SPACING_MM)
    maps = np.empty((len(bicm.CHANNELS), *classes.shape), np.float32)
    for number in range(len(maps)):
        noise = gaussian_filter(rng.standard_normal(classes.shape, np.float32), 1.0)
        blurred = gaussian_filter((classes == number).astype(np.float32), _BLUR_VOXELS)
        maps[number] = np.maximum(blurred + (_NOISE / noise.std()) * noise, 1e-3)
    maps /= maps.sum(axis=0)
    return _as_map(maps.astype(np.float16))


def perfect_map(fragments: LabelArray) -> FragmentMap:
    """The true classes as probabilities 0 and 1."""
    classes = bicm.encode(fragments, WORKING_SPACING_MM)
    return _as_map(np.stack([classes == number for number in range(4)]).astype(np.float16))


def broken_block(edge: int, count: int, seed: int = 0) -> LabelArray:
    """A cube of bone in fragments that are cells around random centres, in a margin of 4 voxels.

    Args:
        edge: of the cube, in voxels.
        count: number of fragments.
        seed: draws the centres.
    """
    rng = np.random.default_rng(seed)
    centres = rng.uniform(0.0, edge, (count, 3))
    k, j, i = np.ogrid[:edge, :edge, :edge]
    nearest = np.full((edge,) * 3, np.inf)
    fragments = np.zeros((edge,) * 3, np.uint8)
    for number, centre in enumerate(centres, start=1):
        squared = (k - centre[0]) ** 2 + (j - centre[1]) ** 2 + (i - centre[2]) ** 2
        fragments[squared < nearest] = number
        nearest = np.minimum(nearest, squared)
    return np.pad(fragments, 4)


def _as_map(voxels: npt.NDArray[np.float16]) -> FragmentMap:
    _, k, j, i = voxels.shape
    geometry = Geometry(shape=(k, j, i), spacing_mm=WORKING_SPACING_MM)
    return FragmentMap(voxels=voxels, geometry=geometry, channels=bicm.CHANNELS)
