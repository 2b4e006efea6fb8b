"""`fracseg info`: what is at a path, in plain words, and whether it can be used."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from FractureSegmentationLib.cli.main import run
from FractureSegmentationLib.geometry import Geometry
from FractureSegmentationLib.io.sitk import write_volume
from FractureSegmentationLib.volume import Volume
from Testing.unit.io.dicom_series import SeriesMaker

Maker = Callable[..., SeriesMaker]


@pytest.fixture
def series_maker(tmp_path: Path) -> Maker:
    def make(name: str = "series", **changes: Any) -> SeriesMaker:
        return SeriesMaker(folder=tmp_path / name, **changes)

    return make


@pytest.fixture
def info(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, list[str], str]]:
    """Runs the command; gives its exit status, its lines, and what it says on stderr."""

    def call(*arguments: object) -> tuple[int, list[str], str]:
        status = run(["info", *map(str, arguments)])
        printed = capsys.readouterr()
        return status, printed.out.splitlines(), printed.err

    return call


def test_a_usable_series_is_told_in_full(series_maker: Maker, info: Callable) -> None:
    folder = series_maker(fields={"ConvolutionKernel": "B70f"}).write()

    assert info(folder) == (
        0,
        [
            "Usable:    yes",
            "Series 1:  CT, 12 images, 10 x 8 pixels, of 0.75 mm, slices 2 mm thick, kernel B70f",
            "           usable; segment takes this one",
            "           slices 2.00 mm apart, -1000 to 711 HU",
            "Kind:      DICOM series",
            "Voxels:    10 x 8 x 12 (columns x rows x slices)",
            "Spacing:   0.750 x 0.500 x 2.000 mm",
            "Axes:      Left, Posterior, Superior (columns, rows, slices run towards)",
            "HU:        -1000 to 711",
            "Looks for: sacrum, left hip bone, right hip bone, left femur, right femur",
        ],
        "",
    )


def test_every_series_of_a_folder_is_told_with_its_verdict(
    series_maker: Maker, info: Callable
) -> None:
    folder = series_maker("disc/a", shape=(11, 8, 10)).write().parent
    series_maker("disc/b", fields={"SliceThickness": 5.0}).write()
    series_maker("disc/c", shape=(1, 8, 10), fields={"Modality": "DX"}).write()
    series_maker("disc/d", slice_positions_mm=[2.0 * k + 5.0 * (k > 7) for k in range(10)]).write()

    status, lines, errors = info(folder)

    assert status == 0
    assert errors == ""
    assert lines[:12] == [
        "Usable:    yes",
        "Series 1:  CT, 11 images, 10 x 8 pixels, of 0.75 mm, slices 2 mm thick",
        "           usable",
        "           slices 2.00 mm apart, -1000 to 710 HU",
        "Series 2:  CT, 12 images, 10 x 8 pixels, of 0.75 mm, slices 5 mm thick",
        "           usable; segment takes this one",
        "           slices 2.00 mm apart, -1000 to 711 HU",
        "Series 3:  DX, 1 image, 10 x 8 pixels, of 0.75 mm, slices 2 mm thick",
        "           cannot be used: is not a CT (its modality is DX); has 1 slice where at least "
        "10 are needed",
        "Series 4:  CT, 10 images, 10 x 8 pixels, of 0.75 mm, slices 2 mm thick",
        "           cannot be used: has uneven steps from 2.00 to 7.00 mm: the largest is between "
        "slices 8 and 9 of 10",
        "Kind:      DICOM series",
    ]
    assert lines[-1] == (
        "Warning:   The slices are 5.0 mm thick; above 3 mm fine fragments and hairline fractures "
        "are missed."
    )


def test_another_series_can_be_asked_after(series_maker: Maker, info: Callable) -> None:
    folder = series_maker("disc/a", shape=(11, 8, 10)).write().parent
    series_maker("disc/b").write()

    status, lines, _ = info(folder, "--series", 1)

    assert status == 0
    assert lines[2] == "           usable; segment takes this one"
    assert "Voxels:    10 x 8 x 11 (columns x rows x slices)" in lines


def test_an_open_choice_is_told_with_every_series(series_maker: Maker, info: Callable) -> None:
    folder = series_maker("disc/a").write().parent
    series_maker("disc/b").write()

    status, lines, errors = info(folder)

    assert status == 2
    assert lines[0] == "Usable:    no"
    assert lines[2] == lines[5] == "           usable"
    assert "equally many slices" in errors
    assert "--series" in errors


def test_a_resampled_series_says_so(series_maker: Maker, info: Callable) -> None:
    status, lines, _ = info(series_maker(shift_mm_per_slice=(0.0, 0.5, 0.0)).write())

    assert status == 0
    assert lines[-1] == (
        "Warning:   The slices are sheared by a gantry tilt of 14.0 degrees; they were shifted in "
        "their planes onto a straight grid."
    )


def test_impossible_values_are_told_of_the_series_that_has_them(
    series_maker: Maker, info: Callable
) -> None:
    maker = series_maker(fields={"PixelRepresentation": 0, "RescaleIntercept": 31_000})

    status, lines, errors = info(maker.write())

    assert status == 2
    assert lines[2].startswith("           cannot be used: The values from 31024 to ")
    assert "cannot be Hounsfield units" in errors


def test_a_damaged_file_among_series_is_told_and_they_are_still_listed(
    series_maker: Maker, info: Callable
) -> None:
    folder = series_maker().write()
    (folder / "slice_012.dcm").write_bytes(b"garbage" * 40)

    status, lines, errors = info(folder)

    assert status == 2
    assert lines == [
        "Usable:    no",
        "Series 1:  CT, 12 images, 10 x 8 pixels, of 0.75 mm, slices 2 mm thick",
        "           usable",
        "           slices 2.00 mm apart, -1000 to 711 HU",
    ]
    assert errors.startswith("Error: 1 DICOM file of the folder is damaged or truncated. Copy")


def test_one_file_of_a_series_tells_of_its_series(series_maker: Maker, info: Callable) -> None:
    folder = series_maker().write()
    series_maker("series", shape=(1, 6, 6), file_name=lambda _: "other.dcm").write()

    status, lines, _ = info(folder / "slice_004.dcm")

    assert status == 0
    assert [line for line in lines if line.startswith("Series")] == [
        "Series 2:  CT, 12 images, 10 x 8 pixels, of 0.75 mm, slices 2 mm thick"
    ]


@pytest.mark.parametrize("ending", ["nii.gz", "nrrd", "mha"])
def test_an_image_file_is_told(tmp_path: Path, info: Callable, ending: str) -> None:
    voxels = np.zeros((12, 11, 10), np.int16)
    voxels[4:6, 4:6, 4:6] = 900
    voxels[4, 4, 4] = -3
    path = tmp_path / f"ct.{ending}"
    geometry = Geometry(shape=voxels.shape, spacing_mm=(4.0, 0.5, 0.5))
    write_volume(path, Volume(voxels=voxels, geometry=geometry))

    status, lines, _ = info(path)

    assert status == 0
    assert lines[0] == "Usable:    yes"
    assert "HU:        -3 to 900" in lines
    assert "Content:   bone only, everything else is 0 HU" in lines
    assert lines[-1].startswith("Warning:   The slices are 4.0 mm apart")


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("ct.nii.gz", b"garbage", "damaged"),
        ("ct.dcm", b"garbage", "damaged"),
        ("ct.txt", b"hello", "no known kind"),
        (None, None, "not found"),
    ],
)
def test_what_is_no_ct_is_told_in_one_sentence(
    tmp_path: Path, info: Callable, name: str | None, content: bytes | None, words: str
) -> None:
    if name is not None and content is not None:
        (tmp_path / name).write_bytes(content)

    status, lines, errors = info(tmp_path / (name or "nothing"))

    assert status == 2
    assert lines == ["Usable:    no"]
    assert words in errors
    assert errors.count("\n") == 1


def test_an_empty_folder_is_told(tmp_path: Path, info: Callable) -> None:
    assert info(tmp_path) == (
        2,
        ["Usable:    no"],
        "Error: The folder holds no DICOM image. Give the folder of a CT series, or an image "
        "file.\n",
    )


def test_json_holds_the_same_for_programs(series_maker: Maker, info: Callable) -> None:
    folder = series_maker("disc/a").write().parent
    series_maker("disc/mr", fields={"Modality": "MR"}).write()

    status, lines, _ = info(folder, "--json")
    report = json.loads("\n".join(lines))

    assert status == 0
    assert report["usable"] is True
    assert report["hu_max"] == 711.0
    assert [one["taken"] for one in report["series"]] == [True, False]
    assert report["series"][0]["hu_range"] == [-1000.0, 711.0]
    assert report["series"][0]["geometry"]["spacing_kji_mm"] == [2.0, 0.5, 0.75]
    assert report["series"][1]["problems"] == ["is not a CT (its modality is MR)"]


def test_json_tells_what_is_wrong_and_the_exit_status_too(
    series_maker: Maker, info: Callable
) -> None:
    status, lines, errors = info(series_maker(shape=(9, 8, 10)).write(), "--json")
    report = json.loads("\n".join(lines))

    assert status == 2
    assert report["usable"] is False
    assert report["problem"] == "The series has 9 slices where at least 10 are needed."
    assert report["remedy"]
    assert report["problem"] in errors


def test_no_patient_data_and_no_path_is_told(series_maker: Maker, info: Callable) -> None:
    series_maker("Jane Doe/a", shape=(9, 8, 10)).write()
    folder = series_maker("Jane Doe/b").write().parent

    for arguments in ([folder], [folder, "--json"]):
        _, lines, errors = info(*arguments)
        for secret in ("SECRET", "Secret", "Jane", "1.2.3"):
            assert secret not in "\n".join(lines) + errors
