"""Folders of cases: which label files a path stands for, which two are compared, on one grid."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from FractureSegmentationLib.anatomy.numbering import FRACSEG, NUMBERINGS, Numbering
from FractureSegmentationLib.errors import InputError
from FractureSegmentationLib.io.folder import (
    FRAGMENTS_NAME,
    REPORT_NAME,
    SCHEMA_KEY,
    SCHEMA_PREFIX,
)
from FractureSegmentationLib.io.grid import is_same_grid, placed_on_grid
from FractureSegmentationLib.io.image_file import kind_of
from FractureSegmentationLib.io.json_object import read_json_object
from FractureSegmentationLib.io.read import refuse_pipe
from FractureSegmentationLib.results.named_labels import names_bones, read_fragment_labels
from FractureSegmentationLib.results.report import numbering_of_report
from FractureSegmentationLib.volume import LabelVolume

_ENDINGS = (".seg.nrrd", ".nii.gz", ".nii", ".nrrd", ".nhdr", ".mha", ".mhd")
_CASE_FILES = ("fragments", "label", "labels")
"""A folder that holds a file of this name is one case; the other files in it are no labels."""


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


def chosen_numbering(source: LabelSource, requested: str | None, option: str) -> Numbering:
    """The numbering that the report or the option says.

    Raises:
        InputError: neither says it, or they contradict each other.
    """
    if source.numbering is None and names_bones(source.path, requested, list(NUMBERINGS.values())):
        return FRACSEG
    if requested is None:
        if source.numbering is None:
            raise InputError(
                "The labels do not say which bone they stand for.",
                f"Name their numbering with {option}: {', '.join(NUMBERINGS)}.",
            )
        return source.numbering
    if source.numbering is not None and source.numbering.name != requested:
        raise InputError(
            f"The report of the result says its labels are numbered {source.numbering.name}, "
            f"not {requested}.",
            f"Leave out {option}.",
        )
    return NUMBERINGS[requested]


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
    predicted = read_fragment_labels(prediction.path, prediction_numbering)
    true = read_fragment_labels(truth.path, truth_numbering)
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


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelSource:
    """A label file and, where it belongs to a result of ours, the numbering its report names.

    Attributes:
        path: the file; of a damaged result it may not be there.
        stem: its place inside the folder that was given, without its ending; the file of a case
            folder goes by the name of the folder.
        numbering: None where nothing says it.
        weights: what the report says of the weights that made it.
    """

    path: Path
    stem: str
    numbering: Numbering | None
    weights: tuple[Mapping[str, Any], ...] = ()

    @property
    def patient(self) -> str:
        """Whose labels they are: the name of the case folder, or of a file that has its own."""
        own = _stem(self.path.name)
        return self.path.absolute().parent.name if own in _CASE_FILES else own


def label_sources(path: Path, role: str) -> tuple[LabelSource, ...]:
    """The label files that a file or a folder stands for, by name.

    A result folder stands for its fragments, a case folder (`001/label.mha` beside `001/image.mha`)
    for its labels, any other folder for everything in it. Hidden files and folders are passed over.

    Args:
        path: what the user gave.
        role: "prediction" or "truth", for messages.

    Raises:
        InputError: it is not there, holds no label file, or holds two of one name.
    """
    refuse_pipe(path)
    if not path.exists():
        raise InputError(f"The {role} was not found.", "Check the name of the file or folder.")
    if path.is_file():
        if path.name == FRAGMENTS_NAME:
            return (_result_source(path, _stem(path.name)),)
        return (LabelSource(path=path, stem=_stem(path.name), numbering=None),)
    sources = _sources_in(path, path)
    if not sources:
        raise InputError(
            f"The folder of the {role} holds no label file.",
            "Give .nii, .nii.gz, .nrrd, .seg.nrrd, .nhdr, .mha or .mhd files, or results of ours.",
        )
    sources.sort(key=lambda source: source.stem)
    twins = [a.stem for a, b in itertools.pairwise(sources) if a.stem == b.stem]
    if twins:
        raise InputError(
            f"Several files of the {role} go by one name: {', '.join(dict.fromkeys(twins))}.",
            "Leave one of them in the folder.",
        )
    return tuple(sources)


def is_one_case(path: Path) -> bool:
    """Whether a path is a single case: a file, a result folder or a case folder."""
    return path.is_file() or _is_result(path) or _case_file(path) is not None


def _sources_in(folder: Path, root: Path) -> list[LabelSource]:
    """The sources in a folder and, unless it is a case itself, in those below it."""
    stem = folder.relative_to(root).as_posix() if folder != root else folder.resolve().name
    if _is_result(folder):
        return [_result_source(folder / FRAGMENTS_NAME, stem)]
    own = _case_file(folder)
    if own is not None:
        return [LabelSource(path=own, stem=stem, numbering=None)]
    sources: list[LabelSource] = []
    for entry in sorted(folder.iterdir()):
        if entry.name.startswith("."):
            continue
        if entry.is_dir():
            sources += _sources_in(entry, root)
        elif kind_of(entry):
            name = _stem(entry.relative_to(root).as_posix())
            sources.append(LabelSource(path=entry, stem=name, numbering=None))
    return sources


def _case_file(folder: Path) -> Path | None:
    for name in _CASE_FILES:
        for ending in _ENDINGS:
            if (folder / f"{name}{ending}").is_file():
                return folder / f"{name}{ending}"
    return None


def _is_result(folder: Path) -> bool:
    """Whether a folder is a result of ours, be it damaged: its report or its fragments suffer."""
    if not (folder / REPORT_NAME).is_file():
        return False
    is_ours = str(_report(folder).get(SCHEMA_KEY)).startswith(SCHEMA_PREFIX)
    return is_ours or (folder / FRAGMENTS_NAME).is_file()


def _result_source(path: Path, stem: str) -> LabelSource:
    """The fragments of a result, with what the report beside them says."""
    report = _report(path.parent)
    weights = report.get("weights")
    return LabelSource(
        path=path,
        stem=stem,
        numbering=numbering_of_report(report),
        weights=tuple(one for one in weights if isinstance(one, dict))
        if isinstance(weights, list)
        else (),
    )


def _report(folder: Path) -> dict[str, Any]:
    return read_json_object(folder / REPORT_NAME) or {}


def _stem(name: str) -> str:
    for ending in _ENDINGS:
        if name.lower().endswith(ending):
            return name[: -len(ending)]
    return name
