"""Segmentation files of 3D Slicer, its own and ours, and headers that lie."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from FractureSegmentationLib.anatomy.naming import Segment
from FractureSegmentationLib.errors import InputError
from FractureSegmentationLib.geometry import Geometry
from FractureSegmentationLib.io.image_file import read_image_file
from FractureSegmentationLib.results.layers import LayeredLabels, LayeredSegment, one_layer
from FractureSegmentationLib.results.seg_nrrd import (
    SegmentationFile,
    names_segments,
    segmentation_of_image,
    write_layered_seg_nrrd,
    write_seg_nrrd,
)
from FractureSegmentationLib.volume import LabelVolume

GEOMETRY = Geometry(
    shape=(4, 5, 6),
    spacing_mm=(2.0, 0.5, 0.75),
    origin_lps_mm=(10.0, -20.0, 30.0),
    direction=((0.0, 0.0, 1.0), (-0.8, 0.6, 0.0), (0.6, 0.8, 0.0)),
)


def read(path: Path) -> SegmentationFile:
    image = read_image_file(path, may_have_layers=True).image
    assert names_segments(image)
    return segmentation_of_image(image)


def a_segment(segment_id: str, label: int, **tags: str) -> Segment:
    return Segment(
        id=segment_id,
        name=f"{segment_id} – ä",
        label_value=label,
        color=(0.25, 0.5, 1.0),
        tags={name.replace("_", "."): value for name, value in tags.items()},
    )


def overlapping() -> LayeredLabels:
    """a = label 1 at (1, 2, 3) and (0, 0, 0); b = label 1 and c = label 300 in another layer."""
    first, second = np.zeros((2, *GEOMETRY.shape), np.uint16)
    first[1, 2, 3] = first[0, 0, 0] = second[1, 2, 3] = 1
    second[3, 4, 5] = 300
    return LayeredLabels(
        layers=tuple(LabelVolume(voxels=one, geometry=GEOMETRY) for one in (first, second)),
        segments=(
            LayeredSegment(segment=a_segment("a", 1)),
            LayeredSegment(segment=a_segment("b", 1, FracSeg_Bone="sacrum"), layer=1),
            LayeredSegment(segment=a_segment("c", 300), layer=1),
        ),
    )


def with_header(path: Path, *changes: tuple[str, str]) -> Path:
    """A file of three segments in two layers, with its header edited."""
    write_layered_seg_nrrd(path, overlapping())
    header, end, voxels = path.read_bytes().partition(b"\n\n")
    for old, new in changes:
        assert old.encode() in header
        header = header.replace(old.encode(), new.encode("utf-8", "surrogateescape"))
    path.write_bytes(header + end + voxels)
    return path


def test_overlapping_segments_come_back_from_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a.seg.nrrd"
    write_layered_seg_nrrd(path, overlapping())

    actual = read(path)

    assert actual.labels.segments == overlapping().segments
    for ours, theirs in zip(overlapping().layers, actual.labels.layers, strict=True):
        np.testing.assert_array_equal(theirs.voxels, ours.voxels)
        assert theirs.geometry.is_close_to(GEOMETRY, tolerance_mm=1e-9)
    assert actual.warnings == ()
    assert [(one.id, other.id) for one, other in actual.labels.overlaps()] == [("a", "b")]


def test_overlapping_segments_are_read_by_slicers_own_python_reader(tmp_path: Path) -> None:
    slicerio = pytest.importorskip("slicerio")
    path = tmp_path / "a.seg.nrrd"
    write_layered_seg_nrrd(path, overlapping())

    actual = slicerio.read_segmentation(str(path))

    assert [one["id"] for one in actual["segments"]] == ["a", "b", "c"]
    assert [one["layer"] for one in actual["segments"]] == [0, 1, 1]
    assert [one["labelValue"] for one in actual["segments"]] == [1, 1, 300]
    first, second = actual["voxels"]
    assert first[3, 2, 1] == second[3, 2, 1] == 1
    assert second[5, 4, 3] == 300
    assert first[5, 4, 3] == 0
    assert actual["ijkToLPS"] @ [3, 2, 1, 1] == pytest.approx([10.55, -17.6, 32.0, 1.0])


def test_layers_are_named_the_way_slicer_names_them(real_data: Path, tmp_path: Path) -> None:
    theirs = real_data / "segmentations/slicerio/SegmentationOverlapping.seg.nrrd"
    write_layered_seg_nrrd(tmp_path / "a.seg.nrrd", overlapping())

    kinds = [
        next(line for line in path.read_bytes().splitlines() if line.startswith(b"kinds"))
        for path in (theirs, tmp_path / "a.seg.nrrd")
    ]

    assert kinds == [b"kinds: list domain domain domain"] * 2


def test_a_file_of_one_layer_is_what_it_was_before_there_were_layers(tmp_path: Path) -> None:
    labels = LabelVolume(voxels=np.eye(6, dtype=np.uint8)[None, :5], geometry=_flat((1, 5, 6)))
    segments = [a_segment("a", 1)]

    write_seg_nrrd(tmp_path / "a.seg.nrrd", labels, segments)
    write_layered_seg_nrrd(tmp_path / "b.seg.nrrd", one_layer(labels, segments))

    assert (tmp_path / "a.seg.nrrd").read_bytes() == (tmp_path / "b.seg.nrrd").read_bytes()


def _flat(shape: tuple[int, int, int]) -> Geometry:
    return Geometry(shape=shape, spacing_mm=(1.0, 1.0, 1.0))


def test_a_file_that_slicer_wrote_gives_its_names_and_colours(real_data: Path) -> None:
    slicerio = pytest.importorskip("slicerio")
    path = real_data / "segmentations/slicerio/SegmentationOverlapping.seg.nrrd"
    theirs = slicerio.read_segmentation(str(path))

    actual = read(path)

    assert len(actual.labels.segments) == 8
    for ours, wanted in zip(actual.labels.segments, theirs["segments"], strict=True):
        assert ours.segment.name == wanted["name"]
        assert ours.segment.id == wanted["id"]
        assert ours.segment.label_value == wanted["labelValue"]
        assert ours.segment.color == pytest.approx(wanted["color"])
        voxels = theirs["voxels"][ours.layer] == ours.segment.label_value
        np.testing.assert_array_equal(actual.labels.mask(ours), voxels.T)
    pairs = {frozenset((one.name, other.name)) for one, other in actual.labels.overlaps()}
    assert all("overlapping sphere" in pair for pair in pairs)
    assert pairs


def test_a_file_cut_to_its_segments_is_read_onto_the_grid_of_the_ct(tmp_path: Path) -> None:
    """Slicer may save only the box of the segments; the header still names the whole grid."""
    image = sitk.ReadImage(str(with_header(tmp_path / "whole.seg.nrrd")))
    box = image[2:6, 1:5, 1:4]
    for key in image.GetMetaDataKeys():
        if key.startswith("Segment"):
            box.SetMetaData(key, image.GetMetaData(key))
    sitk.WriteImage(box, str(tmp_path / "cut.seg.nrrd"))

    labels = read(tmp_path / "cut.seg.nrrd").labels

    assert labels.geometry.is_close_to(GEOMETRY, tolerance_mm=1e-6)
    assert labels.layers[0].voxels[1, 2, 3] == 1
    assert labels.layers[1].voxels[3, 4, 5] == 300


@pytest.mark.parametrize(
    "numbers",
    [
        "1;0;0",
        "a;b",
        ";".join(["nan"] * 22),
        ";".join(["0"] * 22),
        ";".join(["1", "0", "0", "0", "0", "1", "0", "0", "0", "0", "1", "0"] + ["0"] * 4
                 + ["0", "99999"] * 3),
        ";".join(["2", "0", "0", "9", "0", "2", "0", "9", "0", "0", "2", "9"] + ["0"] * 4
                 + ["0", "99"] * 3),
    ],
)  # fmt: skip
def test_a_grid_that_does_not_fit_the_voxels_is_not_used(tmp_path: Path, numbers: str) -> None:
    path = with_header(tmp_path / "a.seg.nrrd", ("Reference image geometry|", "Nothing|"))
    header, end, voxels = path.read_bytes().partition(b"\n\n")
    entry = f"Segmentation_ConversionParameters:=Reference image geometry|{numbers}|x.&"
    lines = [
        entry.encode() if line.startswith(b"Segmentation_Conversion") else line
        for line in header.split(b"\n")
    ]
    path.write_bytes(b"\n".join(lines) + end + voxels)

    assert read(path).labels.geometry.is_close_to(GEOMETRY, tolerance_mm=1e-6)


def test_voxels_of_no_segment_are_left_out_and_told(tmp_path: Path) -> None:
    path = with_header(tmp_path / "a.seg.nrrd", ("LabelValue:=300", "LabelValue:=299"))

    actual = read(path)

    assert actual.warnings == ("1 voxels belong to no segment and were left out.",)
    assert actual.labels.layers[1].values() == (1,)
    assert [one.segment.id for one in actual.labels.filled()] == ["a", "b"]


@pytest.mark.parametrize(
    "change",
    [
        ("Segment2_Layer:=1", "Segment2_Layer:=2"),
        ("Segment2_Layer:=1", "Segment2_Layer:=-1"),
        ("Segment2_Layer:=1", "Segment2_Layer:=one"),
        ("LabelValue:=300", "LabelValue:=1"),
        ("LabelValue:=300", "LabelValue:=0"),
        ("LabelValue:=300", "LabelValue:=3.5"),
        ("Segment1_ID:=b", "Segment1_ID:=a"),
    ],
)
def test_a_header_that_contradicts_itself_is_refused(
    tmp_path: Path, change: tuple[str, str]
) -> None:
    with pytest.raises(InputError, match="contradicts itself"):
        read(with_header(tmp_path / "a.seg.nrrd", change))


def test_what_is_merely_odd_is_read(tmp_path: Path) -> None:
    path = with_header(
        tmp_path / "a.seg.nrrd",
        ("Segment0_Color:=0.25 0.5 1", "Segment0_Color:=red"),
        ("Segment1_Color:=0.25 0.5 1", "Segment1_Color:=7 nan 0.5"),
        ("Segment2_Color:=0.25 0.5 1", "Segment2_Color:=7 -1 0.5"),
        ("Segment0_Name:=a – ä", "Segment0_Name:=Gr\udcf6\udcdfe\\n1970"),
        ("Segment1_Name:=b – ä", "Segment1_Name:="),
        ("Segment2_ID:=c", "Segment2_ID:="),
    )

    segments = [one.segment for one in read(path).labels.segments]

    assert [one.color for one in segments] == [(0.5,) * 3, (0.5,) * 3, (1.0, 0.0, 0.5)]
    assert segments[0].name == "Gr??e 1970"
    assert segments[1].name == "b"
    assert segments[2].id == "Segment_3"


def test_tags_that_may_hold_what_an_importer_knew_of_the_patient_are_left_out(
    tmp_path: Path,
) -> None:
    tags = "TerminologyEntry:a~b^c:d|DicomRtImport.SeriesInstanceUID:1.2.3|FracSeg.Index:2|odd|"
    path = with_header(tmp_path / "a.seg.nrrd", ("Tags:=FracSeg.Bone:sacrum|", f"Tags:={tags}"))

    segment = read(path).labels.segments[1].segment

    assert dict(segment.tags) == {"TerminologyEntry": "a~b^c:d", "FracSeg.Index": "2"}


def test_a_file_from_before_layers_were_shared_is_read(tmp_path: Path) -> None:
    """Slicer before 4.11 wrote neither layer nor label value: a layer each, filled with 1."""
    voxels = np.zeros((*GEOMETRY.shape, 2), np.uint8)
    voxels[1, 2, 3, 0] = voxels[3, 4, 5, 1] = 1
    image = sitk.GetImageFromArray(voxels, isVector=True)
    for index, name in enumerate(("rib", "sacrum")):
        image.SetMetaData(f"Segment{index}_ID", f"Segment_{index + 1}")
        image.SetMetaData(f"Segment{index}_Name", name)
    sitk.WriteImage(image, str(tmp_path / "old.seg.nrrd"))

    labels = read(tmp_path / "old.seg.nrrd").labels

    assert [(one.segment.name, one.layer) for one in labels.segments] == [("rib", 0), ("sacrum", 1)]
    assert [np.argwhere(labels.mask(one)).tolist() for one in labels.segments] == [
        [[1, 2, 3]],
        [[3, 4, 5]],
    ]


def test_a_plain_image_names_no_segments() -> None:
    assert not names_segments(sitk.Image([3, 3, 3], sitk.sitkUInt8))


@pytest.mark.parametrize(
    ("layers", "segments"),
    [
        ((), ()),
        (((2, 2, 2), (2, 2, 3)), ()),
        (((2, 2, 2),), (("a", 1, 1),)),
        (((2, 2, 2),), (("a", 1, 0), ("a", 2, 0))),
        (((2, 2, 2),), (("a", 1, 0), ("b", 1, 0))),
    ],
)
def test_layers_and_segments_that_do_not_fit_are_a_bug_of_the_caller(
    layers: tuple[tuple[int, int, int], ...], segments: tuple[tuple[str, int, int], ...]
) -> None:
    with pytest.raises(ValueError, match=r"layer|share"):
        LayeredLabels(
            layers=tuple(
                LabelVolume(voxels=np.zeros(shape, np.uint8), geometry=_flat(shape))
                for shape in layers
            ),
            segments=tuple(
                LayeredSegment(segment=a_segment(name, value), layer=layer)
                for name, value, layer in segments
            ),
        )
