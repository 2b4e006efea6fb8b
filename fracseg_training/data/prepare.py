"""Fills a folder with training cases: real truth, and fractures simulated on whole bones.

Every case is a function of its name and the seed, so a folder can be filled by several processes,
interrupted and filled up again.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from fracseg_training.data.cases import SUFFIX, Case, CaseInfo, make_case, save_case
from fracseg_training.simulate.config import SimulationConfig
from fracseg_training.simulate.fracture import simulate_fracture, simulate_intact
from FractureSegmentationLib.anatomy.catalogue import bone_of_mask_value
from FractureSegmentationLib.errors import InputError
from FractureSegmentationLib.io.read import read_ct, read_labels
from FractureSegmentationLib.volume import LabelVolume
from FractureSegmentationLib.voxels.boxes import bounding_box, grown_box
from FractureSegmentationLib.voxels.orient import canonical_order
from FractureSegmentationLib.voxels.resample import nearest_labels, resample_volume

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from FractureSegmentationLib.types import Box, HuArray, LabelArray, MaskArray, Spacing
    from FractureSegmentationLib.volume import Volume

WORKING_SPACING_MM: Spacing = (1.0, 1.0, 1.0)
_MARGIN_MM = 6.0
_KINDS = ("fracture", "intact")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class WholeBone:
    """A bone in one piece, on the working grid: what fractures are simulated on.

    Attributes:
        info: whose bone it is; the cases made from it carry its patient.
        hu: (K, J, I) Hounsfield units.
        mask: (K, J, I) the bone.
    """

    info: CaseInfo
    hu: HuArray
    mask: MaskArray


def real_cases(folder: Path) -> Iterator[Case]:
    """The bones of one patient with their true fragments.

    Args:
        folder: named for the patient; holds `ct`, `bones` and `fragments` as `.nii.gz`. Bones have
            the catalogue's mask values.

    Yields:
        One case per bone, at the working spacing, fragments numbered from 1.

    Raises:
        InputError: a file is missing or damaged, or the grids differ.
    """
    ct = read_ct(folder / "ct.nii.gz").volume
    bones = read_labels(folder / "bones.nii.gz")
    fragments = read_labels(folder / "fragments.nii.gz")
    for labels in (bones, fragments):
        if not labels.geometry.is_close_to(ct.geometry):
            raise InputError(
                "The CT, the bones and the fragments of a training patient lie on different grids.",
                "Resample the label maps to the CT.",
            )
    order = canonical_order(ct.geometry)
    ct, bones, fragments = order.volume(ct), order.volume(bones), order.volume(fragments)
    for value in bones.values():
        box = box_around(bones.voxels == value, bones.geometry.spacing_mm, _MARGIN_MM)
        truth = fragments.cropped(box)
        inside = np.where(bones.voxels[box] == value, truth.voxels, 0)
        bone = bone_of_mask_value(value)
        info = CaseInfo(
            name=f"real_{folder.name}_{bone.slug}",
            patient=folder.name,
            bone=bone.slug,
            source="real",
            is_simulated=False,
            spacing_mm=WORKING_SPACING_MM,
        )
        hu, labels_1mm = _on_working_grid(ct.cropped(box), truth.with_voxels(inside))
        yield make_case(info, hu, numbered_from_one(labels_1mm))


def whole_bones(cases: Iterator[Case] | list[Case]) -> Iterator[WholeBone]:
    """Bones in one piece, as ground for simulation.

    Of a bone that is truly broken the main fragment serves, as if it were a bone of its own: its
    fracture surfaces are then outer surfaces, and its shape is one more that no other bone has.
    """
    for case in cases:
        is_whole = case.fragments.max() == 1
        info = case.info if is_whole else replace(case.info, name=f"{case.info.name}_main")
        yield WholeBone(info=info, hu=case.hu, mask=case.fragments == 1)


def bones_of(
    ct: Volume, bones: LabelVolume, *, name: str, patient: str, source: str
) -> Iterator[WholeBone]:
    """The bones of a CT with a bone mask, each on the working grid.

    Args:
        ct: Hounsfield units, canonical axes.
        bones: catalogue mask values on the same grid.
        name: prefix of the cases made from them.
        patient: whose anatomy it is.
        source: where it comes from, see `CaseInfo`.
    """
    for value in bones.values():
        bone = bone_of_mask_value(value)
        box = box_around(bones.voxels == value, bones.geometry.spacing_mm, _MARGIN_MM)
        part = bones.cropped(box)
        mask = part.with_voxels((part.voxels == value).astype(np.uint8))
        hu, labels = _on_working_grid(ct.cropped(box), mask)
        info = CaseInfo(
            name=f"{name}_{bone.slug}",
            patient=patient,
            bone=bone.slug,
            source=source,
            is_simulated=True,
            spacing_mm=WORKING_SPACING_MM,
        )
        yield WholeBone(info=info, hu=hu, mask=labels > 0)


def simulated_case(
    bone: WholeBone,
    seed: int,
    *,
    intact_share: float = 0.25,
    config: SimulationConfig | None = None,
) -> Case:
    """A fracture simulated on a whole bone, or the bone in one piece under another scanner.

    Args:
        bone: the ground.
        seed: the case is a function of it and of the bone's name.
        intact_share: how often the bone stays in one piece.
        config: how fractures look.
    """
    rng = np.random.default_rng([seed, zlib.crc32(bone.info.name.encode())])
    settings = config or SimulationConfig()
    is_intact = rng.random() < intact_share
    ground = (bone.hu, bone.mask, bone.info.spacing_mm, rng, settings)
    result = (
        simulate_intact(*ground) if is_intact else simulate_fracture(*ground, slug=bone.info.bone)
    )
    name = _simulated_name(bone, _KINDS[is_intact], seed)
    info = replace(bone.info, name=name, is_simulated=True, seed=seed)
    return make_case(info, result.hu, result.fragments)


def save_missing(folder: Path, bone: WholeBone, seeds: range) -> int:
    """Simulate what a folder lacks of one bone's cases; returns how many were made."""
    made = 0
    for seed in seeds:
        if simulated_name(folder, bone, seed) is None:
            save_case(folder, simulated_case(bone, seed))
            made += 1
    return made


def simulated_name(folder: Path, bone: WholeBone, seed: int) -> str | None:
    """Name of the case that a folder holds of a bone and a seed; None where it holds none."""
    names = (_simulated_name(bone, kind, seed) for kind in _KINDS)
    return next((name for name in names if (folder / f"{name}{SUFFIX}").is_file()), None)


def _simulated_name(bone: WholeBone, kind: str, seed: int) -> str:
    return f"sim_{bone.info.name}_{kind}_{seed}"


def numbered_from_one(labels: LabelArray) -> LabelArray:
    """Labels 1 to n by falling volume, as uint8."""
    values, counts = np.unique(labels[labels > 0], return_counts=True)
    table = np.zeros(int(labels.max(initial=0)) + 1, np.uint8)
    for index, at in enumerate(np.argsort(-counts, kind="stable"), start=1):
        table[values[at]] = index
    return table[labels]


def box_around(mask: MaskArray, spacing_mm: Spacing, margin_mm: float) -> Box:
    """The box of a mask with a margin, clipped to the grid.

    Raises:
        ValueError: the mask is empty.
    """
    box = bounding_box(mask)
    if box is None:
        raise ValueError("an empty mask has no box")
    margins = [int(np.ceil(margin_mm / step)) for step in spacing_mm]
    return grown_box(box, margins, mask.shape)


def _on_working_grid(ct: Volume, labels: LabelVolume) -> tuple[HuArray, LabelArray]:
    target = ct.geometry.resampled(WORKING_SPACING_MM)
    hu = resample_volume(ct, target).voxels
    return np.rint(hu).astype(np.int16), nearest_labels(labels, target).voxels
