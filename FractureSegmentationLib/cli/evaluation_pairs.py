"""Which prediction is compared with which truth, and what their labels mean."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from FractureSegmentationLib.anatomy.numbering import NUMBERINGS, Numbering
from FractureSegmentationLib.errors import InputError
from FractureSegmentationLib.io.grid import is_same_grid, placed_on_grid
from FractureSegmentationLib.io.image_file import kind_of
from FractureSegmentationLib.io.read import read_labels
from FractureSegmentationLib.volume import LabelVolume

RESULT_LABELS, RESULT_REPORT = "fragments.nii.gz", "report.json"

_ENDINGS = (".seg.nrrd", ".nii.gz", ".nii", ".nrrd", ".nhdr", ".mha", ".mhd")


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelSource:
    """A label file and, where it belongs to a result of ours, the numbering its report names.

    Attributes:
        path: the file.
        stem: its path inside the folder that was given, without its ending.
        numbering: None where nothing says it.
    """

    path: Path
    stem: str
    numbering: Numbering | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairing:
    """What is compared with what.

    Attributes:
        pairs: (prediction, truth), by stem.
        lone_predictions: stems of predictions without a truth.
        lone_truths: stems of truths without a prediction.
    """

    pairs: tuple[tuple[LabelSource, LabelSource], ...]
    lone_predictions: tuple[str, ...]
    lone_truths: tuple[str, ...]


def pair_sources(prediction: Path, truth: Path) -> Pairing:
    """Pair two files, or the files of two folders that have the same place and name in them.

    A result folder stands for the fragments in it; in a folder of results it also pairs with a
    truth file that has the result folder's name.

    Raises:
        InputError: one is not there, only one is a folder of many, or nothing pairs.
    """
    predictions, truths = _sources(prediction, "prediction"), _sources(truth, "truth")
    if len(predictions) == 1 and len(truths) == 1 and not _is_many(prediction, truth):
        return Pairing(pairs=((predictions[0], truths[0]),), lone_predictions=(), lone_truths=())
    by_stem = {name: source for source in truths for name in reversed(_names(source))}
    pairs = []
    for source in predictions:
        partner = next((by_stem[name] for name in _names(source) if name in by_stem), None)
        if partner is not None:
            pairs.append((source, partner))
    if not pairs:
        raise InputError(
            "No prediction has the name of a truth.",
            "Give the files the same names in both folders, or compare two single files.",
        )
    paired = {source.path for pair in pairs for source in pair}
    return Pairing(
        pairs=tuple(pairs),
        lone_predictions=tuple(s.stem for s in predictions if s.path not in paired),
        lone_truths=tuple(s.stem for s in truths if s.path not in paired),
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
    """Read a prediction and its truth onto the grid of the truth.

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


def _sources(path: Path, role: str) -> list[LabelSource]:
    if not path.exists():
        raise InputError(f"The {role} was not found.", "Check the name of the file or folder.")
    if path.is_file():
        numbering = _reported_numbering(path.parent) if path.name == RESULT_LABELS else None
        return [LabelSource(path=path, stem=_stem(path.name), numbering=numbering)]
    if _is_result(path):
        return [_result(path, path)]
    results = sorted(file.parent for file in path.rglob(RESULT_REPORT) if _is_result(file.parent))
    files = [
        LabelSource(path=file, stem=_stem(file.relative_to(path).as_posix()), numbering=None)
        for file in sorted(path.rglob("*"))
        if file.is_file() and kind_of(file) and not any(r in file.parents for r in results)
    ]
    sources = [_result(result, path) for result in results] + files
    if not sources:
        raise InputError(
            f"The folder of the {role} holds no label file.",
            "Give .nii, .nii.gz, .nrrd, .seg.nrrd, .nhdr, .mha or .mhd files, or results of ours.",
        )
    return sources


def _is_many(*paths: Path) -> bool:
    """Whether one of them is a folder that is paired by names."""
    return any(path.is_dir() and not _is_result(path) for path in paths)


def _is_result(folder: Path) -> bool:
    return (folder / RESULT_REPORT).is_file() and (folder / RESULT_LABELS).is_file()


def _result(folder: Path, root: Path) -> LabelSource:
    path = folder / RESULT_LABELS
    return LabelSource(
        path=path,
        stem=_stem(path.relative_to(root).as_posix()),
        numbering=_reported_numbering(folder),
    )


def _names(source: LabelSource) -> tuple[str, ...]:
    """Names under which it pairs, best first: a result also under that of its folder."""
    folder, _, name = source.stem.rpartition("/")
    if source.numbering is not None and folder and name == _stem(RESULT_LABELS):
        return (source.stem, folder)
    return (source.stem,)


def _reported_numbering(folder: Path) -> Numbering | None:
    try:
        report = json.loads((folder / RESULT_REPORT).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    name = report.get("numbering") if isinstance(report, dict) else None
    return NUMBERINGS.get(name) if isinstance(name, str) else None


def _stem(name: str) -> str:
    for ending in _ENDINGS:
        if name.lower().endswith(ending):
            return name[: -len(ending)]
    return name


def _refuse_strange_labels(
    labels: LabelVolume, numbering: Numbering, role: str, option: str
) -> None:
    for label in labels.values():
        try:
            numbering.fragment_of(label)
        except ValueError as error:
            raise InputError(
                f"The {role} holds label {label}, which is no bone's in the numbering "
                f"{numbering.name}.",
                f"Check {option}.",
            ) from error
