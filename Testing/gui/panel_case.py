"""A small simulated CT of a broken left hip bone and a sacrum, and the result of a run on it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import numpy as np
import numpy.typing as npt

from FractureSegmentationLib.anatomy.catalogue import bone_named
from FractureSegmentationLib.anatomy.numbering import FRACSEG
from FractureSegmentationLib.geometry import Geometry
from FractureSegmentationLib.inference.engine import EngineVersion
from FractureSegmentationLib.instances.merge_tree import Merge, MergeTree
from FractureSegmentationLib.io.read import CtInput
from FractureSegmentationLib.pipeline.findings import (
    BoneFinding,
    FragmentFinding,
    Neighbour,
    PossibleFracture,
)
from FractureSegmentationLib.pipeline.output import write_result
from FractureSegmentationLib.pipeline.result import RunFacts, SegmentResult
from FractureSegmentationLib.progress import Progress
from FractureSegmentationLib.results.merge_trees import BoneTree, MergeTrees, cropped_regions
from FractureSegmentationLib.volume import LabelVolume, Volume

SHAPE = (44, 52, 72)
SPACING_MM = (2.0, 1.5, 1.5)
WARNING = "The slices are thick; small fragments may be missed."


@dataclass(frozen=True)
class PanelCase:
    """What a run reads and writes.

    Attributes:
        ct: HU.
        labels: 51, 52 and 53 in the left hip bone, 1 in the sacrum.
        contact: 255 = certain; likely between 51 and 52 and on a sheet within 51, nowhere else.
    """

    ct: Volume
    labels: LabelVolume
    contact: Volume


def make_case() -> PanelCase:
    """The case; always the same."""
    geometry = Geometry(shape=SHAPE, spacing_mm=SPACING_MM, origin_lps_mm=(-50.0, -40.0, 10.0))
    k, j, i = np.indices(SHAPE)
    z, y, x = (
        (n - count / 2) * step for n, count, step in zip((k, j, i), SHAPE, SPACING_MM, strict=True)
    )
    hip = ((x - 12) / 34) ** 2 + (y / 24) ** 2 + (z / 36) ** 2 < 1
    sacrum = ((x + 36) / 11) ** 2 + (y / 20) ** 2 + (z / 26) ** 2 < 1
    labels = np.zeros(SHAPE, np.uint16)
    first_cut, second_cut = z - 0.4 * x - 8, y + 0.3 * x - 9
    labels[hip] = 51
    labels[hip & (first_cut > 0)] = 52
    labels[hip & (first_cut > 0) & (second_cut > 0)] = 53
    labels[sacrum & ~hip] = 1
    hidden = z + 0.2 * y + 16
    gap = np.minimum(np.abs(first_cut), np.abs(hidden))
    contact = np.where(hip, np.clip(255 * np.exp(-((gap / 1.5) ** 2)), 0, 255), 0)
    contact[labels == 53] = 0
    noise = np.random.default_rng(1).normal(0, 25, SHAPE)
    rim = _rim(labels > 0)
    hu = np.where(labels > 0, np.where(rim, 900, 350), 40) - 2.2 * contact
    return PanelCase(
        ct=Volume(voxels=(hu + noise).astype(np.int16), geometry=geometry),
        labels=LabelVolume(voxels=labels, geometry=geometry),
        contact=Volume(voxels=contact.astype(np.uint8), geometry=geometry),
    )


def write_case_result(case: PanelCase, folder: Path, *, warnings: tuple[str, ...] = ()) -> Path:
    """Write the result folder that a run on the case would leave; returns the folder."""
    folder.mkdir(parents=True)
    progress = Progress()
    progress.warnings.extend(warnings)
    # Nothing here looks at the picture, and drawing it takes longer than all the rest.
    with mock.patch("FractureSegmentationLib.pipeline.output.write_preview"):
        write_result(_result(case), folder, progress, time.monotonic, writes_meshes=False)
    return folder


def middle_ras(case: PanelCase, label: int) -> tuple[float, float, float]:
    """A point inside a fragment: its voxel nearest to its centre, in RAS, mm."""
    voxels = np.argwhere(case.labels.voxels == label)
    nearest = voxels[((voxels - voxels.mean(axis=0)) ** 2).sum(axis=1).argmin()]
    x, y, z = case.labels.geometry.to_lps(nearest)
    return (-float(x), -float(y), float(z))


def _result(case: PanelCase) -> SegmentResult:
    hip, sacrum = bone_named("left_hip"), bone_named("sacrum")
    values = np.select(
        [case.labels.voxels == 1, case.labels.voxels > 1], [sacrum.mask_value, hip.mask_value]
    )
    sheet = np.argwhere((case.labels.voxels == 51) & (case.contact.voxels > 250))
    lowest = sheet[sheet[:, 0].argmin()]
    x, y, z = (float(n) for n in case.labels.geometry.to_lps(lowest))
    found = (
        BoneFinding(
            bone=sacrum,
            fragments=(_fragment(case, 1, 1, 0.97),),
            possible_fractures=(),
            small_pieces=(),
        ),
        BoneFinding(
            bone=hip,
            fragments=(
                _fragment(case, 51, 1, 0.91, (_neighbour(2, 900.0, 870.0),)),
                _fragment(
                    case, 52, 2, 0.62, (_neighbour(1, 900.0, 870.0), _neighbour(3, 600.0, 20.0))
                ),
                _fragment(case, 53, 3, 0.34, (_neighbour(2, 600.0, 20.0),)),
            ),
            possible_fractures=(PossibleFracture(index=1, area_mm2=310.0, place_lps_mm=(x, y, z)),),
            small_pieces=(),
        ),
    )
    return SegmentResult(
        ct=CtInput(volume=case.ct, kind="NRRD"),
        fragments=case.labels,
        bones=LabelVolume(voxels=values.astype(np.uint8), geometry=case.labels.geometry),
        contact=case.contact,
        trees=_trees(case),
        numbering=FRACSEG,
        findings=found,
        maps={},
        facts=RunFacts(
            method="fracsegmentator",
            engine=EngineVersion(name="torch", version="2.13.0"),
            device="cpu",
            precision="fp32",
            weights=(),
        ),
    )


def _trees(case: PanelCase) -> MergeTrees:
    """Regions 1 and 2 are fragment 51, above and below the hidden sheet; 3 is 52, 4 is 53."""
    k, j, _ = np.indices(SHAPE)
    z = (k - SHAPE[0] / 2) * SPACING_MM[0]
    y = (j - SHAPE[1] / 2) * SPACING_MM[1]
    regions = np.select(
        [case.labels.voxels == 51, case.labels.voxels == 52, case.labels.voxels == 53], [1, 3, 4]
    )
    regions[(regions == 1) & (z + 0.2 * y + 16 < 0)] = 2
    regions[case.labels.voxels == 1] = 5
    volume = LabelVolume(voxels=regions.astype(np.uint16), geometry=case.labels.geometry)
    hip = MergeTree(
        count=4,
        merges=(
            Merge(a=1, b=2, probability=0.6),
            Merge(a=3, b=4, probability=0.4),
            Merge(a=1, b=3, probability=0.1),
        ),
    )
    return MergeTrees(
        regions=cropped_regions(volume),
        bones=(
            BoneTree(bone=bone_named("left_hip"), offset=0, tree=hip),
            BoneTree(bone=bone_named("sacrum"), offset=4, tree=MergeTree(count=1)),
        ),
    )


def _fragment(
    case: PanelCase,
    label: int,
    index: int,
    confidence: float,
    neighbours: tuple[Neighbour, ...] = (),
) -> FragmentFinding:
    voxels = np.argwhere(case.labels.voxels == label)
    places = case.labels.geometry.to_lps(voxels)
    return FragmentFinding(
        index=index,
        volume_mm3=len(voxels) * case.labels.geometry.voxel_volume_mm3,
        centroid_lps_mm=tuple(places.mean(axis=0).tolist()),
        box_lps_mm=(tuple(places.min(axis=0).tolist()), tuple(places.max(axis=0).tolist())),
        confidence=confidence,
        neighbours=neighbours,
    )


def _neighbour(index: int, area_mm2: float, contact_area_mm2: float) -> Neighbour:
    return Neighbour(
        index=index,
        area_mm2=area_mm2,
        contact_area_mm2=contact_area_mm2,
        mean_contact=0.5,
        confidence=contact_area_mm2 / area_mm2,
    )


def _rim(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    from scipy.ndimage import binary_erosion

    return mask & ~binary_erosion(mask, iterations=2)
