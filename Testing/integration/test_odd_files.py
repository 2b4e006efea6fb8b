"""Odd names and odd but legal headers are read; what cannot be read is refused at once."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk

from FractureSegmentationLib.batch.case_list import read_case_list
from FractureSegmentationLib.cli.main import run
from FractureSegmentationLib.errors import InputError
from FractureSegmentationLib.io.read import read_ct, read_labels

SHAPE = (12, 14, 16)
RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
NRRD = """NRRD0004
type: short
dimension: 3
space: left-posterior-superior
sizes: 16 14 12
space directions: (1,0,0) (0,1,0) (0,0,1)
kinds: domain domain domain
endian: little
encoding: raw
{extra}space origin: (0,0,0)
data file: {name}

"""
META = """ObjectType = Image
NDims = 3
BinaryData = True
BinaryDataByteOrderMSB = False
TransformMatrix = 1 0 0 0 1 0 0 0 1
Offset = 0 0 0
ElementSpacing = 1 1 1
DimSize = 16 14 12
{extra}ElementType = MET_SHORT
ElementDataFile = {name}
"""


@pytest.fixture(scope="module")
def voxels() -> np.ndarray:
    """(K, J, I) a body in air with bone in it; every voxel of it differs from its neighbours."""
    rng = np.random.default_rng(4)
    ct = np.full(SHAPE, -1000, np.int16)
    ct[2:10, 2:12, 2:14] = rng.integers(-120, 90, (8, 10, 12))
    ct[4:8, 5:9, 5:11] = rng.integers(200, 900, (4, 4, 6))
    return ct


def odd(folder: Path, name: bytes) -> Path:
    """A place whose name need not be UTF-8."""
    try:
        path = Path(os.fsdecode(os.path.join(os.fsencode(folder), name)))  # noqa: PTH118
        path.touch()
        path.unlink()
    except OSError:
        pytest.skip("this file system takes UTF-8 only")
    return path


NOT_UTF8 = b"M\xfcller"


@pytest.mark.parametrize("ending", [".nii.gz", ".nii", ".nrrd", ".mha"])
@pytest.mark.parametrize("where", ["file", "folder"])
def test_a_ct_whose_name_is_not_utf8_is_read(
    tmp_path: Path, voxels: np.ndarray, ending: str, where: str
) -> None:
    plain = tmp_path / f"ct{ending}"
    sitk.WriteImage(sitk.GetImageFromArray(voxels), str(plain))
    path = odd(tmp_path, NOT_UTF8 + (ending.encode() if where == "file" else b""))
    if where == "folder":
        path.mkdir()
        path /= plain.name
    plain.rename(path)

    np.testing.assert_array_equal(read_ct(path).volume.voxels, voxels)


def labels_file(folder: Path) -> Path:
    labels = np.zeros(SHAPE, np.uint8)
    labels[3:9, 3:9, 3:12] = 51
    labels[3:9, 10:12, 3:12] = 52
    sitk.WriteImage(sitk.GetImageFromArray(labels), str(folder / "labels.nrrd"))
    return folder / "labels.nrrd"


@pytest.mark.parametrize("name", ["stl", "obj", "nifti", "seg.nrrd"])
def test_results_go_to_a_folder_whose_name_is_not_utf8(
    tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    out = odd(tmp_path, NOT_UTF8)

    status = run(["export", str(labels_file(tmp_path)), str(out), "--format", name,
                  "--numbering", "fracseg"])  # fmt: skip

    assert status == 0, capsys.readouterr().err
    assert (out / "report.json").is_file()
    assert [path.name for path in tmp_path.glob(".*fracseg*")] == []


def test_a_list_names_files_in_any_encoding(tmp_path: Path) -> None:
    """Bytes of the file system, and names that an old spreadsheet saved in its own encoding."""
    raw = odd(tmp_path, NOT_UTF8 + b".nii")
    raw.touch()
    (tmp_path / "Größe.nii").touch()
    (tmp_path / "list.csv").write_bytes(b"ct\n" + NOT_UTF8 + b".nii\nGr\xf6\xdfe.nii\nct.nii\n")

    cases = read_case_list(tmp_path / "list.csv")

    assert [case.ct for case in cases] == [raw, tmp_path / "Größe.nii", tmp_path / "ct.nii"]


Detached = tuple[str, str, str, bytes]
DETACHED: dict[str, Detached] = {
    "in the same folder": ("./x.raw", "x.raw", "", b""),
    "foreign letters": ("größe 2.raw", "größe 2.raw", "", b""),
    "a percent sign": ("50%d.raw", "50%d.raw", "", b""),
    "voxels at the end": ("x.raw", "x.raw", "at the end", b"header of its own"),
}


FORMATS = {
    "nrrd": ("nhdr", NRRD, "byte skip: -1\n"),
    "metaimage": ("mhd", META, "HeaderSize = -1\n"),
}


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("case", DETACHED)
def test_voxels_in_a_file_of_their_own_are_found(
    tmp_path: Path, voxels: np.ndarray, kind: str, case: str
) -> None:
    (ending, template, skip), (named, file, at_end, before) = FORMATS[kind], DETACHED[case]
    (tmp_path / file).write_bytes(before + voxels.tobytes())
    header = tmp_path / f"ct.{ending}"
    header.write_text(template.format(name=named, extra=skip if at_end else ""), encoding="utf-8")

    np.testing.assert_array_equal(read_ct(header).volume.voxels, voxels)


@pytest.mark.parametrize("named", ["../x.raw", "/etc/x.raw", "slice%03d.raw 1 12 1", "LIST"])
def test_voxels_elsewhere_or_in_several_files_stay_refused(tmp_path: Path, named: str) -> None:
    header = tmp_path / "ct.nhdr"
    header.write_text(NRRD.format(name=named, extra=""), encoding="utf-8")

    with pytest.raises(InputError):
        read_ct(header)


@pytest.mark.parametrize("more", [(1,), (1, 1), (1, 1, 1)])
def test_further_axes_of_one_voxel_are_left_out(
    tmp_path: Path, voxels: np.ndarray, more: tuple[int, ...]
) -> None:
    file = nib.Nifti1Image(voxels.transpose(2, 1, 0).reshape(*SHAPE[::-1], *more), RAS_TO_LPS)
    nib.save(file, tmp_path / "ct.nii.gz")

    np.testing.assert_array_equal(read_ct(tmp_path / "ct.nii.gz").volume.voxels, voxels)


def test_five_dimensions_of_several_volumes_are_refused_by_their_number(tmp_path: Path) -> None:
    file = nib.Nifti1Image(np.zeros((12, 12, 12, 1, 2), np.int16), RAS_TO_LPS)
    nib.save(file, tmp_path / "ct.nii.gz")

    with pytest.raises(InputError, match="5 dimensions"):
        read_ct(tmp_path / "ct.nii.gz")


def test_a_seg_nrrd_of_one_layer_needs_no_layer_number(tmp_path: Path) -> None:
    labels = np.zeros(SHAPE, np.uint8)
    labels[3:9, 3:9, 3:9], labels[3:9, 3:9, 10:12] = 1, 2
    image = sitk.GetImageFromArray(labels)
    for index in range(2):
        image.SetMetaData(f"Segment{index}_ID", f"Segment_{index + 1}")
        image.SetMetaData(f"Segment{index}_Name", f"piece {index + 1}")
        image.SetMetaData(f"Segment{index}_LabelValue", str(index + 1))
    sitk.WriteImage(image, str(tmp_path / "s.seg.nrrd"))

    np.testing.assert_array_equal(read_labels(tmp_path / "s.seg.nrrd").voxels, labels)
    assert (
        run(["export", str(tmp_path / "s.seg.nrrd"), str(tmp_path / "o"), "--format", "stl"]) == 0
    )
    assert len(list((tmp_path / "o").glob("*.stl"))) == 2


def _negative_voxel_size(path: Path, voxels: np.ndarray, *, has_sform: bool) -> None:
    file = nib.Nifti1Image(voxels.transpose(2, 1, 0), RAS_TO_LPS)
    file.set_sform(RAS_TO_LPS, int(has_sform))
    file.set_qform(None if has_sform else RAS_TO_LPS, int(not has_sform))
    file.to_filename(path)
    content = bytearray(path.read_bytes())
    content[80:84] = struct.pack("<f", -1.0)  # pixdim[1]
    path.write_bytes(content)


def test_a_negative_voxel_size_is_read_by_the_sform_or_named_as_the_reason(
    tmp_path: Path, voxels: np.ndarray
) -> None:
    _negative_voxel_size(tmp_path / "a.nii", voxels, has_sform=True)
    _negative_voxel_size(tmp_path / "b.nii", voxels, has_sform=False)

    np.testing.assert_array_equal(read_ct(tmp_path / "a.nii").volume.voxels, voxels)
    with pytest.raises(InputError, match="negative voxel size"):
        read_ct(tmp_path / "b.nii")


def test_the_remedy_offered_for_sheared_axes_works(tmp_path: Path, voxels: np.ndarray) -> None:
    from nibabel.processing import resample_to_output

    sheared = RAS_TO_LPS.copy()
    sheared[0, 1] = 0.2
    file = nib.Nifti1Image(voxels.transpose(2, 1, 0), sheared)
    nib.save(file, tmp_path / "sheared.nii")

    with pytest.raises(InputError, match="shears") as refused:
        read_ct(tmp_path / "sheared.nii")
    assert "nibabel.processing.resample_to_output" in refused.value.remedy
    nib.save(resample_to_output(file, (1.0, 1.0, 1.0), cval=-1000), tmp_path / "straight.nii")

    assert min(read_ct(tmp_path / "straight.nii").volume.geometry.shape) >= min(SHAPE)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
@pytest.mark.parametrize("name", ["pipe", "pipe.nii", "pipe.dcm"])
@pytest.mark.parametrize("command", ["info", "segment", "export", "evaluate"])
def test_a_named_pipe_is_refused_and_not_waited_for(
    tmp_path: Path, name: str, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    os.mkfifo(tmp_path / name)
    second = {"info": [], "evaluate": [str(labels_file(tmp_path))]}.get(command, ["out"])
    more = ["--format", "stl"] if command == "export" else []

    status = run([command, str(tmp_path / name), *second, *more])

    assert status == 2
    printed = capsys.readouterr()
    assert "pipe or a device" in " ".join((printed.out + printed.err).split())


@pytest.mark.parametrize("arguments", [["info", ""], ["segment", "", "out"], ["segment", "ct", ""]])
def test_an_empty_argument_is_not_the_current_folder(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments) == 2
    assert "An argument is empty" in capsys.readouterr().err


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize(
    "arguments", [["--help"], ["--version"], ["info", "CT"], ["info", "CT", "--json"]]
)
def test_a_full_standard_output_is_the_environments_fault(
    tmp_path: Path, voxels: np.ndarray, arguments: list[str]
) -> None:
    sitk.WriteImage(sitk.GetImageFromArray(voxels), str(tmp_path / "ct.nii"))
    given = [str(tmp_path / "ct.nii") if one == "CT" else one for one in arguments]
    command: Callable[..., subprocess.CompletedProcess[str]] = subprocess.run
    with Path("/dev/full").open("w") as full:
        done = command(
            [sys.executable, "-m", "FractureSegmentationLib.cli.main", *given],
            stdout=full, stderr=subprocess.PIPE, text=True, check=False,
        )  # fmt: skip

    assert done.returncode == 4
    assert "disk or device is full" in done.stderr
    assert "Traceback" not in done.stderr
