"""Hard DICOM input through the command line: refused in one sentence, or read and told of.

A refusal has exit status 2, one sentence and a remedy, and leaves the disk as it was: the result
that OUT holds, the input, and whatever lies beside them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate

from FractureSegmentationLib.cli.main import run
from FractureSegmentationLib.io.read import read_ct
from FractureSegmentationLib.io.sitk import write_volume
from FractureSegmentationLib.results.report import read_report
from FractureSegmentationLib.volume import LabelVolume
from Testing.unit.io.dicom_series import EnhancedMaker, SeriesMaker

CUBE = (24, 24, 24)
SECRETS = ("SECRET", "Secret", "Jane")


@pytest.fixture
def room(tmp_path: Path, tiny_models: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a place for the input, a result of ours and a neighbour."""
    monkeypatch.setenv("FRACSEG_MODELS", str(tiny_models))
    (tmp_path / "out").mkdir()
    report = {"schema": "fracseg-report/1", "reviewed": True}
    (tmp_path / "out" / "report.json").write_text(json.dumps(report), encoding="utf-8")
    (tmp_path / "neighbour.txt").write_text("mine", encoding="utf-8")
    return tmp_path


def everything(folder: Path) -> dict[str, bytes | None]:
    """All that lies in a folder, hidden files too: bytes by name, None for a folder."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in sorted(folder.rglob("*"))
    }


def series(room: Path, name: str = "Jane Doe", **changes: Any) -> SeriesMaker:
    return SeriesMaker(folder=room / name, **changes)


def fields(**values: Any) -> dict[str, Any]:
    return {"fields": values}


def at_slice(number: int, **values: Any) -> dict[str, Any]:
    """Changes one slice of a series."""

    def change(k: int, data: Dataset) -> None:
        if k == number:
            for name, value in values.items():
                setattr(data, name, value)

    return {"change": change}


def colour(_k: int, data: Dataset) -> None:
    data.SamplesPerPixel, data.PhotometricInterpretation = 3, "RGB"
    data.BitsAllocated = data.BitsStored = 8
    data.HighBit, data.PixelRepresentation, data.PlanarConfiguration = 7, 0, 0
    data.PixelData = b"\0" * (3 * data.Rows * data.Columns)


def wrapped(_k: int, data: Dataset) -> None:
    """HU stored as they are in an unsigned field: air becomes 64536."""
    hu = np.frombuffer(data.PixelData, np.int16) - 1024
    data.PixelRepresentation, data.RescaleIntercept = 0, 0
    data.PixelData = hu.astype(np.int16).tobytes()


def without_rescale(_k: int, data: Dataset) -> None:
    """Soft tissue at 1064 with a cube of bone, and nothing says that 1024 must be subtracted."""
    pixels = np.full((data.Rows, data.Columns), 1064, np.int16)
    pixels[2:4, 2:4] = 2400
    data.PixelData = pixels.tobytes()
    del data.RescaleSlope
    del data.RescaleIntercept


def jumping(k: int, data: Dataset) -> None:
    x, y, z = data.ImagePositionPatient
    data.ImagePositionPatient = [x, y + 3.0 * (k % 2), z]


REFUSED: dict[str, tuple[dict[str, Any], str, str]] = {
    "MR": (fields(Modality="MR"), "not a CT (its modality is MR)", "Give a CT"),
    "secondary capture": (
        fields(SOPClassUID="1.2.840.10008.5.1.4.1.1.7"),
        "secondary capture (a picture of a screen)",
        "Give a CT",
    ),
    "colour": ({"change": colour}, "colour pictures", "Give a CT"),
    "localizer": (
        fields(ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"]), "a localizer", "Give a CT"
    ),
    "material map": (fields(RescaleType="MGML"), "other quantities than Hounsfield", "Give a CT"),
    "one image": ({"shape": (1, 8, 10)}, "1 slice where at least 10", "at least 10 parallel"),
    "nine slices": ({"shape": (9, 8, 10)}, "9 slices where at least 10", "at least 10 parallel"),
    "steep lean": (
        {"shift_mm_per_slice": (0.0, 3.0, 0.0)}, "56.3 degrees from the straight", "without tilt"
    ),
    "uneven shear": ({"change": jumping}, "sheared unevenly", "evenly spaced"),
    "missing slice": (
        {"slice_positions_mm": [2.0 * k for k in range(13) if k != 6]},
        "uneven steps from 2.00 to 4.00 mm: the largest is between slices 6 and 7 of 12",
        "at most 3 mm",
    ),
    "mixed orientations": (
        at_slice(5, ImageOrientationPatient=[1, 0, 0, 0, 0.8, 0.6]),
        "different orientations",
        "Give a CT",
    ),
    "mixed spacings": (at_slice(5, PixelSpacing=[0.5, 0.8]), "different pixel spacings", "again"),
    "mixed sizes": (at_slice(5, Rows=4), "different sizes (4 x 10, 8 x 10)", "again"),
    "duplicates": (
        {"slice_positions_mm": [0, 2, 4, 6, 6, 8, 10, 12, 14, 16, 18, 20]},
        "1 duplicate positions: e.g. slices 4 and 5 of 12",
        "every scan or phase",
    ),
    "no position": (
        fields(ImagePositionPatient=None), "12 of 12 images without a usable position", "Give a CT"
    ),
    "unsigned wrap": ({"change": wrapped}, "from 700 to 64536 cannot be Hounsfield", "original"),
    "missing rescale": (
        {"change": without_rescale}, "from 1064 to 2400 cannot be Hounsfield", "rescale slope"
    ),
    "half a rescale": (
        at_slice(3, RescaleSlope=None, RescaleIntercept=None), "only of some images", "Give a CT"
    ),
    "many problems": (
        {"slice_positions_mm": [0, 2, 9], **fields(Modality="PT")},
        "uneven steps from 2.00 to 7.00 mm: the largest is between slices 2 and 3 of 3; it is not "
        "a CT (its modality is PT); it has 3 slices where at least 10 are needed",
        "Give a CT",
    ),
}  # fmt: skip


def check_refusal(
    room: Path, capsys: pytest.CaptureFixture[str], words: str, remedy: str, *options: str
) -> str:
    before = everything(room)

    status = run(
        ["segment", str(room / "Jane Doe"), str(room / "out"), "--overwrite", "--progress", "none",
         *options]
    )  # fmt: skip

    told = capsys.readouterr()
    assert status == 2
    assert words in told.err
    assert remedy in told.err.partition(words)[2]
    assert told.err.startswith("Error: ")
    assert told.err.count("\n") == 1
    assert told.out == ""
    assert not any(secret in told.err for secret in SECRETS)
    assert everything(room) == before
    return told.err


@pytest.mark.parametrize("name", REFUSED)
def test_a_series_that_is_no_usable_ct_is_refused_and_leaves_all_as_it_was(
    room: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    changes, words, remedy = REFUSED[name]
    series(room, **changes).write()

    check_refusal(room, capsys, words, remedy)


@pytest.mark.parametrize("name", ["steep lean", "missing slice", "duplicates", "nine slices"])
def test_frames_of_one_file_are_refused_for_the_same_reasons(
    room: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    changes, words, remedy = REFUSED[name]
    EnhancedMaker(series(room, **changes)).write()

    check_refusal(room, capsys, words, remedy)


def two_series(room: Path, **changes: Any) -> None:
    series(room, "Jane Doe/a").write()
    series(room, "Jane Doe/b", **changes).write()


def damaged_slice(room: Path) -> None:
    path = series(room).write() / "slice_004.dcm"
    path.write_bytes(path.read_bytes()[:-40])


def damaged_header(room: Path) -> None:
    (series(room).write() / "slice_004.dcm").write_bytes(b"garbage" * 40)


def unknown_coding(room: Path) -> None:
    def change(_k: int, data: Dataset) -> None:
        data.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.100"
        data.PixelData = encapsulate([data.PixelData])
        data["PixelData"].VR = "OB"

    series(room, change=change).write()


FOLDERS: dict[str, tuple[Callable[[Path], object], str, str]] = {
    "equally long": (two_series, "Several CT series have equally many slices. Series found: 1: CT",
                     "--series"),
    "two patients": (lambda room: two_series(room, shape=(20, 8, 10), **fields(PatientID="B")),
                     "CTs of different patients", "--series"),
    "damaged slice": (damaged_slice, "Slice 5 of 12 is damaged", "Copy or export"),
    "damaged header": (damaged_header, "1 DICOM file of the folder is damaged", "Copy or export"),
    "unknown coding": (unknown_coding, "compressed in an unknown way", "uncompressed"),
    "empty": (lambda room: (room / "Jane Doe").mkdir(), "holds no DICOM image", "Give the folder"),
    "absent": (lambda _room: None, "was not found", "Check the name"),
}  # fmt: skip


@pytest.mark.parametrize("name", FOLDERS)
def test_a_folder_without_one_clear_whole_series_is_refused_and_leaves_all_as_it_was(
    room: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    make, words, remedy = FOLDERS[name]
    make(room)

    check_refusal(room, capsys, words, remedy)


def test_a_series_that_is_not_there_is_refused_with_those_that_are(
    room: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    two_series(room)

    told = check_refusal(room, capsys, "No series of the folder", "--series", "--series", "7")

    assert "1: CT, 12 images" in told
    assert "2: CT, 12 images" in told


def test_the_longest_series_is_never_silently_replaced_by_a_shorter_one(
    room: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The 13 slices have a gap; the 12 would do, but only if the user says so."""
    two_series(room, slice_positions_mm=[2.0 * k for k in range(14) if k != 6])

    told = check_refusal(room, capsys, "uneven steps", "name another with --series")

    assert "because it has most slices (2: CT, 13 images" in told
    assert "1: CT, 12 images" in told.partition("--series")[2]


def test_a_program_is_told_of_a_refusal_by_its_code(
    room: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    series(room, **fields(Modality="MR")).write()
    before = everything(room)

    status = run(["segment", str(room / "Jane Doe"), str(room / "new"), "--progress", "json"])

    last = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert status == 2
    assert (last["event"], last["code"]) == ("error", "bad_input")
    assert last["message"] == "The series is not a CT (its modality is MR)."
    assert last["remedy"] == "Give a CT series of at least 10 parallel slices."
    assert everything(room) == before


def cube_of_bone(_k: int, data: Dataset) -> None:
    """A square of 500 HU in soft tissue; what lies outside a circle of 13 mm stays as it is."""
    pixels = np.frombuffer(data.PixelData, np.int16).reshape(data.Rows, data.Columns).copy()
    pixels[:] = 1064
    pixels[6:-6, 6:-6] = 1524
    data.PixelData = pixels.tobytes()


def padded(value: int) -> Callable[[int, Dataset], None]:
    def change(k: int, data: Dataset) -> None:
        cube_of_bone(k, data)
        pixels = np.frombuffer(data.PixelData, np.int16).reshape(data.Rows, data.Columns).copy()
        pixels[:2] = value
        data.PixelData = pixels.tobytes()

    return change


def bone_series(room: Path, name: str = "Jane Doe", **changes: Any) -> SeriesMaker:
    return series(
        room,
        name,
        **{"shape": CUBE, "spacing_mm": (1.0, 1.0, 1.0), "change": cube_of_bone} | changes,
    )


def sent_twice(room: Path) -> None:
    bone_series(room, "Jane Doe/a", series_uid="1.2.3.4").write()
    bone_series(room, "Jane Doe/b", series_uid="1.2.3.4", shape=(2, 24, 24)).write()


def bone_and_soft_tissue(room: Path) -> None:
    bone_series(room, "Jane Doe/a", **fields(ConvolutionKernel="B30f"), shape=(20, 24, 24)).write()
    bone_series(room, "Jane Doe/b", **fields(ConvolutionKernel="B70f")).write()


READ: dict[str, tuple[Callable[[Path], object], list[str]]] = {
    "tilt": (
        lambda room: bone_series(room, shift_mm_per_slice=(0.0, 0.25, 0.0)).write(),
        ["gantry tilt of 14.0 degrees"],
    ),
    "missing slice": (
        lambda room: bone_series(room, slice_positions_mm=[k for k in range(25) if k != 9]).write(),
        ["uneven, from 1.00 to 2.00 mm (the largest between slices 9 and 10 of 24)"],
    ),
    "uneven enhanced": (
        lambda room: EnhancedMaker(
            bone_series(room, slice_positions_mm=[k for k in range(25) if k != 9]),
            [*range(23, -1, -1)],
        ).write(),
        ["uneven, from 1.00 to 2.00 mm"],
    ),
    "thick": (
        lambda room: bone_series(room, spacing_mm=(3.5, 1.0, 1.0)).write(),
        ["slices are 3.5 mm apart"],
    ),
    "coarse": (
        lambda room: bone_series(room, spacing_mm=(2.0, 1.75, 1.75)).write(),
        ["pixels measure 1.8 mm"],
    ),
    "sent twice": (sent_twice, ["2 images repeat others at the same place"]),
    "several series": (
        bone_and_soft_tissue, ["the one with most slices was taken (2: CT, 24 images"]
    ),
    "lossy": (
        lambda room: bone_series(room, **fields(LossyImageCompression="01")).write(),
        ["compressed with loss"],
    ),
    "padding of -3024 HU": (lambda room: bone_series(room, change=padded(-2000)).write(), []),
    "padding of -2000 HU": (lambda room: bone_series(room, change=padded(-976)).write(), []),
}  # fmt: skip


@pytest.fixture
def segmented(
    room: Path, capsys: pytest.CaptureFixture[str]
) -> Iterator[Callable[[], dict[str, Any]]]:
    """Segments the input with a cube as the mask of a hip bone; gives the report."""

    def segment() -> dict[str, Any]:
        ct = read_ct(room / "Jane Doe")
        voxels = np.where(ct.volume.voxels == 500, np.uint8(2), np.uint8(0))
        mask = room / "bones.nii.gz"
        write_volume(mask, LabelVolume(voxels=voxels, geometry=ct.volume.geometry))
        arguments = ["--bones", str(mask), "--device", "cpu", "--no-meshes", "--overwrite"]
        arguments += ["--progress", "none"]
        status = run(["segment", str(room / "Jane Doe"), str(room / "out"), *arguments])
        assert status == 0, capsys.readouterr().err
        return read_report(room / "out")

    yield segment
    assert sorted(path.name for path in room.iterdir()) == [
        "Jane Doe", "bones.nii.gz", "neighbour.txt", "out"
    ]  # fmt: skip


@pytest.mark.parametrize("name", READ)
def test_what_can_be_read_honestly_is_usable_and_info_tells_what_is_done_to_it(
    room: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    make, words = READ[name]
    make(room)

    status = run(["info", str(room / "Jane Doe"), "--json"])

    told = json.loads(capsys.readouterr().out)
    assert status == 0
    assert told["hu_min"] >= -1024
    assert told["hu_max"] == 500
    assert len(told["warnings"]) == len(words)
    assert all(word in one for word, one in zip(words, told["warnings"], strict=True))


@pytest.mark.parametrize("name", ["tilt", "uneven enhanced"])
def test_a_resampled_ct_is_segmented_and_the_report_says_that_it_was_resampled(
    room: Path, segmented: Callable[[], dict[str, Any]], name: str
) -> None:
    make, words = READ[name]
    make(room)

    report = segmented()

    assert any(words[0] in warning for warning in report["warnings"])
    assert report["bones"][0]["bone"] == "left_hip"
    assert not any(secret in json.dumps(report) for secret in SECRETS)
