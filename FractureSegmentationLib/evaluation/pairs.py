"""Which prediction is compared with which truth, and both read onto one grid."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from FractureSegmentationLib.anatomy.numbering import NUMBERINGS, Numbering
from FractureSegmentationLib.errors import InputError
from FractureSegmentationLib.evaluation.sources import LabelSource, is_one_case, label_sources
from FractureSegmentationLib.io.grid import is_same_grid, placed_on_grid
from FractureSegmentationLib.io.read import read_labels
from FractureSegmentationLib.volume import LabelVolume


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairing:
    """What is compared with what.

    Attributes:
        pairs: (prediction, truth), by name of the truth.
        lone_predictions: names of predictions without a truth.
        lone_truths: names of truths without a prediction.
    """

    pairs: tuple[tuple[LabelSource, LabelSource], ...]
    lone_predictions: tuple[str, ...]
    lone_truths: tuple[str, ...]


def pair_sources(prediction: Path, truth: Path) -> Pairing:
    """Pair two single cases whatever their names, or the cases of two folders by their names.

    Raises:
        InputError: one is not there, names are not unique, or nothing pairs.
    """
    predictions, truths = label_sources(prediction, "prediction"), label_sources(truth, "truth")
    if is_one_case(prediction) and is_one_case(truth):
        return Pairing(pairs=((predictions[0], truths[0]),), lone_predictions=(), lone_truths=())
    by_stem = {source.stem: source for source in predictions}
    pairs = [(by_stem[true.stem], true) for true in truths if true.stem in by_stem]
    if not pairs:
        raise InputError(
            "No prediction has the name of a truth.",
            "Give the files the same names in both folders, or compare two single files.",
        )
    paired = {true.stem for _, true in pairs}
    return Pairing(
        pairs=tuple(pairs),
        lone_predictions=tuple(s.stem for s in predictions if s.stem not in paired),
        lone_truths=tuple(s.stem for s in truths if s.stem not in paired),
    )


def without_names(pairing: Pairing) -> Pairing:
    """Number the cases, for tables that go to people who may not see the names of files.

    `case-001` is the first truth by name, whether it has a prediction or not; predictions without
    a truth are numbered likewise.
    """
    truths = sorted([*(truth.stem for _, truth in pairing.pairs), *pairing.lone_truths])
    number = {stem: f"case-{place:03}" for place, stem in enumerate(truths, start=1)}
    return Pairing(
        pairs=tuple(
            (prediction, replace(truth, stem=number[truth.stem]))
            for prediction, truth in pairing.pairs
        ),
        lone_predictions=tuple(
            f"prediction-{place:03}" for place in range(1, len(pairing.lone_predictions) + 1)
        ),
        lone_truths=tuple(number[stem] for stem in pairing.lone_truths),
    )


def chosen_numbering(source: LabelSource, asked: str | None, option: str) -> Numbering:
    """The numbering that the report or the option says.

    Raises:
        InputError: neither says it, or they contradict each other.
    """
    if asked is None:
        if source.numbering is None:
            raise InputError(
                "The labels do not say which bone they stand for.",
                f"Name their numbering with {option}: {', '.join(NUMBERINGS)}.",
            )
        return source.numbering
    if source.numbering is not None and source.numbering.name != asked:
        raise InputError(
            f"The report of the result says its labels are numbered {source.numbering.name}, "
            f"not {asked}.",
            f"Leave out {option}.",
        )
    return NUMBERINGS[asked]


def read_pair(
    prediction: LabelSource,
    truth: LabelSource,
    prediction_numbering: Numbering,
    truth_numbering: Numbering,
) -> tuple[LabelVolume, LabelVolume]:
    """Read a prediction and its truth onto the larger grid of the two.

    Raises:
        InputError: a file cannot be used, the grids do not match, or a label belongs to no bone.
    """
    predicted, true = read_labels(prediction.path), read_labels(truth.path)
    _refuse_strange_labels(predicted, prediction_numbering, "prediction", "--pred-numbering")
    _refuse_strange_labels(true, truth_numbering, "truth", "--gt-numbering")
    if is_same_grid(predicted.geometry, true.geometry):
        return LabelVolume(voxels=predicted.voxels, geometry=true.geometry), true
    try:
        if predicted.voxels.size <= true.voxels.size:
            return placed_on_grid(predicted, true.geometry), true
        return predicted, placed_on_grid(true, predicted.geometry)
    except InputError as error:
        raise InputError(
            "The prediction and the truth do not share one grid.",
            "Resample one of them to the grid of the other, with nearest neighbours.",
        ) from error


def _refuse_strange_labels(
    labels: LabelVolume, numbering: Numbering, role: str, option: str
) -> None:
    # Of a whole CT nearly all is background, and finding what is not costs less than sorting it.
    for label in np.unique(labels.voxels[labels.voxels != 0]).tolist():
        try:
            numbering.fragment_of(label)
        except ValueError as error:
            raise InputError(
                f"The {role} holds label {label}, which is no bone's in the numbering "
                f"{numbering.name}.",
                f"Check {option}.",
            ) from error
