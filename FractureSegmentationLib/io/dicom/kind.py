"""Whether the images of a series are slices of a CT, judged by what they say of themselves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from FractureSegmentationLib.io.dicom.header import ImageHeader

_SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
_HU_TYPES = frozenset({"", "HU", "US"})
_FLAT_PICTURES = frozenset({"LOCALIZER", "SCOUT"})


def is_localizer(image: ImageHeader) -> bool:
    """Whether an image is the overview that a scan is planned on."""
    return not _FLAT_PICTURES.isdisjoint(image.image_type)


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
