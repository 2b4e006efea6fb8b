"""How far a few clicks of a simulated user get in the bones of all patients, as a table."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from fracseg_training.benchmarks.clicks.errors import ERROR_KINDS, simulated_errors, true_cases
from fracseg_training.benchmarks.clicks.evidence import (
    click_evidence,
    fold_contact,
    perfect_contact,
)
from fracseg_training.benchmarks.clicks.user import TARGET_IOU, correct
from fracseg_training.benchmarks.folds import folds_wanted, seen_warning
from FractureSegmentationLib.errors import MissingWeightsError
from FractureSegmentationLib.io.read import read_ct, read_labels

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from fracseg_training.benchmarks.clicks.errors import SimulatedError
    from fracseg_training.benchmarks.clicks.evidence import MapKind
    from fracseg_training.benchmarks.clicks.user import Correction
    from FractureSegmentationLib.editing.evidence import CutEvidence
    from FractureSegmentationLib.volume import LabelVolume
RANDOM_TRIALS = 5


def click_lines(
    patients: Sequence[Path],
    kind: MapKind,
    *,
    model: Path | None = None,
    seed: int = 0,
    device: str = "auto",
) -> Iterator[str]:
    """Correct the simulated errors of all patients with clicks.

    Args:
        patients: folders with `ct`, `bones` and `fragments` as `.nii.gz`, named for the patient;
            fragments in the numbering of PENGWIN 2024.
        kind: which contact map the splits go by.
        model: for "folds", a model folder, or one that holds a fold for each patient. Patients
            without a fold are played with the CT alone.
        seed: of errors and random points.
        device: where the network of a fold runs.

    Yields:
        A line per error as it is corrected, then the summary.

    Raises:
        MissingWeightsError: the kind is "folds" and there is no model.
    """
    if kind == "folds" and model is None:
        raise folds_wanted()
    results: list[CorrectedError] = []
    for folder in patients:
        truth = read_labels(folder / "fragments.nii.gz")
        evidence, note = _evidence(folder, truth, kind, model, device)
        yield f"{folder.name}: {note}"
        for corrected in corrected_errors(folder.name, truth, evidence, seed):
            results.append(corrected)
            yield _line(corrected)
    yield from summary_lines(results)


def summary_lines(results: Sequence[CorrectedError]) -> Iterator[str]:
    """Figures per kind of error, and the time of splits."""
    for kind in ERROR_KINDS:
        rows = [corrected for corrected in results if corrected.error.kind == kind]
        if not rows:
            continue
        centres, randoms = [r.corrections[0] for r in rows], [r.worst_random for r in rows]
        yield (
            f"{kind:7s} {len(rows)} errors, headline with the error at worst "
            f"{min(p.before for p in centres):.3f}; restored to {TARGET_IOU:g} within three "
            f"actions: centre {_restored(centres)}, worst random {_restored(randoms)}"
        )
    seconds = [s for r in results for correction in r.corrections for s in correction.split_seconds]
    if seconds:
        yield (
            f"{len(seconds)} splits: {statistics.median(seconds):.2f} s each (median), "
            f"{max(seconds):.2f} s at most, processor time"
        )
    splits = [r for r in results if r.corrections[0].split_seconds]
    if splits:
        largest = max(splits, key=_bone_mm3)
        own = [s for correction in largest.corrections for s in correction.split_seconds]
        yield (
            f"largest bone with a split: {largest.error.case.name}, "
            f"{_bone_mm3(largest) / 1000.0:.0f} cm³, {max(own):.2f} s at most"
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CorrectedError:
    """One error with all its corrections; the first is that with clicks at centres.

    Attributes:
        error: what was wrong.
        corrections: one with centres, then those with random points where a split was needed.
    """

    error: SimulatedError
    corrections: tuple[Correction, ...]

    @property
    def worst_random(self) -> Correction:
        """The random correction that ended worst; that with centres where nothing was random."""
        return min(
            self.corrections[1:] or self.corrections, key=lambda correction: correction.after
        )


def corrected_errors(
    patient: str, truth: LabelVolume, evidence: CutEvidence, seed: int
) -> Iterator[CorrectedError]:
    """Correct every simulated error of a patient.

    Args:
        patient: what to call it.
        truth: fragments in the numbering of PENGWIN 2024.
        evidence: what the splits go by.
        seed: of the errors and the random points.
    """
    for number, case in enumerate(true_cases(patient, truth)):
        errors = simulated_errors(case, np.random.default_rng([seed, number]))
        for order, error in enumerate(errors):
            corrections = [correct(error, evidence, "centre", np.random.default_rng(seed))]
            if corrections[0].split_seconds:
                corrections += [
                    correct(error, evidence, "random", np.random.default_rng([seed, order, trial]))
                    for trial in range(RANDOM_TRIALS)
                ]
            yield CorrectedError(error=error, corrections=tuple(corrections))


def _evidence(
    folder: Path, truth: LabelVolume, kind: MapKind, model: Path | None, device: str
) -> tuple[CutEvidence, str]:
    ct = read_ct(folder / "ct.nii.gz").volume
    bones = read_labels(folder / "bones.nii.gz")
    if kind == "oracle":
        return click_evidence(ct, bones, truth, perfect_contact), "perfect contact map"
    if kind == "folds" and model is not None:
        try:
            contact = fold_contact(folder.name, model, device=device)
        except MissingWeightsError:
            note = "no fold weights leave this patient out: CT intensity, no map"
            return click_evidence(ct, bones, truth, None), note
        note = "contact map of the fold weights"
        if warning := seen_warning(folder.name, model):
            note += f". Warning: {warning}"
        return click_evidence(ct, bones, truth, contact), note
    return click_evidence(ct, bones, truth, None), "CT intensity, no map"


def _line(corrected: CorrectedError) -> str:
    centre, worst = corrected.corrections[0], corrected.worst_random
    error = corrected.error
    return (
        f"  {error.case.name:16s} {error.kind:7s} {error.what:7s} before {centre.before:.3f}  "
        f"centre {_report(centre)}  worst random {_report(worst)}"
    )


def _report(correction: Correction) -> str:
    return (
        f"{correction.after:.3f} (bone {correction.bone_after:.3f}, {correction.actions} actions)"
    )


def _restored(corrections: Sequence[Correction]) -> str:
    lowest = min(correction.after for correction in corrections)
    bone = min(correction.bone_after for correction in corrections)
    alone = sum(correction.bone_after >= TARGET_IOU for correction in corrections)
    return (
        f"{sum(correction.is_restored for correction in corrections)} of {len(corrections)} "
        f"(lowest {lowest:.3f}; the broken bone alone {alone} of {len(corrections)}, "
        f"lowest {bone:.3f})"
    )


def _bone_mm3(corrected: CorrectedError) -> float:
    truth = corrected.error.case.truth
    return sum(truth.volume_mm3(record.label) for record in truth.records)
