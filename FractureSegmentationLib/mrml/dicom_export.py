"""DICOM SEG from within 3D Slicer, with the exporter that Slicer 5.12 and later bring along."""

from __future__ import annotations

import contextlib
import importlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from FractureSegmentationLib.errors import (
    EnvironmentProblemError,
    FracSegError,
    InputError,
    NoBoneError,
    OutputExistsError,
)
from FractureSegmentationLib.export.dicom_seg import series_description
from FractureSegmentationLib.mrml.layer import ct_of
from FractureSegmentationLib.mrml.nodes import SegmentationNode
from FractureSegmentationLib.mrml.state import state_of

_PLUGIN = "DICOMSegmentationPlugin"
_DRAFT = "fragments.dcm"


def can_export_dicom_seg() -> bool:
    """Whether this Slicer can write DICOM SEG."""
    return _exporter_class() is not None


def export_dicom_seg(node: SegmentationNode, path: Path, *, overwrite: bool = False) -> None:
    """Write a segmentation whose CT was loaded from DICOM as DICOM SEG.

    It carries the patient's identity, as the CT does, and says that it is unreviewed until every
    fragment is accepted. Segments that are no fragments are left out. The file is there whole or
    not at all, and an earlier one stays until then.

    Args:
        node: the segmentation, tied to its CT.
        path: the file to make; ends in `.dcm`.
        overwrite: replace `path` if it is a file.

    Raises:
        EnvironmentProblemError: this Slicer has no exporter, or it failed.
        InputError: the CT was not loaded from DICOM, or the exporter refuses the segmentation.
        NoBoneError: there is no fragment.
        OutputExistsError: the file is there already, and may not be replaced.
    """
    exporter_class = _exporter_class()
    if exporter_class is None:
        raise EnvironmentProblemError(
            "This version of 3D Slicer cannot write DICOM SEG.",
            "Use 3D Slicer 5.12 or later, install the extension QuantitativeReporting, or export "
            "seg.nrrd and run fracseg export --format dicom-seg on it.",
        )
    if path.exists() and not (overwrite and path.is_file()):
        raise OutputExistsError("The output file exists already.", "Choose another name.")
    state = state_of(node)
    fragments = state.fragments
    if not fragments.records:
        raise NoBoneError("The segmentation holds no fragment.", "Segment the CT first.")
    ct = ct_of(node)
    if ct is None or not ct.GetAttribute("DICOM.instanceUIDs"):
        raise InputError(
            "The CT was not loaded from DICOM, so a DICOM SEG cannot refer to it.",
            "Load the CT with the DICOM module, or export seg.nrrd.",
        )
    metadata = {"SeriesDescription": series_description(is_reviewed=fragments.is_reviewed)}
    with _private_folder(path.parent) as folder:
        # Slicer takes a segment in a shared layer for filled even if none of its voxels is left.
        ids = [state.ids[record.label] for record in fragments.records]
        _run(exporter_class(node), folder, metadata, ids)
        _publish(folder / _DRAFT, path)


def _exporter_class() -> Any | None:
    """Slicer's exporter; the module is there only in an application that has it."""
    try:
        return getattr(importlib.import_module(_PLUGIN), "DICOMSegmentationExporter", None)
    except ImportError:
        return None


def _run(exporter: Any, folder: Path, metadata: dict[str, str], segment_ids: list[str]) -> None:
    """Let Slicer write the file; its own sentences are passed on, they name segments only."""
    try:
        exporter.export(str(folder), _DRAFT, metadata, segmentIDs=segment_ids, skipEmpty=True)
    except ValueError as error:
        raise InputError(
            f"3D Slicer refuses to write the DICOM SEG: {error}",
            "Check that all images of the CT are in the DICOM database and that every segment has "
            "a terminology.",
        ) from error
    except Exception as error:  # whatever an external program and its files may raise
        raise _failed() from error
    finally:
        exporter.cleanup()


def _publish(draft: Path, path: Path) -> None:
    if not draft.is_file():
        raise _failed()
    try:
        draft.replace(path)
    except OSError as error:
        raise _unwritten() from error


@contextlib.contextmanager
def _private_folder(parent: Path) -> Iterator[Path]:
    """A folder beside the output that only the user can read, gone after the block."""
    try:
        folder = Path(tempfile.mkdtemp(prefix=".fracseg-", dir=parent))
    except OSError as error:
        raise _unwritten() from error
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _failed() -> FracSegError:
    return EnvironmentProblemError(
        "3D Slicer could not write the DICOM SEG.",
        "Check that all images of the CT are still in the DICOM database; the error log of 3D "
        "Slicer says more.",
    )


def _unwritten() -> FracSegError:
    return EnvironmentProblemError(
        "The DICOM SEG could not be written.",
        "Check that you may write to the folder and that the disk is not full.",
    )
