"""The DICOM images that a segmentation lies on: a DICOM SEG refers to each of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pydicom
from pydicom.dataset import Dataset
from pydicom.valuerep import DA, TM

from FractureSegmentationLib.errors import InputError
from FractureSegmentationLib.geometry import Geometry
from FractureSegmentationLib.io.dicom.files import is_dicom_file, scan_folder
from FractureSegmentationLib.io.dicom.geometry import SliceStack
from FractureSegmentationLib.io.dicom.headers import quiet_pydicom
from FractureSegmentationLib.io.dicom.series import SeriesInfo, check_scan, choose_series, grouped
from FractureSegmentationLib.io.dicom.volume import judge_series
from FractureSegmentationLib.io.grid import is_same_grid
from FractureSegmentationLib.io.read import readable, series_of
from FractureSegmentationLib.io.salt import hashed_identifier, install_salt
from FractureSegmentationLib.types import LabelArray
from FractureSegmentationLib.voxels.orient import order_towards

_OTHER_GRID = "Give the series that the segmentation was made from, whole and unchanged."
_REQUIRED = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "FrameOfReferenceUID")
# May be empty, but a DICOM SEG has to have them.
_MAY_BE_EMPTY = (
    "PatientID", "PatientName", "PatientBirthDate", "PatientSex", "AccessionNumber", "StudyID",
    "StudyDate", "StudyTime", "ReferringPhysicianName",
)  # fmt: skip
_FORMS = {"PatientBirthDate": DA, "StudyDate": DA, "StudyTime": TM}
_SEXES = frozenset({"M", "F", "O", ""})


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CtImages:
    """The images of a CT series without their pixels.

    They hold the patient's identity, which has to be in a DICOM SEG and nowhere else.

    Attributes:
        datasets: one per image, or a single multi-frame one.
        geometry: the grid of the images.
        order: for every image or frame, the index of its slice along k.
    """

    datasets: tuple[Dataset, ...]
    geometry: Geometry
    order: npt.NDArray[np.intp]

    def in_their_order(self, labels: LabelArray) -> LabelArray:
        """(K, J, I) labels with the slices in the order of the images or frames."""
        return labels[self.order]


def read_ct_images(
    path: Path, geometry: Geometry, *, series: str | None = None, series_hash: str = ""
) -> CtImages:
    """The images of the series that a segmentation was made from.

    Args:
        path: a folder with DICOM files, or one file of the series.
        geometry: the grid of the segmentation.
        series: number or UID of the series that is meant.
        series_hash: salted hash of its UID as a report has it; "" if that is not known.

    Raises:
        InputError: it is not there, no DICOM, another series, or its slices are not those of the
            grid.
    """
    with readable():
        chosen = _chosen(_series_at(path), series, series_hash)
        judgement = judge_series(chosen)
        if judgement.problems:
            raise judgement.refusal()
        stack = judgement.stack
        _check_grid(stack, geometry)
        return _images(stack)


def _series_at(path: Path) -> tuple[SeriesInfo, ...]:
    if not path.exists():
        raise InputError("The CT was not found.", "Check the name of the folder after --ct.")
    if path.is_dir():
        scan = scan_folder(path, recursive=True)
        if scan.images or scan.damaged:
            check_scan(scan)
            return grouped(scan)
    elif is_dicom_file(path):
        return series_of(path)
    raise InputError(
        "The CT is no DICOM series, so a DICOM SEG cannot refer to it.",
        "Give the DICOM folder that the segmentation was made from, or export seg.nrrd.",
    )


def _chosen(series: Sequence[SeriesInfo], wanted: str | None, series_hash: str) -> SeriesInfo:
    if not series_hash:
        return choose_series(series, wanted)
    salt = install_salt()
    meant = [one for one in series if hashed_identifier(one.uid, salt) == series_hash]
    if wanted is not None:
        meant = [one for one in (choose_series(series, wanted),) if one in meant]
    if not meant:
        raise InputError(
            "The CT is not the DICOM series that the segmentation was made from, as far as this "
            "computer can tell.",
            "Give that series; if the result comes from another computer, give its "
            "fragments.seg.nrrd instead of the folder.",
        )
    return choose_series(meant)


def _check_grid(stack: SliceStack, geometry: Geometry) -> None:
    """Refuse slices that are not voxel by voxel the segmentation's, in whatever order its axes."""
    if stack.irregularities:
        raise InputError(
            "The slices of the CT are tilted or uneven: the segmentation lies on resampled ones, "
            "which no DICOM SEG can refer to.",
            "Export seg.nrrd instead.",
        )
    if stack.geometry is None or not is_same_grid(
        stack.geometry, order_towards(geometry, stack.geometry.direction).geometry(geometry)
    ):
        raise InputError("The segmentation does not lie on the slices of the CT.", _OTHER_GRID)


def _images(stack: SliceStack) -> CtImages:
    paths = list(dict.fromkeys(image.path for image in stack.slices))
    is_multi_frame = stack.slices[0].frame is not None
    count = len(stack.slices)
    with quiet_pydicom():
        datasets = tuple(_header(path) for path in paths)
    frames = np.arange(count)
    if is_multi_frame:
        if len(paths) > 1 or int(datasets[0].get("NumberOfFrames", 1)) != count:
            raise InputError(
                "The CT is spread over several multi-frame files, or not all of its frames are "
                "slices.",
                "Export seg.nrrd instead.",
            )
        frames = np.argsort([image.frame or 0 for image in stack.slices])
    if stack.geometry is None:
        raise ValueError("the stack has no grid")
    return CtImages(datasets=datasets, geometry=stack.geometry, order=frames)


def _header(path: Path) -> Dataset:
    """The header of one file; what may be empty and is absent or impossible is made empty."""
    data = pydicom.dcmread(path, stop_before_pixels=True)
    missing = [name for name in _REQUIRED if not data.get(name)]
    if missing:
        raise InputError(
            f"The CT has no {', '.join(missing)}, which a DICOM SEG has to refer to.",
            "Export the series again from where it comes from.",
        )
    for name in _MAY_BE_EMPTY:
        if name not in data or not _is_proper(name, data):
            setattr(data, name, "")
    return data


def _is_proper(name: str, data: Dataset) -> bool:
    value = data.get(name)
    if name == "PatientSex":
        return (value or "") in _SEXES
    if name in _FORMS and value:
        try:
            _FORMS[name](value)
        except ValueError:
            return False
    return True
