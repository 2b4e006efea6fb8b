"""What the header of a DICOM image says: one value per slice, be it a file or a frame of one.

Headers hold patient data. What is kept here stays in memory: nothing of it may enter a message,
except what is named in `dicom.SeriesInfo.described`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


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
