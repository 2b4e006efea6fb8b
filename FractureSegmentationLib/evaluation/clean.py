"""The project's own protocol: nothing is left out, nothing is free."""

from __future__ import annotations

from FractureSegmentationLib.evaluation.figures import (
    BoneFigures,
    CaseFigures,
    Figures,
    FragmentFigures,
    Metric,
    Protocol,
    ScoreRequest,
)
from FractureSegmentationLib.evaluation.score import (
    MIN_FRAGMENT_MM3,
    BoneScore,
    CaseScore,
    FragmentScore,
    Means,
    score_case,
)

_METRICS = (
    Metric(name="fragments", title="true", digits=0, better=""),
    Metric(name="found", title="found", digits=0, better=""),
    Metric(name="iou", title="IoU"),
    Metric(name="dice", title="Dice"),
    Metric(name="hd95_mm", title="HD95 mm", digits=2, better="low"),
    Metric(name="assd_mm", title="ASSD mm", digits=2, better="low"),
    Metric(name="all_iou", title="all IoU"),
    Metric(name="all_dice", title="all Dice", is_shown=False),
    Metric(name="all_hd95_mm", title="all HD95 mm", digits=2, better="low", is_shown=False),
    Metric(name="all_assd_mm", title="all ASSD mm", digits=2, better="low", is_shown=False),
    Metric(name="bone_iou", title="bone IoU"),
    Metric(name="bone_dice", title="bone Dice", is_shown=False),
    Metric(name="bone_hd95_mm", title="bone HD95 mm", digits=2, better="low", is_shown=False),
    Metric(name="bone_assd_mm", title="bone ASSD mm", digits=2, better="low", is_shown=False),
    Metric(name="recall", title="recall", digits=3, is_shown=False),
    Metric(name="precision", title="precision", digits=3, is_shown=False),
    Metric(name="f1", title="F1", digits=3),
    Metric(name="merges", title="merged", digits=0, better="low"),
    Metric(name="splits", title="split", digits=0, better="low"),
    Metric(name="spurious", title="spurious", digits=0, better="low"),
)


def score_clean(request: ScoreRequest) -> CaseFigures:
    """Score a case with `score_case`, as figures by name.

    Raises:
        ValueError: a label belongs to no bone in its numbering.
    """
    return figures_of_score(
        score_case(
            request.prediction,
            request.truth,
            request.prediction_numbering,
            request.truth_numbering,
            with_distances=request.settings.with_distances,
        )
    )


def figures_of_score(score: CaseScore) -> CaseFigures:
    """The figures of a case that was scored."""
    return CaseFigures(
        values=_values(score, score.whole_bones),
        bones=tuple(
            BoneFigures(
                bone=slug,
                values=_values(bone, bone.bone),
                fragments=tuple(_fragment(fragment) for fragment in bone.fragments),
            )
            for slug, bone in score.bones
        ),
    )


def _values(score: CaseScore | BoneScore, whole: Means) -> Figures:
    counts = score.counts
    return {
        "fragments": counts.detected + counts.missed,
        "found": counts.detected,
        **_means(score.headline, ""),
        **_means(score.all_fragments, "all_"),
        **_means(whole, "bone_"),
        "recall": counts.recall,
        "precision": counts.precision,
        "f1": counts.f1,
        "merges": counts.merges,
        "splits": counts.splits,
        "spurious": score.spurious,
    }


def _means(means: Means | FragmentScore, prefix: str) -> dict[str, float]:
    return {
        f"{prefix}iou": means.iou,
        f"{prefix}dice": means.dice,
        f"{prefix}hd95_mm": means.hd95_mm,
        f"{prefix}assd_mm": means.assd_mm,
    }


def _fragment(score: FragmentScore) -> FragmentFigures:
    return FragmentFigures(
        truth=score.truth,
        prediction=score.prediction,
        volume_mm3=score.volume_mm3,
        values=_means(score, ""),
    )


CLEAN = Protocol(
    name="clean",
    title="Protocol clean",
    summary="one-to-one matching, missing fragments and bones score 0, distances in mm.",
    explanation=(
        "true, found: true fragments, and those matched with an IoU of at least 0.5. IoU, Dice, "
        "HD95, ASSD: mean over\nbones of the mean over a bone's true fragments of at least "
        f"{MIN_FRAGMENT_MM3:g} mm3, matched one-to-one, a missing one\nscores 0. all IoU: every "
        "true fragment. bone IoU: the bone undivided. F1: of found fragments. merged: predictions\n"
        "that cover half of two or more true fragments. split: the converse. spurious: "
        f"predictions of at least {MIN_FRAGMENT_MM3:g} mm3\nthat match no true fragment."
    ),
    metrics=_METRICS,
    primary="iou",
    score=score_clean,
)
