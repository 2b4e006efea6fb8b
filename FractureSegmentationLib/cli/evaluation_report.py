"""Scores as a text table and as JSON."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from FractureSegmentationLib.metrics.case import CaseScore, summarise
from FractureSegmentationLib.metrics.counts import FragmentCounts
from FractureSegmentationLib.metrics.score import BoneScore, FragmentScore, Means

SCHEMA = "fracseg-evaluation/1"

Named = Sequence[tuple[str, CaseScore]]

_HEADER = (
    "bone", "pieces", "IoU", "Dice", "HD95 mm", "ASSD mm",
    "all IoU", "bone IoU", "F1", "merged", "split", "spurious",
)  # fmt: skip


def summary_of(cases: Named) -> CaseScore:
    """All bones of all cases as one: every bone weighs the same."""
    return summarise([bone for _, case in cases for bone in case.bones])


def as_text(cases: Named, min_fragment_mm3: float) -> str:
    """A table with a row per bone and case, and what its columns mean."""
    rows: list[tuple[str, ...]] = [_HEADER]
    for name, case in cases:
        if len(cases) > 1:
            rows.append((name, *[""] * (len(_HEADER) - 1)))
        rows += [_bone_row(slug, bone) for slug, bone in case.bones]
        rows.append(_total_row("all bones", case))
    if len(cases) > 1:
        rows.append(_total_row(f"{len(cases)} cases", summary_of(cases)))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = [row[0].ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        lines.append("  ".join(cells).rstrip())
    return "\n".join([*lines, "", _explanation(min_fragment_mm3)])


def as_json(cases: Named, protocol: str, min_fragment_mm3: float) -> dict[str, Any]:
    """Everything measured, as values that JSON can hold; null where nothing was measured."""
    return {
        "schema": SCHEMA,
        "protocol": protocol,
        "min_fragment_mm3": min_fragment_mm3,
        "summary": _case(summary_of(cases)),
        "cases": [
            {
                "name": name,
                **_case(case),
                "bones": [{"bone": slug, **_bone(bone)} for slug, bone in case.bones],
            }
            for name, case in cases
        ],
    }


def _bone_row(slug: str, bone: BoneScore) -> tuple[str, ...]:
    return (
        slug,
        f"{bone.counts.found}/{len(bone.fragments)}",
        *_cells(bone.headline, bone.all_fragments, bone.bone, bone.counts),
        str(bone.spurious),
    )


def _total_row(name: str, case: CaseScore) -> tuple[str, ...]:
    return (
        name,
        f"{case.counts.found}/{case.counts.found + case.counts.missed}",
        *_cells(case.headline, case.all_fragments, case.whole_bones, case.counts),
        str(case.spurious),
    )


def _cells(
    headline: Means, all_fragments: Means, whole: Means, counts: FragmentCounts
) -> tuple[str, ...]:
    return (
        _figure(headline.iou, 4),
        _figure(headline.dice, 4),
        _figure(headline.hd95_mm, 2),
        _figure(headline.assd_mm, 2),
        _figure(all_fragments.iou, 4),
        _figure(whole.iou, 4),
        _figure(counts.f1, 3),
        str(counts.merges),
        str(counts.splits),
    )


def _figure(value: float, digits: int) -> str:
    return "-" if math.isnan(value) else f"{value:.{digits}f}"


def _explanation(min_fragment_mm3: float) -> str:
    return (
        "pieces: found (IoU >= 0.5) of true fragments. IoU, Dice, HD95, ASSD: mean over bones of "
        f"the mean over\na bone's true fragments of at least {min_fragment_mm3:g} mm3, matched "
        "one-to-one, a missing one scores 0.\nall IoU: every true fragment. bone IoU: the bone "
        f"undivided. spurious: predictions of at least\n{min_fragment_mm3:g} mm3 that match no "
        "true fragment."
    )


def _case(case: CaseScore) -> dict[str, Any]:
    return {
        "headline": _means(case.headline),
        "all_fragments": _means(case.all_fragments),
        "whole_bones": _means(case.whole_bones),
        "counts": _counts(case.counts),
        "spurious": case.spurious,
    }


def _bone(bone: BoneScore) -> dict[str, Any]:
    return {
        "headline": _means(bone.headline),
        "all_fragments": _means(bone.all_fragments),
        "whole_bone": _means(bone.bone),
        "counts": _counts(bone.counts),
        "spurious": bone.spurious,
        "fragments": [
            {
                "truth": fragment.truth,
                "prediction": fragment.prediction or None,
                "volume_mm3": fragment.volume_mm3,
                **_means(fragment),
            }
            for fragment in bone.fragments
        ],
    }


def _means(means: Means | FragmentScore) -> dict[str, float | None]:
    figures = {
        "iou": means.iou,
        "dice": means.dice,
        "hd95_mm": means.hd95_mm,
        "assd_mm": means.assd_mm,
    }
    return {name: None if math.isnan(value) else value for name, value in figures.items()}


def _counts(counts: FragmentCounts) -> dict[str, float]:
    return {
        "found": counts.found,
        "missed": counts.missed,
        "invented": counts.invented,
        "merges": counts.merges,
        "splits": counts.splits,
        "precision": counts.precision,
        "recall": counts.recall,
        "f1": counts.f1,
    }
