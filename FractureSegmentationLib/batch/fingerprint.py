"""One hash for what a case is: the bytes that are read and everything that decides the result."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from FractureSegmentationLib import __version__
from FractureSegmentationLib.io.read import readable
from FractureSegmentationLib.pipeline import CaseRequest
from FractureSegmentationLib.pipeline.models import Weights
from FractureSegmentationLib.progress import CancelToken
from FractureSegmentationLib.volume import LabelVolume

_WHOLE_FILES = (".nii", ".nii.gz", ".nrrd", ".mha")
"""Endings of files that hold everything; any other file is read together with its neighbours."""
_PIECE_BYTES = 1 << 22


def request_sha256(request: CaseRequest, weights: Sequence[Weights], token: CancelToken) -> str:
    """A hash that is the same exactly when the same result is to be expected.

    It stands for the bytes of the CT and of other inputs, the settings, the version of this
    software and the weights. Names, places and dates of files do not enter it, so it holds after
    the data were moved, and it tells nothing of them. Device and precision do not enter it either:
    a list may be finished on another machine.

    Args:
        request: the case; every input exists.
        weights: that it would be segmented with.
        token: stops the reading.

    Returns:
        64 hexadecimal digits.

    Raises:
        InputError: a file cannot be read.
        RunCancelledError: the caller asked to stop.
    """
    settings = request.settings
    told = {
        "version": __version__,
        "weights": [asdict(one) for one in weights],
        "inputs": [_content_sha256(path, token) for path in (request.ct, *request.other_inputs)],
        "series": request.series,
        "bones": "given" if isinstance(settings.bones, LabelVolume) else settings.bones,
        "totalsegmentator": _totalsegmentator(settings.bones == "totalsegmentator"),
        "only": sorted(settings.only),
        "method": settings.method,
        "numbering": settings.numbering.name,
        "recovery": asdict(settings.recovery) if settings.recovery else None,
        "keeps_maps": settings.keeps_maps,
        "writes_meshes": request.writes_meshes,
    }
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def _totalsegmentator(is_used: bool) -> str:
    try:
        return importlib.metadata.version("TotalSegmentator") if is_used else ""
    except importlib.metadata.PackageNotFoundError:
        return ""


def _content_sha256(path: Path, token: CancelToken) -> str:
    """A hash of all bytes that belong to an input, whatever the files are called."""
    with readable():
        hashes = sorted(_file_sha256(file, token) for file in _files_of(path))
    return hashlib.sha256("".join(hashes).encode()).hexdigest()


def _files_of(path: Path) -> Iterator[Path]:
    candidates: Iterator[Path]
    if path.is_dir():
        candidates = path.rglob("*")
    elif path.name.lower().endswith(_WHOLE_FILES):
        candidates = iter((path,))
    else:
        # One file of a DICOM series, or a header whose voxels lie in another file.
        candidates = path.parent.iterdir()
    return (file for file in candidates if file.is_file())


def _file_sha256(file: Path, token: CancelToken) -> str:
    hashed = hashlib.sha256()
    with file.open("rb") as stream:
        while piece := stream.read(_PIECE_BYTES):
            token.raise_if_cancelled()
            hashed.update(piece)
    return hashed.hexdigest()
