"""Finding the DICOM images of a folder."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from FractureSegmentationLib.io.dicom.file import has_dicom_magic, read_headers
from FractureSegmentationLib.io.dicom.header import ImageHeader

_USUAL_ENDINGS = frozenset({".dcm", ".dicom", ".ima"})


@dataclass(frozen=True, slots=True)
class FolderScan:
    """The DICOM files of a folder: images, and those that ought to be images but are damaged."""

    images: tuple[ImageHeader, ...]
    damaged: tuple[Path, ...]


def is_dicom_file(path: Path) -> bool:
    """Whether a file says of itself that it is DICOM, by its first bytes or its ending.

    Raises:
        OSError: it cannot be read.
    """
    return path.suffix.lower() in _USUAL_ENDINGS or has_dicom_magic(path)


def scan_folder(folder: Path, *, recursive: bool) -> FolderScan:
    """Read the headers of all DICOM images below `folder`; other files are passed over.

    Exact copies of a file count once.

    Raises:
        OSError: the folder cannot be read.
    """
    images: list[ImageHeader] = []
    damaged: list[Path] = []
    for path in _files(folder, recursive=recursive):
        if not is_dicom_file(path):
            continue
        try:
            images.extend(read_headers(path))
        except ValueError:
            damaged.append(path)
    return FolderScan(_without_copies(images), tuple(damaged))


def _files(folder: Path, *, recursive: bool) -> Iterator[Path]:
    for parent, folders, names in os.walk(folder, onerror=_raise):
        folders.sort()
        if not recursive:
            folders.clear()
        paths = (Path(parent) / name for name in sorted(names))
        yield from (path for path in paths if path.is_file())  # no broken link, no pipe


def _raise(error: OSError) -> None:
    raise error


def _without_copies(images: Sequence[ImageHeader]) -> tuple[ImageHeader, ...]:
    """Pass over files that are bytewise the same as one before."""
    paths: dict[str, list[Path]] = {}
    for image in images:
        same = paths.setdefault(image.image_uid, [])
        if image.path not in same[-1:]:  # the frames of a file follow each other
            same.append(image.path)
    copies: set[Path] = set()
    for alike in paths.values():
        seen: set[bytes] = set()
        for path in alike if len(alike) > 1 else ():
            digest = hashlib.sha256(path.read_bytes()).digest()
            copies.update({path} if digest in seen else ())
            seen.add(digest)
    return tuple(image for image in images if image.path not in copies)
