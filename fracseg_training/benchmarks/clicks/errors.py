"""Mistakes of a kind that a segmentation makes, put into the true fragments of a real bone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
from scipy.ndimage import find_objects

from FractureSegmentationLib.anatomy.numbering import PENGWIN_2024
from FractureSegmentationLib.editing.edit import apply_edit, make_edit, merge_fragments
from FractureSegmentationLib.editing.fragments import Fragments
from FractureSegmentationLib.editing.split import split_by_plane
from FractureSegmentationLib.evaluation.score import MIN_FRAGMENT_MM3
from FractureSegmentationLib.volume import LabelVolume
from FractureSegmentationLib.voxels.geodesic import arrival_times
from FractureSegmentationLib.voxels.windows import window_maximum

if TYPE_CHECKING:
    from collections.abc import Iterator

    from FractureSegmentationLib.editing.fragments import FragmentRecord
    from FractureSegmentationLib.types import MaskArray

ErrorKind = Literal["merged", "split", "stolen"]
ERROR_KINDS: tuple[ErrorKind, ...] = get_args(ErrorKind)
STOLEN_MM3 = 2_000.0
_MARGIN_VOXELS = 2


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TrueCase:
    """One bone of a patient with its true fragments.

    Attributes:
        name: patient and bone.
        truth: its fragments in the numbering of PENGWIN 2024, nothing else, cropped to the bone.
        bones: how many bones the patient's case has.
    """

    name: str
    truth: Fragments
    bones: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SimulatedError:
    """A bone with a mistake in it.

    Attributes:
        kind: two fragments merged; one split in two; 2 cm³ given to a neighbour.
        case: the truth.
        what: the fragments concerned.
        wrong: the fragments with the mistake.
    """

    kind: ErrorKind
    case: TrueCase
    what: str
    wrong: Fragments


def true_cases(patient: str, truth: LabelVolume) -> Iterator[TrueCase]:
    """The bones of a patient, one after the other.

    Args:
        patient: what to call it.
        truth: fragments in the numbering of PENGWIN 2024.
    """
    whole = Fragments.of(truth, PENGWIN_2024)
    bones = tuple(dict.fromkeys(record.bone for record in whole.records))
    for bone in bones:
        own = [record.label for record in whole.of_bone(bone)]
        only = np.where(np.isin(whole.labels.voxels, own), whole.labels.voxels, 0)
        (found,) = find_objects((only > 0).view(np.uint8))
        k, j, i = (
            slice(max(0, s.start - _MARGIN_VOXELS), min(n, s.stop + _MARGIN_VOXELS))
            for s, n in zip(found, only.shape, strict=True)
        )
        part = truth.with_voxels(only).cropped((k, j, i))
        yield TrueCase(
            name=f"{patient} {bone.slug}",
            truth=Fragments.of(part, PENGWIN_2024),
            bones=len(bones),
        )


def simulated_errors(case: TrueCase, rng: np.random.Generator) -> Iterator[SimulatedError]:
    """Every mistake that can be put into the fragments of a bone that the headline looks at.

    Each pair of touching fragments is merged; each fragment is split at its centre by a plane of
    a random direction; and of each pair either one loses 2 cm³ beside the interface to the other.

    Args:
        case: the truth.
        rng: draws planes and places.
    """
    truth = case.truth
    large = [r for r in truth.records if truth.volume_mm3(r.label) >= MIN_FRAGMENT_MM3]
    for a in large:
        for b in large:
            if a.label < b.label and _interface(truth, a, b).any():
                wrong = apply_edit(truth, merge_fragments(truth, [a.label, b.label]))
                yield SimulatedError(
                    kind="merged", case=case, what=f"{a.index} and {b.index}", wrong=wrong
                )
    for a in large:
        wrong = _split_at_centre(truth, a, rng)
        yield SimulatedError(kind="split", case=case, what=f"{a.index}", wrong=wrong)
    for a in large:
        for b in large:
            if a.label != b.label and truth.volume_mm3(a.label) > 2.0 * STOLEN_MM3:
                interface = _interface(truth, a, b)
                if interface.any():
                    wrong = _stolen(truth, (a, b), interface, rng)
                    what = f"{a.index} to {b.index}"
                    yield SimulatedError(kind="stolen", case=case, what=what, wrong=wrong)


def _interface(truth: Fragments, a: FragmentRecord, b: FragmentRecord) -> MaskArray:
    voxels = truth.labels.voxels
    touching: MaskArray = (voxels == a.label) & window_maximum(voxels == b.label, 1)
    return touching


def _split_at_centre(
    truth: Fragments, record: FragmentRecord, rng: np.random.Generator
) -> Fragments:
    centre = truth.labels.geometry.to_lps(
        np.argwhere(truth.labels.voxels == record.label).mean(axis=0)
    )
    x, y, z = (float(v) for v in centre)
    a, b, c = (float(v) for v in rng.normal(size=3))
    return apply_edit(truth, split_by_plane(truth, record.label, (x, y, z), (a, b, c)))


def _stolen(
    truth: Fragments,
    pair: tuple[FragmentRecord, FragmentRecord],
    interface: MaskArray,
    rng: np.random.Generator,
) -> Fragments:
    """The connected 2 cm³ of the first fragment around a place of the interface."""
    giver, taker = pair
    geometry = truth.labels.geometry
    places = np.argwhere(interface)
    start = np.zeros(geometry.shape, bool)
    start[tuple(places[rng.integers(len(places))])] = True
    own = truth.labels.voxels == giver.label
    times = arrival_times(start, own, np.ones(own.shape, np.float32), geometry.spacing_mm)
    inside = np.sort(times[np.isfinite(times)])
    count = min(round(STOLEN_MM3 / geometry.voxel_volume_mm3), len(inside))
    after = np.where(times <= inside[count - 1], np.uint16(taker.label), truth.labels.voxels)
    k, j, i = (slice(0, n) for n in geometry.shape)
    return apply_edit(truth, make_edit(truth, (k, j, i), after, "steal"))
