"""What the header of a DICOM image says, as plain values, and whether it is a slice of a CT.

There is one `ImageHeader` per slice, be it a file or a frame of one. Headers are written by many
hands: values are absent, empty, of the wrong kind, not numbers. What cannot be understood raises
`ValueError` or an error of pydicom; the caller calls the file damaged.

Headers hold patient data. What is kept here stays in memory: nothing of it may enter a message,
except what is named in `dicom.series.SeriesInfo.described`.
"""

from __future__ import annotations

import contextlib
import logging
import math
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pydicom


@contextlib.contextmanager
def quiet_pydicom() -> Iterator[None]:
    """Keep pydicom and highdicom from warning and logging: they quote values, perhaps a patient's.

    That holds also where warnings are made errors.
    """
    # The level holds for the loggers below these two as well.
    levels = {name: logging.getLogger(name).level for name in ("pydicom", "highdicom")}
    for name in levels:
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)


def values(data: pydicom.Dataset, name: str) -> list[Any]:
    """The values of an element; none if it is absent or empty."""
    value = data.get(name)
    if value is None or value == "":
        return []
    is_single = isinstance(value, (str, bytes)) or not hasattr(value, "__iter__")
    return [value] if is_single else list(value)


def text(data: pydicom.Dataset, name: str) -> str:
    """The first value of an element as text; "" if there is none."""
    found = values(data, name)
    return str(found[0]).strip() if found else ""


def optional_number(data: pydicom.Dataset, name: str) -> float | None:
    """The value of an element as a number; None if there is none.

    Raises:
        ValueError: it is no number, not finite, or there are several.
    """
    found = values(data, name)
    if not found:
        return None
    if len(found) > 1:
        raise ValueError(f"{name} has several values")
    number = float(found[0])
    if not math.isfinite(number):
        raise ValueError(f"{name} is not finite")
    return number


def number(data: pydicom.Dataset, name: str, default: float) -> float:
    """As `optional_number`, with `default` where there is no value."""
    found = optional_number(data, name)
    return default if found is None else found


def count(data: pydicom.Dataset, name: str, default: int | None = None) -> int:
    """A whole number of at least 1.

    Raises:
        ValueError: it is absent and has no default, or is no such number.
    """
    found = optional_number(data, name)
    if found is None and default is not None:
        return default
    if found is None or found < 1 or found != int(found):
        raise ValueError(f"{name} is no count")
    return int(found)


def numbers(data: pydicom.Dataset, name: str, size: int, largest: float) -> tuple[float, ...]:
    """Several numbers; none if they are not `size` finite ones of at most `largest` either way."""
    try:
        found = tuple(float(value) for value in values(data, name))
    except (TypeError, ValueError):
        return ()
    is_usable = len(found) == size and all(abs(value) <= largest for value in found)
    return found if is_usable else ()


def items(data: pydicom.Dataset, name: str) -> list[pydicom.Dataset]:
    """The items of a sequence; none if it is absent.

    Raises:
        ValueError: the element is no sequence.
    """
    found = values(data, name)
    if not all(isinstance(item, pydicom.Dataset) for item in found):
        raise ValueError(f"{name} is no sequence")
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageHeader:
    """One slice of a series: a file, or one frame of a file.

    Attributes:
        path: the file.
        frame: number of the frame in the file, from 0; None if the file is one plain image.
        part_of: tells the multi-frame objects of a series apart; "" for plain images. Never shown.
        patient_id: tells two patients apart; never shown.
        series_uid: tells two series apart; never shown.
        image_uid: the same in exact copies of an image; never shown.
        modality: e.g. CT, MR.
        sop_class: UID of the kind of object.
        image_type: e.g. ORIGINAL, PRIMARY, AXIAL.
        volumetric: VOLUME, SAMPLED, DISTORTED or MIXED; "" if absent.
        frames: images that share this header; more than one cannot be placed.
        samples: values per pixel; 3 for a colour picture.
        photometric: e.g. MONOCHROME2.
        shape: (rows, columns).
        position_lps_mm: centre of the first pixel as x, y, z; None if absent or impossible.
        axes: LPS directions of growing column (first three) and growing row; None likewise.
        spacing_mm: distance of (rows, columns); None if absent or impossible.
        thickness_mm: nominal slice thickness; 0 if absent.
        rescale: (slope, intercept) from stored values to HU; None if absent.
        rescale_type: what the rescaled values are; HU or US (unspecified) in a CT.
        padding: lowest and highest stored value of pixels outside the image; None if absent.
        kernel: name of the reconstruction kernel, letters and digits only.
        is_lossy: the pixels were compressed with loss.
    """

    path: Path
    frame: int | None
    part_of: str
    patient_id: str
    series_uid: str
    image_uid: str
    modality: str
    sop_class: str
    image_type: tuple[str, ...]
    volumetric: str
    frames: int
    samples: int
    photometric: str
    shape: tuple[int, int]
    position_lps_mm: tuple[float, ...] | None
    axes: tuple[float, ...] | None
    spacing_mm: tuple[float, ...] | None
    thickness_mm: float
    rescale: tuple[float, float] | None
    rescale_type: str
    padding: tuple[float, float] | None
    kernel: str
    is_lossy: bool


_SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
_HU_TYPES = frozenset({"", "HU", "US"})
_FLAT_PICTURES = frozenset({"LOCALIZER", "SCOUT"})


def is_localizer(image: ImageHeader) -> bool:
    """Whether an image is the overview that a scan is planned on."""
    return not _FLAT_PICTURES.isdisjoint(image.image_type)


def is_picture(image: ImageHeader) -> bool:
    """Whether an image shows a screen or a colour picture rather than a slice."""
    return image.sop_class.startswith(_SECONDARY_CAPTURE) or _is_colour(image)


def kind_problems(images: Sequence[ImageHeader]) -> tuple[str, ...]:
    """Why the images are no slices of a CT, each as the rest of "The series ...".

    Args:
        images: at least one.
    """
    modality = Counter(image.modality for image in images).most_common(1)[0][0]
    rescaled = sum(image.rescale is not None for image in images)
    checks = (
        (
            any(image.frames > 1 for image in images),
            "is stored as frames of one file that does not say where each frame lies",
        ),
        (
            any(image.modality != "CT" for image in images),
            f"is not a CT (its modality is {_clean_word(modality)})",
        ),
        (is_localizer(images[0]), "is a localizer, not a volume"),
        (
            any(image.sop_class.startswith(_SECONDARY_CAPTURE) for image in images),
            "is a secondary capture (a picture of a screen), not a CT",
        ),
        (any(_is_colour(image) for image in images), "holds colour pictures"),
        (
            any(image.volumetric == "DISTORTED" for image in images),
            "shows a distorted (e.g. curved) cut, not a volume",
        ),
        (
            any(image.rescale_type not in _HU_TYPES for image in images),
            "holds other quantities than Hounsfield units, or in another form",
        ),
        (
            0 < rescaled < len(images),
            "says only of some images how their values become Hounsfield units",
        ),
    )
    return tuple(problem for is_present, problem in checks if is_present)


def _is_colour(image: ImageHeader) -> bool:
    is_grey = image.photometric.startswith("MONOCHROME") or not image.photometric
    return image.samples != 1 or not is_grey


def _clean_word(word: str) -> str:
    return "".join(c for c in word[:8] if c.isalnum()) or "not given"
