"""How well recovery can do at best: a perfect map in, fragments out, on real fractured bones.

Run as `python -m fracseg_training.benchmarks.oracle DATA_DIR`, where DATA_DIR holds the folder
`real`. Every fractured bone is encoded, optionally with holes punched into its contact, recovered
in both modes, and scored.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from FractureSegmentationLib.evaluation.score import BoneScore, score_bone
from FractureSegmentationLib.instances import bicm
from FractureSegmentationLib.instances.config import RecoveryConfig
from FractureSegmentationLib.instances.recover import recover_fragments
from FractureSegmentationLib.instances.result import Recovery
from FractureSegmentationLib.io.read import read_labels
from FractureSegmentationLib.types import LabelArray, Spacing
from FractureSegmentationLib.volume import LabelVolume
from FractureSegmentationLib.voxels.boxes import bounding_box
from FractureSegmentationLib.voxels.resample import nearest_labels
from FractureSegmentationLib.voxels.windows import another_label_near

HOLE_SHARE = 0.15
HOLE_RADIUS_VOXELS = 3
WORKING_MM: Spacing = (1.0, 1.0, 1.0)
PATIENTS = ("001", "003", "005")
_BONES = ("sacrum", "left hip", "right hip")
_LABELS_PER_BONE = 10

Classes = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TrueBone:
    """One real bone and its true fragments.

    Attributes:
        name: patient and bone.
        fragments: (K, J, I) labels 1..n, cropped to the bone.
        spacing_mm: voxel size along (k, j, i), in mm.
    """

    name: str
    fragments: LabelArray
    spacing_mm: Spacing

    @property
    def is_fractured(self) -> bool:
        """Whether the truth has more than one fragment."""
        return int(self.fragments.max()) > 1


@dataclass(frozen=True, slots=True, kw_only=True)
class OracleRow:
    """One bone, one grid, one kind of map, one recovery mode.

    Attributes:
        bone: patient and bone.
        grid: `native` or `1.0 mm`.
        has_holes: whether contact was punched.
        mode: recovery mode.
        score: see `score_bone`.
        seconds: processor time of recovery.
    """

    bone: str
    grid: str
    has_holes: bool
    mode: str
    score: BoneScore
    seconds: float


def true_bones(
    data: Path, *, is_resampled: bool, patients: Sequence[str] = PATIENTS
) -> Iterator[TrueBone]:
    """The bones of the real patients, on the CT's grid or resampled to 1 mm.

    Args:
        data: folder that holds `real`.
        is_resampled: resample the labels to the working spacing (nearest).
        patients: folders below `real`.
    """
    for patient in patients:
        labels = read_labels(data / "real" / patient / "fragments.nii.gz")
        if is_resampled:
            labels = nearest_labels(labels, labels.geometry.resampled(WORKING_MM))
        yield from _bones_of(patient, labels)


def perfect_classes(bone: TrueBone) -> Classes:
    """(K, J, I) classes a perfect network would predict."""
    return bicm.encode(bone.fragments, bone.spacing_mm)


def with_holes(bone: TrueBone, classes: Classes, rng: np.random.Generator) -> Classes:
    """The same classes with balls cut out of the contact until a share of its surface is gone.

    In a hole the network is taken to see neither contact nor the interface's shell: the voxels
    are what they would be if each fragment lay alone.

    Args:
        bone: the bone that was encoded.
        classes: its perfect classes.
        rng: draws the centres.
    """
    surface = another_label_near(bone.fragments, 1) & (classes == bicm.CONTACT)
    places = np.argwhere(surface)
    punched = classes.copy()
    if not len(places):
        return punched
    alone = np.zeros_like(classes)
    for label in range(1, int(bone.fragments.max()) + 1):
        alone |= bicm.encode(np.where(bone.fragments == label, label, 0), bone.spacing_mm)
    open_surface = surface.copy()
    for centre in rng.permutation(places):
        if open_surface.sum() <= (1.0 - HOLE_SHARE) * len(places):
            break
        ball, box = _ball(centre, bone.fragments.shape)
        punched[box][ball] = alone[box][ball]
        open_surface[box][ball] = False
    return punched


def recover_classes(bone: TrueBone, classes: Classes, config: RecoveryConfig) -> Recovery:
    """Recovery from a hard class map."""
    boundary, interior, contact = (
        (classes == c).astype(np.float32) for c in (bicm.BOUNDARY, bicm.INTERIOR, bicm.CONTACT)
    )
    return recover_fragments(
        boundary, interior, contact, bone.fragments > 0, bone.spacing_mm, config
    )


def oracle_rows(data: Path) -> Iterator[OracleRow]:
    """Every fractured bone, grid, map and mode."""
    for is_resampled in (False, True):
        for number, bone in enumerate(true_bones(data, is_resampled=is_resampled)):
            if not bone.is_fractured:
                continue
            perfect = perfect_classes(bone)
            punched = with_holes(bone, perfect, np.random.default_rng(number))
            for has_holes, classes in ((False, perfect), (True, punched)):
                for mode in ("hierarchical", "paper"):
                    begin = time.process_time()
                    recovered = recover_classes(bone, classes, RecoveryConfig(mode=mode))
                    seconds = time.process_time() - begin
                    yield OracleRow(
                        bone=bone.name,
                        grid="1.0 mm" if is_resampled else "native",
                        has_holes=has_holes,
                        mode=mode,
                        score=score_bone(
                            recovered.labels, bone.fragments, bone.spacing_mm, with_distances=False
                        ),
                        seconds=seconds,
                    )


def main(arguments: list[str]) -> int:
    """Print the table for the data folder named on the command line."""
    if len(arguments) != 1:
        print("Usage: python -m fracseg_training.benchmarks.oracle DATA_DIR")
        return 2
    means: dict[tuple[str, bool, str], list[float]] = {}
    for row in oracle_rows(Path(arguments[0])):
        iou = row.score.headline.iou
        means.setdefault((row.grid, row.has_holes, row.mode), []).append(iou)
        print(
            f"{row.bone:14s} {row.grid:7s} {'holes' if row.has_holes else 'clean':6s} "
            f"{row.mode:13s} IoU {iou:.4f} (all {row.score.all_fragments.iou:.4f})  "
            f"spurious {row.score.spurious}  merges {row.score.counts.merges}  "
            f"splits {row.score.counts.splits}  {row.seconds:.2f} s"
        )
    for (grid, has_holes, mode), values in sorted(means.items()):
        kind = "holes" if has_holes else "clean"
        print(f"mean of {len(values)}: {grid:7s} {kind:6s} {mode:13s} IoU {np.mean(values):.4f}")
    return 0


def _bones_of(patient: str, labels: LabelVolume) -> Iterator[TrueBone]:
    for number, name in enumerate(_BONES):
        first = number * _LABELS_PER_BONE
        index = labels.voxels.astype(np.int32) - first
        fragments = np.where((index > 0) & (index <= _LABELS_PER_BONE), index, 0).astype(np.uint8)
        box = bounding_box(fragments > 0, margin=2)
        if box is not None:
            yield TrueBone(
                name=f"{patient} {name}",
                fragments=fragments[box],
                spacing_mm=labels.geometry.spacing_mm,
            )


def _ball(
    centre: npt.NDArray[np.int64], shape: tuple[int, ...]
) -> tuple[npt.NDArray[np.bool_], tuple[slice, ...]]:
    """A ball of voxels, cut to the array, and the box it fills."""
    reach = HOLE_RADIUS_VOXELS
    box = tuple(
        slice(max(int(c) - reach, 0), min(int(c) + reach + 1, n))
        for c, n in zip(centre, shape, strict=True)
    )
    grids = np.ogrid[box]
    squared = sum((g - int(c)) ** 2 for g, c in zip(grids, centre, strict=True))
    return np.asarray(squared <= reach * reach), box


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
