"""DICOM SEG from the scene: the call of Slicer's exporter, and what a saved review is worth."""

from __future__ import annotations

import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from FractureSegmentationLib.editing.fragments import ReviewStatus
from FractureSegmentationLib.errors import (
    EnvironmentProblemError,
    InputError,
    NoBoneError,
    OutputExistsError,
)
from FractureSegmentationLib.mrml.dicom_export import can_export_dicom_seg, export_dicom_seg
from FractureSegmentationLib.mrml.segmentation import set_review
from FractureSegmentationLib.mrml.volume import voxels_of
from FractureSegmentationLib.results.layers import is_reviewed
from FractureSegmentationLib.results.source import read_source
from FractureSegmentationLib.types import LabelArray


class Exporter:
    """Stands in for Slicer's; the parameters of `export` have Slicer's names.

    `do` is what it does with the file's path; `calls` is what it was told.
    """

    do: Callable[[Path], None] = staticmethod(lambda path: path.write_bytes(b"DICM"))
    calls: ClassVar[list[dict[str, Any]]] = []

    def __init__(self, node: Any) -> None:
        self.calls.append({"node": node})

    def export(
        self,
        folder: str,
        name: str,
        metadata: dict[str, str],
        segmentIDs: Any = None,  # noqa: N803
        skipEmpty: bool = False,  # noqa: N803
    ) -> bool:
        self.calls[-1].update(metadata=metadata, skip=skipEmpty, ids=segmentIDs)
        type(self).do(Path(folder) / name)
        return True

    def cleanup(self) -> None:
        self.calls[-1]["is_clean"] = True


@pytest.fixture
def exporter(monkeypatch: pytest.MonkeyPatch) -> type[Exporter]:
    """A module as Slicer 5.12 has it."""

    class Fresh(Exporter):
        calls: ClassVar[list[dict[str, Any]]] = []

    plugin = types.ModuleType("DICOMSegmentationPlugin")
    plugin.DICOMSegmentationExporter = Fresh  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "DICOMSegmentationPlugin", plugin)
    return Fresh


@pytest.fixture
def pelvis(make_ct: Any, make_segmentation: Any, two_bones: LabelArray) -> Any:
    ct = make_ct(np.zeros(two_bones.shape, np.int16))
    ct.SetAttribute("DICOM.instanceUIDs", "1.2.3 1.2.4")
    return make_segmentation(two_bones, ct)


IDS = ("left_hip_1", "left_hip_2", "right_patella_1")


def test_slicers_exporter_writes_the_file_and_is_told_that_nobody_reviewed_it(
    pelvis: Any, exporter: type[Exporter], tmp_path: Path
) -> None:
    export_dicom_seg(pelvis, tmp_path / "seg.dcm")

    (call,) = exporter.calls
    assert can_export_dicom_seg()
    assert call["node"] is pelvis
    assert "UNREVIEWED" in call["metadata"]["SeriesDescription"]
    assert call["skip"]
    assert call["ids"] == list(IDS)
    assert call["is_clean"]
    assert [one.name for one in tmp_path.iterdir()] == ["seg.dcm"]


def test_once_every_fragment_is_accepted_it_is_told_so(
    pelvis: Any, exporter: type[Exporter], tmp_path: Path
) -> None:
    set_review(pelvis, IDS, ReviewStatus.ACCEPTED)

    export_dicom_seg(pelvis, tmp_path / "seg.dcm")

    assert "UNREVIEWED" not in exporter.calls[0]["metadata"]["SeriesDescription"]


def test_a_slicer_without_the_exporter_says_so(pelvis: Any, tmp_path: Path) -> None:
    assert not can_export_dicom_seg()
    with pytest.raises(EnvironmentProblemError, match="cannot write DICOM SEG") as refusal:
        export_dicom_seg(pelvis, tmp_path / "seg.dcm")

    assert "5.12" in refusal.value.remedy
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_become_dicom_is_refused_before_slicer_is_asked(
    pelvis: Any, exporter: type[Exporter], make_segmentation: Any, tmp_path: Path
) -> None:
    taken = tmp_path / "taken.dcm"
    taken.write_bytes(b"mine")
    with pytest.raises(OutputExistsError):
        export_dicom_seg(pelvis, taken)
    with pytest.raises(NoBoneError):
        export_dicom_seg(make_segmentation(np.zeros((3, 3, 3), np.uint16)), tmp_path / "a.dcm")
    pelvis.GetNodeReference(pelvis.GetReferenceImageGeometryReferenceRole()).SetAttribute(
        "DICOM.instanceUIDs", None
    )
    with pytest.raises(InputError, match="not loaded from DICOM"):
        export_dicom_seg(pelvis, tmp_path / "b.dcm")

    assert exporter.calls == []
    assert taken.read_bytes() == b"mine"


def test_only_fragments_with_voxels_are_written(
    pelvis: Any, exporter: type[Exporter], tmp_path: Path
) -> None:
    """Nobody has reviewed a person's own segment, and an erased fragment has nothing to show."""
    pelvis.GetSegmentation().AddEmptySegment("mine", "Mine")
    image = pelvis.GetSegmentation().GetSegment("left_hip_1").GetRepresentation("Binary labelmap")
    voxels = voxels_of(image)
    voxels[voxels == 501] = 0
    image.Modified()

    export_dicom_seg(pelvis, tmp_path / "seg.dcm")

    assert exporter.calls[0]["ids"] == ["left_hip_1", "left_hip_2"]


def test_an_earlier_file_is_replaced_when_asked_and_only_by_a_whole_one(
    pelvis: Any, exporter: type[Exporter], tmp_path: Path
) -> None:
    earlier = tmp_path / "seg.dcm"
    earlier.write_bytes(b"earlier")
    exporter.do = staticmethod(lambda _path: None)
    with pytest.raises(EnvironmentProblemError):
        export_dicom_seg(pelvis, earlier, overwrite=True)
    assert earlier.read_bytes() == b"earlier"

    exporter.do = staticmethod(lambda path: path.write_bytes(b"later"))
    export_dicom_seg(pelvis, earlier, overwrite=True)

    assert earlier.read_bytes() == b"later"
    with pytest.raises(OutputExistsError):
        export_dicom_seg(pelvis, tmp_path, overwrite=True)


@pytest.mark.parametrize(
    ("failure", "kind", "words"),
    [
        (ValueError("Segment x has missing attributes."), InputError, "missing attributes"),
        (
            RuntimeError("itkimage2segimage failed: /home/Jane"),
            EnvironmentProblemError,
            "could not",
        ),
        (None, EnvironmentProblemError, "could not"),
    ],
)
def test_a_failing_exporter_leaves_nothing(
    pelvis: Any,
    exporter: type[Exporter],
    tmp_path: Path,
    failure: Exception | None,
    kind: type[Exception],
    words: str,
) -> None:
    def fail(_path: Path) -> None:
        if failure is not None:
            raise failure

    exporter.do = staticmethod(fail)

    with pytest.raises(kind, match=words) as refusal:
        export_dicom_seg(pelvis, tmp_path / "seg.dcm")

    assert "Jane" not in str(refusal.value)
    assert list(tmp_path.iterdir()) == []
    assert exporter.calls[0]["is_clean"]


def test_a_review_made_in_the_scene_counts_on_the_command_line(
    pelvis: Any, scene: Any, tmp_path: Path
) -> None:
    def saved(name: str) -> Path:
        path = tmp_path / f"{name}.seg.nrrd"
        storage = scene.AddNewNodeByClass("vtkMRMLSegmentationStorageNode")
        storage.SetFileName(str(path))
        assert storage.WriteData(pelvis)
        return path

    set_review(pelvis, IDS[:2], ReviewStatus.ACCEPTED)
    half = read_source(saved("half"))
    set_review(pelvis, IDS[2:], ReviewStatus.ACCEPTED)
    whole = read_source(saved("whole"))

    assert not is_reviewed(half.labels)
    assert is_reviewed(whole.labels)
