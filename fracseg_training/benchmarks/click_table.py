"""The played clicks of all patients as a table, and their figures."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING

from fracseg_training.benchmarks.click_maps import click_evidence, fold_contact, perfect_contact
from fracseg_training.benchmarks.played_clicks import played_errors
from fracseg_training.benchmarks.played_user import TARGET_IOU
from fracseg_training.benchmarks.simulated_errors import ERROR_KINDS
from FractureSegmentationLib.errors import MissingWeightsError
from FractureSegmentationLib.io.read import read_ct, read_labels

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from fracseg_training.benchmarks.click_maps import MapKind
    from fracseg_training.benchmarks.played_clicks import PlayedError
    from fracseg_training.benchmarks.played_user import Play
    from FractureSegmentationLib.editing.evidence import CutEvidence
    from FractureSegmentationLib.volume import LabelVolume


def click_lines(
    patients: Sequence[Path], kind: MapKind, *, seed: int = 0, device: str = "auto"
) -> Iterator[str]:
    """Play the clicks of all patients.

    Args:
        patients: folders with `ct`, `bones` and `fragments` as `.nii.gz`, named for the patient;
            fragments in the numbering of PENGWIN 2024.
        kind: which contact map the splits go by.
        seed: of errors and random points.
        device: where the network of a fold runs.

    Yields:
        A line per error as it is played, then the summary.
    """
    results: list[PlayedError] = []
    for folder in patients:
        truth = read_labels(folder / "fragments.nii.gz")
        evidence, note = _evidence(folder, truth, kind, device)
        yield f"{folder.name}: {note}"
        for played in played_errors(folder.name, truth, evidence, seed):
            results.append(played)
            yield _line(played)
    yield from summary_lines(results)


def summary_lines(results: Sequence[PlayedError]) -> Iterator[str]:
    """Figures per kind of error, and the time of splits."""
    for kind in ERROR_KINDS:
        rows = [played for played in results if played.error.kind == kind]
        if not rows:
            continue
        centres, randoms = [r.plays[0] for r in rows], [r.worst_random for r in rows]
        yield (
            f"{kind:7s} {len(rows)} errors, headline with the error at worst "
            f"{min(p.before for p in centres):.3f}; restored to {TARGET_IOU:g} within three "
            f"actions: centre {_restored(centres)}, worst random {_restored(randoms)}"
        )
    seconds = [s for r in results for play in r.plays for s in play.split_seconds]
    if seconds:
        yield (
            f"{len(seconds)} splits: {statistics.median(seconds):.2f} s each (median), "
            f"{max(seconds):.2f} s at most, processor time"
        )
    splits = [r for r in results if r.plays[0].split_seconds]
    if splits:
        largest = max(splits, key=_bone_mm3)
        own = [s for play in largest.plays for s in play.split_seconds]
        yield (
            f"largest bone with a split: {largest.error.case.name}, "
            f"{_bone_mm3(largest) / 1000.0:.0f} cm³, {max(own):.2f} s at most"
        )


def _evidence(
    folder: Path, truth: LabelVolume, kind: MapKind, device: str
) -> tuple[CutEvidence, str]:
    ct = read_ct(folder / "ct.nii.gz").volume
    bones = read_labels(folder / "bones.nii.gz")
    if kind == "oracle":
        return click_evidence(ct, bones, truth, perfect_contact), "perfect contact map"
    if kind == "folds":
        try:
            contact = fold_contact(folder.name, device=device)
        except MissingWeightsError:
            note = "no fold weights leave this patient out: CT intensity, no map"
            return click_evidence(ct, bones, truth, None), note
        return click_evidence(ct, bones, truth, contact), "contact map of the fold weights"
    return click_evidence(ct, bones, truth, None), "CT intensity, no map"


def _line(played: PlayedError) -> str:
    centre, worst = played.plays[0], played.worst_random
    error = played.error
    return (
        f"  {error.case.name:16s} {error.kind:7s} {error.what:7s} before {centre.before:.3f}  "
        f"centre {_told(centre)}  worst random {_told(worst)}"
    )


def _told(play: Play) -> str:
    return f"{play.after:.3f} (bone {play.bone_after:.3f}, {play.actions} actions)"


def _restored(plays: Sequence[Play]) -> str:
    lowest = min(play.after for play in plays)
    bone = min(play.bone_after for play in plays)
    alone = sum(play.bone_after >= TARGET_IOU for play in plays)
    return (
        f"{sum(play.is_restored for play in plays)} of {len(plays)} "
        f"(lowest {lowest:.3f}; the broken bone alone {alone} of {len(plays)}, lowest {bone:.3f})"
    )


def _bone_mm3(played: PlayedError) -> float:
    truth = played.error.case.truth
    return sum(truth.volume_mm3(record.label) for record in truth.records)
