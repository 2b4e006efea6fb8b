"""DICOM SEG through the command line, read back by pydicom bit by bit and by highdicom."""

from __future__ import annotations

import json
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from FractureSegmentationLib.anatomy.catalogue import bone_named
from FractureSegmentationLib.anatomy.naming import Segment, fragment_segment
from FractureSegmentationLib.cli.main import run
from FractureSegmentationLib.io.dicom.series import list_series
from FractureSegmentationLib.io.read import read_ct
from FractureSegmentationLib.io.salt import hashed_identifier, install_salt
from FractureSegmentationLib.io.sitk import write_volume
from FractureSegmentationLib.results.layers import LayeredLabels, LayeredSegment, one_layer
from FractureSegmentationLib.results.report import write_report
from FractureSegmentationLib.results.seg_nrrd import write_layered_seg_nrrd
from FractureSegmentationLib.volume import LabelVolume
from FractureSegmentationLib.voxels.checksum import checksum
from FractureSegmentationLib.voxels.orient import AxisOrder
from Testing.unit.io.dicom_series import EnhancedMaker, SeriesMaker, code_in_jpeg_2000

highdicom = pytest.importorskip("highdicom")

HIP = bone_named("left_hip")
SHAPE = (12, 8, 10)
FRAME = "1.2.826.0.1.3680043.8.498.77"


@pytest.fixture
def make_ct(tmp_path: Path) -> Callable[..., SeriesMaker]:
    """An oblique CT series of 12 x 8 x 10 voxels of a patient with a name to find again."""

    def make(name: str = "ct", **changes: Any) -> SeriesMaker:
        fields = {
            "FrameOfReferenceUID": FRAME,
            "SpecificCharacterSet": "ISO_IR 100",
            "PatientName": "Müller^Jürgen",
            "PatientBirthDate": "19700203",
            "PatientSex": "M",
            "StudyDate": "20260405",
            "AccessionNumber": "ACC-17",
            "SeriesNumber": 4,
            **changes.pop("fields", {}),
        }
        settings = {"i_axis": (0.6, 0.8, 0.0), "j_axis": (-0.8, 0.6, 0.0), **changes}
        return SeriesMaker(folder=tmp_path / name, shape=SHAPE, fields=fields, **settings)

    return make


def some_labels() -> np.ndarray:
    """Fragment 51: a block in slices 3 to 6. Fragment 52: one voxel in slice 9. 1: the sacrum."""
    voxels = np.zeros(SHAPE, np.uint16)
    voxels[3:7, 2:6, 1:8] = 51
    voxels[9, 7, 9] = 52
    voxels[4:6, 7, 2:4] = 1
    return voxels


@pytest.fixture
def make_result(tmp_path: Path) -> Callable[..., Path]:
    """What `fracseg segment` leaves of a CT, as far as an export reads it."""

    def make(ct: Path, voxels: np.ndarray | None = None, name: str = "result") -> Path:
        read = read_ct(ct)
        folder = tmp_path / name
        folder.mkdir()
        labels = LabelVolume(
            voxels=some_labels() if voxels is None else voxels, geometry=read.volume.geometry
        )
        write_volume(folder / "fragments.nii.gz", labels)
        source = {"series_uid_hash": read.series_uid_sha}
        write_report(folder, {"numbering": "fracseg", "bones": [], "input": source})
        return folder

    return make


def export(segmentation: Path, ct: Path | None, *more: str) -> tuple[int, Path]:
    out = segmentation.parent / "out"
    arguments = ["export", str(segmentation), str(out), "--format", "dicom-seg", *more]
    return run([*arguments, *(["--ct", str(ct)] if ct else [])]), out


def masks_by_hand(data: Dataset, shape: tuple[int, int, int], ct: Path) -> dict[int, np.ndarray]:
    """(K, J, I) mask per segment number: bits are unpacked, frames placed by their image's UID."""
    files = sorted(ct.glob("*.dcm"))
    images = {pydicom.dcmread(file).SOPInstanceUID: k for k, file in enumerate(files)}
    bits = np.unpackbits(np.frombuffer(data.PixelData, np.uint8), bitorder="little")
    frames = bits[: data.NumberOfFrames * data.Rows * data.Columns]
    frames = frames.reshape(data.NumberOfFrames, data.Rows, data.Columns)
    actual = {int(one.SegmentNumber): np.zeros(shape, bool) for one in data.SegmentSequence}
    for frame, groups in zip(frames, data.PerFrameFunctionalGroupsSequence, strict=True):
        number = int(groups.SegmentIdentificationSequence[0].ReferencedSegmentNumber)
        (image,) = groups.DerivationImageSequence[0].SourceImageSequence
        k = images[image.ReferencedSOPInstanceUID]
        source = pydicom.dcmread(files[k])
        place = groups.PlanePositionSequence[0].ImagePositionPatient
        np.testing.assert_allclose(place, source.ImagePositionPatient, atol=1e-6)
        actual[number][k] |= frame.astype(bool)
    return actual


def code(item: Dataset) -> tuple[str, str, str]:
    return (item.CodingSchemeDesignator, item.CodeValue, item.CodeMeaning)


def test_every_voxel_comes_back_over_the_image_it_was_drawn_on(
    make_ct: Callable[..., SeriesMaker], make_result: Callable[..., Path]
) -> None:
    ct = make_ct().write()

    status, out = export(make_result(ct), ct)

    assert status == 0
    assert sorted(path.name for path in out.iterdir()) == ["fragments.dcm", "report.json"]
    data = pydicom.dcmread(out / "fragments.dcm")
    masks = masks_by_hand(data, SHAPE, ct)
    for number, label in ((1, 1), (2, 51), (3, 52)):
        np.testing.assert_array_equal(masks[number], some_labels() == label)
    assert data.SOPClassUID == "1.2.840.10008.5.1.4.1.1.66.4"
    assert data.FrameOfReferenceUID == FRAME
    assert data.NumberOfFrames == 2 + 4 + 1


def test_a_segmentation_with_turned_axes_lies_on_the_same_voxels(
    make_ct: Callable[..., SeriesMaker], make_result: Callable[..., Path]
) -> None:
    """As converters write it: i and k exchanged, j reversed, every voxel at its place."""
    ct = make_ct().write()
    result = make_result(ct)
    turn = AxisOrder(axes=(2, 1, 0), reversed_axes=(False, True, False))
    straight = LabelVolume(voxels=some_labels(), geometry=read_ct(ct).volume.geometry)
    write_volume(result / "fragments.nii.gz", turn.volume(straight))

    status, out = export(result, ct)

    assert status == 0
    masks = masks_by_hand(pydicom.dcmread(out / "fragments.dcm"), SHAPE, ct)
    for number, label in ((1, 1), (2, 51), (3, 52)):
        np.testing.assert_array_equal(masks[number], some_labels() == label)


def test_highdicom_reads_the_same_voxels_at_the_same_places(
    make_ct: Callable[..., SeriesMaker], make_result: Callable[..., Path]
) -> None:
    ct = make_ct().write()
    _, out = export(make_result(ct), ct)

    seg = highdicom.seg.segread(out / "fragments.dcm")
    volume = seg.get_volume(combine_segments=True)

    geometry = read_ct(ct).volume.geometry
    labels = some_labels()
    number, expected = np.zeros(552, np.uint8), {1: 1, 51: 2, 52: 3}
    for label, value in expected.items():
        number[label] = value
    for k, j, i in np.argwhere(volume.array)[::3]:
        place = (volume.affine @ [k, j, i, 1.0])[:3]
        at = tuple(np.rint(geometry.to_index(place)).astype(int))
        assert number[labels[at]] == volume.array[k, j, i]
        np.testing.assert_allclose(geometry.to_lps(np.array(at, float)), place, atol=1e-3)
    assert np.count_nonzero(volume.array) == np.count_nonzero(labels)


def test_segments_say_what_they_are_in_codes_and_how_they_came_about(
    make_ct: Callable[..., SeriesMaker], make_result: Callable[..., Path]
) -> None:
    ct = make_ct().write()
    _, out = export(make_result(ct), ct)

    data = pydicom.dcmread(out / "fragments.dcm")
    sacrum, main, _ = data.SegmentSequence
    assert main.SegmentLabel == "Left hip bone – fragment 1 (main)"
    assert main.TrackingID == "left_hip_1"
    category = main.SegmentedPropertyCategoryCodeSequence[0]
    kind = main.SegmentedPropertyTypeCodeSequence[0]
    region = main.AnatomicRegionSequence[0]
    assert code(category)[:2] == ("SCT", "49755003")
    assert code(kind) == ("SCT", "72704001", "Fracture")
    modifier = kind.SegmentedPropertyTypeModifierCodeSequence[0]
    assert code(modifier) == ("99FRACSEG", "FRAGMENT", "Fragment")
    assert code(region) == ("SCT", "29836001", "Hip bone")
    assert code(region.AnatomicRegionModifierSequence[0])[1:] == ("7771000", "Left")
    assert (main.SegmentAlgorithmType, main.SegmentAlgorithmName) == (
        "AUTOMATIC",
        "FractureSegmentation",
    )
    (algorithm,) = main.SegmentationAlgorithmIdentificationSequence
    assert algorithm.AlgorithmName == "FractureSegmentation"
    assert algorithm.AlgorithmVersion
    assert code(sacrum.SegmentedPropertyTypeCodeSequence[0]) == ("SCT", "54735007", "Sacrum")
    assert "AnatomicRegionSequence" not in sacrum
    assert len(sacrum.RecommendedDisplayCIELabValue) == 3


def test_a_private_code_is_declared_as_the_standard_asks(
    make_ct: Callable[..., SeriesMaker], make_result: Callable[..., Path]
) -> None:
    ct = make_ct().write()
    _, out = export(make_result(ct), ct)

    data = pydicom.dcmread(out / "fragments.dcm")
    (scheme,) = data.CodingSchemeIdentificationSequence
    assert scheme.CodingSchemeDesignator == "99FRACSEG"
    assert scheme.CodingSchemeName == "FractureSegmentation codes"


def test_the_object_belongs_to_the_patients_study_and_says_that_nobody_reviewed_it(
    make_ct: Callable[..., SeriesMaker],
    make_result: Callable[..., Path],
    capsys: pytest.CaptureFixture[str],
) -> None:
    ct = make_ct().write()
    _, out = export(make_result(ct), ct)
    printed = capsys.readouterr()

    data = pydicom.dcmread(out / "fragments.dcm")
    assert str(data.PatientName) == "Müller^Jürgen"
    assert (data.PatientID, data.PatientBirthDate) == ("SECRET-ID", "19700203")
    assert data.StudyInstanceUID == "1.2.3"
    assert data.SpecificCharacterSet == "ISO_IR 192"
    assert (data.Modality, data.SeriesNumber) == ("SEG", 104)
    assert data.ContentLabel == "UNREVIEWED"
    assert "UNREVIEWED" in data.SeriesDescription
    assert "UNREVIEWED" in data.ContentDescription
    assert data["ContentCreatorName"].is_empty
    assert "carries the patient's identity" in printed.err
    report = (out / "report.json").read_text(encoding="utf-8")
    for secret in ("ller", "SECRET", "1970", "ACC-17", "1.2.3", "20260405"):
        assert secret not in report + printed.out + printed.err
    assert json.loads(report)["reviewed"] is False


def segments(labels: np.ndarray, accepted: tuple[int, ...] = ()) -> list[Segment]:
    """51 and 52 as a corrected `.seg.nrrd` holds them, some of them accepted as they are."""
    made = []
    for label in (51, 52):
        one = fragment_segment(HIP, label - 50)
        tags = {**one.tags, "DICOM.SegmentAlgorithmType": "SEMIAUTOMATIC"}
        if label in accepted:
            where = np.argwhere(labels == label)
            box = tuple(
                slice(int(a), int(b) + 1)
                for a, b in zip(where.min(axis=0), where.max(axis=0), strict=True)
            )
            tags["FracSeg.Accepted"] = checksum(labels[box] == label, box)
            tags["Segmentation.Status"] = "completed"
        made.append(
            Segment(id=one.id, name=one.name, label_value=label, color=one.color, tags=tags)
        )
    return made


@pytest.mark.parametrize(
    ("accepted", "is_edited", "expected"),
    [
        ((51, 52), False, "REVIEWED"),
        ((51,), False, "UNREVIEWED"),
        ((51, 52), True, "UNREVIEWED"),
    ],
)
def test_it_counts_as_reviewed_when_every_fragment_was_accepted_as_it_is(
    make_ct: Callable[..., SeriesMaker],
    tmp_path: Path,
    accepted: tuple[int, ...],
    *,
    is_edited: bool,
    expected: str,
) -> None:
    ct = make_ct().write()
    labels = np.where(some_labels() > 50, some_labels(), 0)
    made = segments(labels, accepted)
    if is_edited:
        labels[4, 6, 4] = 51
    volume = LabelVolume(voxels=labels, geometry=read_ct(ct).volume.geometry)
    path = tmp_path / "corrected.seg.nrrd"
    write_layered_seg_nrrd(path, one_layer(volume, made))

    status, out = export(path, ct)

    data = pydicom.dcmread(out / "fragments.dcm")
    assert status == 0
    assert data.ContentLabel == expected
    assert ("UNREVIEWED" in data.SeriesDescription) == (expected == "UNREVIEWED")
    assert {one.SegmentAlgorithmType for one in data.SegmentSequence} == {"SEMIAUTOMATIC"}
    report = json.loads((out / "report.json").read_text(encoding="utf-8"))
    assert report["reviewed"] is (expected == "REVIEWED")


def test_overlapping_segments_keep_all_their_voxels(
    make_ct: Callable[..., SeriesMaker], tmp_path: Path
) -> None:
    ct = make_ct().write()
    geometry = read_ct(ct).volume.geometry
    first, second = np.zeros(SHAPE, np.uint8), np.zeros(SHAPE, np.uint8)
    first[3:6, 2:5, 2:5], second[4:8, 3:7, 3:7] = 1, 1
    odd = Segment(id="x", name="a\\b " + "long " * 30, label_value=1, color=(0.0, 0.0, 1.0))
    layered = LayeredLabels(
        layers=tuple(LabelVolume(voxels=one, geometry=geometry) for one in (first, second)),
        segments=(
            LayeredSegment(segment=fragment_segment(bone_named("sacrum"), 1)),
            LayeredSegment(segment=odd, layer=1),
        ),
    )
    path = tmp_path / "overlapping.seg.nrrd"
    write_layered_seg_nrrd(path, layered)

    status, out = export(path, ct)

    assert status == 0
    data = pydicom.dcmread(out / "fragments.dcm")
    masks = masks_by_hand(data, SHAPE, ct)
    np.testing.assert_array_equal(masks[1], first == 1)
    np.testing.assert_array_equal(masks[2], second == 1)
    assert data.SegmentsOverlap == "YES"
    unknown = data.SegmentSequence[1]
    assert unknown.SegmentLabel.startswith("a/b long")
    assert len(unknown.SegmentLabel) <= 64
    assert code(unknown.SegmentedPropertyTypeCodeSequence[0]) == ("SCT", "85756007", "Tissue")
    assert unknown.SegmentAlgorithmType == "SEMIAUTOMATIC"


def test_a_multi_frame_ct_is_referred_to_frame_by_frame(
    make_ct: Callable[..., SeriesMaker], make_result: Callable[..., Path], tmp_path: Path
) -> None:
    """Frames are stored in a jumbled order; the SEG must follow the positions, not the order."""
    order = [5, 0, 11, 3, 1, 2, 10, 4, 6, 9, 7, 8]

    def complete(data: Dataset) -> None:
        data.FrameOfReferenceUID = FRAME
        data.DimensionIndexSequence = []

    file = EnhancedMaker(make_ct("enhanced"), order=order, change=complete).write()

    status, out = export(make_result(file.parent), file.parent)

    assert status == 0
    data = pydicom.dcmread(out / "fragments.dcm")
    bits = np.unpackbits(np.frombuffer(data.PixelData, np.uint8), bitorder="little")
    frames = bits[: 7 * 80].reshape(7, *SHAPE[1:])
    for frame, groups in zip(frames, data.PerFrameFunctionalGroupsSequence, strict=True):
        number = int(groups.SegmentIdentificationSequence[0].ReferencedSegmentNumber)
        (image,) = groups.DerivationImageSequence[0].SourceImageSequence
        k = order[int(image.ReferencedFrameNumber) - 1]
        wanted = some_labels()[k] == {1: 1, 2: 51, 3: 52}[number]
        np.testing.assert_array_equal(frame.astype(bool), wanted)


def test_nothing_is_missing_that_reference_objects_have(
    real_data: Path, make_ct: Callable[..., SeriesMaker], make_result: Callable[..., Path]
) -> None:
    """But for what a CT may say of its patient and study, and what de-identification leaves."""
    ct = make_ct().write()
    _, out = export(make_result(ct), ct)
    ours = {element.keyword for element in pydicom.dcmread(out / "fragments.dcm")}
    folder = real_data / "segmentations/highdicom"
    of_the_ct = {element.keyword for element in pydicom.dcmread(folder / "ct_image.dcm")}
    free = {"PatientIdentityRemoved", "DeidentificationMethod", "RequestingService"}

    for name in ("seg_image_ct_binary.dcm", "seg_image_ct_binary_overlap.dcm"):
        theirs = {element.keyword for element in pydicom.dcmread(folder / name)}
        assert theirs - ours - of_the_ct - free == set()


def test_pixels_of_the_ct_need_no_decoding(
    make_ct: Callable[..., SeriesMaker], make_result: Callable[..., Path], tmp_path: Path
) -> None:
    maker = make_ct(change=lambda _k, data: code_in_jpeg_2000(data, tmp_path))
    ct = maker.write()

    status, out = export(make_result(ct), ct)

    assert status == 0
    assert pydicom.dcmread(out / "fragments.dcm").NumberOfFrames == 7


def test_odd_values_of_the_patient_are_left_empty_instead_of_failing(
    make_ct: Callable[..., SeriesMaker], make_result: Callable[..., Path]
) -> None:
    odd = {"PatientSex": "X", "PatientBirthDate": "1970", "StudyTime": "noon"}
    with pytest.warns(UserWarning, match="Invalid value"):
        ct = make_ct(fields=odd).write()

    status, out = export(make_result(ct), ct)

    assert status == 0
    data = pydicom.dcmread(out / "fragments.dcm")
    assert not data.PatientSex
    assert not data.PatientBirthDate


NAMES_LIBRARIES_COMPLAIN_ABOUT = {
    "one word": {"PatientName": "SECRETPERSON"},
    "too long": {"PatientName": "SECRETPERSON^" + "x" * 80},
    "ill-formed": {"PatientBirthDate": "SECRETPERSON", "StudyDate": "yesterday"},
    "long number": {"PatientID": "SECRETPERSON" + "9" * 70},
    "referrer": {"ReferringPhysicianName": "SECRETPERSON"},
}


@pytest.mark.parametrize("complaint", NAMES_LIBRARIES_COMPLAIN_ABOUT)
def test_no_library_names_the_patient_and_none_stops_the_export_by_a_warning(
    make_ct: Callable[..., SeriesMaker], make_result: Callable[..., Path], complaint: str
) -> None:
    """The whole command, with warnings made errors and every log record shown."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ct = make_ct(fields=NAMES_LIBRARIES_COMPLAIN_ABOUT[complaint]).write()
    result, out = make_result(ct), ct.parent / "seg"
    script = (
        "import logging, sys; logging.basicConfig(level=logging.DEBUG); "
        "from FractureSegmentationLib.cli.main import run; sys.exit(run(sys.argv[1:]))"
    )

    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script, "export", str(result), str(out),
         "--format", "dicom-seg", "--ct", str(ct)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    assert "SECRETPERSON" not in done.stdout + done.stderr
    assert (out / "fragments.dcm").is_file()


def refused(
    segmentation: Path, ct: Path | None, capsys: pytest.CaptureFixture[str], *more: str
) -> str:
    """What is said; nothing may be left of the export."""
    capsys.readouterr()
    status, out = export(segmentation, ct, *more)
    printed = capsys.readouterr().err
    assert status in {2, 3, 4}
    assert not out.exists()
    assert "Traceback" not in printed
    assert "ller" not in printed
    return " ".join(printed.split())


def test_another_series_of_the_same_grid_is_refused(
    make_ct: Callable[..., SeriesMaker],
    make_result: Callable[..., Path],
    capsys: pytest.CaptureFixture[str],
) -> None:
    result = make_result(make_ct().write())
    other = make_ct("other", series_uid=generate_uid()).write()

    assert "not the DICOM series that the segmentation was made from" in refused(
        result, other, capsys
    )


def test_of_a_folder_with_several_series_the_one_it_was_made_from_is_taken(
    make_ct: Callable[..., SeriesMaker], make_result: Callable[..., Path]
) -> None:
    """Both have equally many slices: without the report the choice would be open."""
    result = make_result(make_ct("study/a").write())
    make_ct("study/b").write()
    study = result.parent / "study"

    status, out = export(result, study)

    assert status == 0
    meant = read_ct(study / "a").series_uid_sha
    data = pydicom.dcmread(out / "fragments.dcm")
    (referenced,) = data.ReferencedSeriesSequence
    assert hashed_identifier(referenced.SeriesInstanceUID, install_salt()) == meant
    wrong = next(one for one in list_series(study) if one.images[0].path.parent.name == "b")
    assert export(result, study, "--series", wrong.uid, "--overwrite")[0] == 2


def test_a_ct_on_another_grid_is_refused(
    make_ct: Callable[..., SeriesMaker],
    make_result: Callable[..., Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    ct = make_ct().write()
    shifted = make_ct("shifted", origin_lps_mm=(10.0, -20.0, 31.0)).write()
    volume = LabelVolume(voxels=some_labels(), geometry=read_ct(ct).volume.geometry)
    path = tmp_path / "labels.nii.gz"
    write_volume(path, volume)

    said = refused(path, shifted, capsys, "--numbering", "fracseg")

    assert "does not lie on the slices of the CT" in said
    assert export(path, ct, "--numbering", "fracseg")[0] == 0
    assert "only its grid was compared" in capsys.readouterr().err


def test_a_ct_whose_slices_were_resampled_is_refused(
    make_ct: Callable[..., SeriesMaker],
    make_result: Callable[..., Path],
    capsys: pytest.CaptureFixture[str],
) -> None:
    leaning = make_ct("leaning", shift_mm_per_slice=(0.3, 0.0, 0.0)).write()
    shape = read_ct(leaning).volume.geometry.shape

    said = refused(make_result(leaning, np.ones(shape, np.uint16)), leaning, capsys)

    assert "tilted or uneven" in said
    assert "Export seg.nrrd" in said


def test_a_ct_without_a_frame_of_reference_is_refused(
    make_ct: Callable[..., SeriesMaker],
    make_result: Callable[..., Path],
    capsys: pytest.CaptureFixture[str],
) -> None:
    ct = make_ct(fields={"FrameOfReferenceUID": ""}).write()

    assert "The CT has no FrameOfReferenceUID" in refused(make_result(ct), ct, capsys)


def test_what_does_not_go_together_is_said_in_one_sentence(
    make_ct: Callable[..., SeriesMaker],
    make_result: Callable[..., Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    ct = make_ct().write()
    result = make_result(ct)
    volume_file = tmp_path / "ct.nii.gz"
    write_volume(volume_file, read_ct(ct).volume)
    plan = tmp_path / "plan.json"

    assert "Name their folder with --ct" in refused(result, None, capsys)
    assert "The CT was not found" in refused(result, tmp_path / "nowhere", capsys)
    assert "The CT is no DICOM series" in refused(result, volume_file, capsys)
    assert "not where a plan moves them" in refused(result, ct, capsys, "--poses", str(plan))
    out = str(tmp_path / "out")
    assert run(["export", str(result), out, "--format", "stl", "--ct", str(ct)]) == 2
    assert "Only a DICOM SEG refers to the CT" in " ".join(capsys.readouterr().err.split())


def test_an_empty_segmentation_is_refused_and_an_empty_segment_left_out(
    make_ct: Callable[..., SeriesMaker],
    make_result: Callable[..., Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    ct = make_ct().write()
    empty = make_result(ct, np.zeros(SHAPE, np.uint16), "empty")
    assert "holds no fragment" in refused(empty, ct, capsys)

    labels = np.where(some_labels() == 51, 51, 0).astype(np.uint16)
    volume = LabelVolume(voxels=labels, geometry=read_ct(ct).volume.geometry)
    path = tmp_path / "half.seg.nrrd"
    write_layered_seg_nrrd(path, one_layer(volume, segments(some_labels())))
    status, out = export(path, ct)

    assert status == 0
    assert "fragment 2 is empty" in capsys.readouterr().err
    assert len(pydicom.dcmread(out / "fragments.dcm").SegmentSequence) == 1
