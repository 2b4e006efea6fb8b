"""Which label files a path stands for, under which names, and what their labels mean."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from FractureSegmentationLib.anatomy.numbering import Numbering
from FractureSegmentationLib.errors import InputError
from FractureSegmentationLib.io.folder import (
    FRAGMENTS_NAME,
    REPORT_NAME,
    SCHEMA_KEY,
    SCHEMA_PREFIX,
)
from FractureSegmentationLib.io.image_file import kind_of
from FractureSegmentationLib.io.json_object import read_json_object
from FractureSegmentationLib.results.report import numbering_of_report

_ENDINGS = (".seg.nrrd", ".nii.gz", ".nii", ".nrrd", ".nhdr", ".mha", ".mhd")
_CASE_FILES = ("fragments", "label", "labels")
"""A folder that holds a file of this name is one case; the other files in it are no labels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelSource:
    """A label file and, where it belongs to a result of ours, the numbering its report names.

    Attributes:
        path: the file; of a damaged result it may not be there.
        stem: its place inside the folder that was given, without its ending; the file of a case
            folder goes by the name of the folder.
        numbering: None where nothing says it.
    """

    path: Path
    stem: str
    numbering: Numbering | None


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
    if not path.exists():
        raise InputError(f"The {role} was not found.", "Check the name of the file or folder.")
    if path.is_file():
        numbering = _reported_numbering(path.parent) if path.name == FRAGMENTS_NAME else None
        return (LabelSource(path=path, stem=_stem(path.name), numbering=numbering),)
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
        numbering = _reported_numbering(folder)
        return [LabelSource(path=folder / FRAGMENTS_NAME, stem=stem, numbering=numbering)]
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


def _reported_numbering(folder: Path) -> Numbering | None:
    return numbering_of_report(_report(folder))


def _report(folder: Path) -> dict[str, Any]:
    return read_json_object(folder / REPORT_NAME) or {}


def _stem(name: str) -> str:
    for ending in _ENDINGS:
        if name.lower().endswith(ending):
            return name[: -len(ending)]
    return name
