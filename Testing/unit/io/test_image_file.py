"""What the search with spoilt files found first, one plain test each; see the fuzz test beside."""

from __future__ import annotations

import gzip
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from FractureSegmentationLib.errors import InputError
from FractureSegmentationLib.io import image_header
from FractureSegmentationLib.io.read import read_ct

Nifti = Callable[..., bytes]
STRAIGHT = ((1.0, 0.0, 0.0, 5.0), (0.0, 1.0, 0.0, 6.0), (0.0, 0.0, 2.0, 7.0))
NRRD = {
    "type": "short",
    "dimension": "3",
    "space": "left-posterior-superior",
    "sizes": "10 11 12",
    "space directions": "(1,0,0) (0,1,0) (0,0,2)",
    "endian": "little",
    "encoding": "raw",
    "space origin": "(0,0,0)",
}
META = {
    "ObjectType": "Image",
    "NDims": "3",
    "BinaryData": "True",
    "BinaryDataByteOrderMSB": "False",
    "CompressedData": "False",
    "TransformMatrix": "1 0 0 0 1 0 0 0 1",
    "Offset": "0 0 0",
    "CenterOfRotation": "0 0 0",
    "ElementSpacing": "1 1 2",
    "DimSize": "10 11 12",
    "ElementType": "MET_SHORT",
    "ElementDataFile": "LOCAL",
}


@pytest.fixture
def nifti_content(ct_voxels: np.ndarray, nifti: Nifti) -> bytearray:
    return bytearray(nifti(ct_voxels.transpose(2, 1, 0), STRAIGHT, codes=(0, 1)))


def nrrd_content(voxels: bytes, **changes: str | None) -> bytes:
    fields = NRRD | {name.replace("_", " "): value for name, value in changes.items()}
    lines = [f"{name}: {value}" for name, value in fields.items() if value is not None]
    return "\n".join(["NRRD0004", *lines, "", ""]).encode() + voxels


def meta_content(voxels: bytes, **changes: str | None) -> bytes:
    last = changes.pop("ElementDataFile", None) or META["ElementDataFile"]
    fields = {k: v for k, v in META.items() if k != "ElementDataFile"} | changes
    lines = [f"{name} = {value}" for name, value in fields.items() if value is not None]
    return "\n".join([*lines, f"ElementDataFile = {last}", ""]).encode() + voxels


def refusal_of(path: Path, content: bytes) -> str:
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        read_ct(path)
    assert str(path.parent) not in str(caught.value)
    return caught.value.message


def test_the_files_that_the_others_are_spoilt_from_are_read(
    tmp_path: Path, ct_voxels: np.ndarray, nifti_content: bytearray
) -> None:
    files = {
        "a.nii": bytes(nifti_content),
        "a.nrrd": nrrd_content(ct_voxels.tobytes()),
        "a.mha": meta_content(ct_voxels.tobytes()),
    }
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
        ct = read_ct(tmp_path / name)
        np.testing.assert_array_equal(ct.volume.voxels, ct_voxels)
        assert ct.volume.geometry.spacing_mm == (2.0, 1.0, 1.0)
        assert ct.warnings == ()


def test_nan_in_a_nifti_file_is_air_and_not_0_hu(
    tmp_path: Path, ct_voxels: np.ndarray, nifti: Nifti
) -> None:
    """The NIfTI library behind SimpleITK makes 0 of it: soft tissue where nothing was scanned."""
    floats = ct_voxels.astype(np.float32)
    floats[0] = np.nan
    (tmp_path / "ct.nii").write_bytes(nifti(floats.transpose(2, 1, 0), STRAIGHT))

    ct = read_ct(tmp_path / "ct.nii")

    assert set(np.unique(ct.volume.voxels[0])) == {-1024}
    assert any("without a number" in warning for warning in ct.warnings)


def test_a_packed_file_is_not_mixed_up_with_its_unpacked_twin(
    tmp_path: Path, ct_voxels: np.ndarray, nifti: Nifti
) -> None:
    """The NIfTI library takes the header of `ct.nii.gz` and the voxels of `ct.nii`."""
    packed = gzip.compress(nifti(ct_voxels.transpose(2, 1, 0), STRAIGHT))
    (tmp_path / "ct.nii.gz").write_bytes(packed)
    (tmp_path / "ct.nii").write_bytes(nifti(ct_voxels[::-1].transpose(2, 1, 0), STRAIGHT))

    np.testing.assert_array_equal(read_ct(tmp_path / "ct.nii.gz").volume.voxels, ct_voxels)
    np.testing.assert_array_equal(read_ct(tmp_path / "ct.nii").volume.voxels, ct_voxels[::-1])


NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("code", "offset", "value"),
    [
        ("f", 108, NAN), ("f", 108, INF), ("f", 108, 353.5), ("f", 108, -1.0),  # first voxel
        ("h", 72, 0), ("h", 72, 8), ("h", 70, 0), ("h", 70, 99),  # bits and kind of a number
        ("h", 40, 0), ("h", 40, 99), ("h", 42, 0), ("h", 42, -10),  # dimensions
        ("h", 46, 11), ("h", 46, 13),  # fewer and more slices than there are
        ("f", 80, 0.0), ("f", 80, NAN), ("f", 80, INF),  # voxel size
        ("f", 112, 1e-30), ("f", 112, INF), ("f", 116, NAN),  # scale of the values
        ("b", 123, 7), ("b", 123, 66),  # unit of length
        ("h", 254, 9), ("h", 254, -1),  # kind of coordinates
        ("f", 280, NAN), ("f", 280, 0.0), ("f", 292, INF),  # sform
        ("i", 344, 0), ("i", 0, 0),  # magic and length of the header
    ],
)  # fmt: skip
@pytest.mark.parametrize("ending", ["nii", "nii.gz"])
def test_a_nifti_header_that_makes_no_sense_is_refused(
    tmp_path: Path, nifti_content: bytearray, code: str, offset: int, value: float, ending: str
) -> None:
    struct.pack_into(f"<{code}", nifti_content, offset, value)
    content = gzip.compress(nifti_content) if ending == "nii.gz" else bytes(nifti_content)

    assert "damaged" in refusal_of(tmp_path / f"ct.{ending}", content)


@pytest.mark.parametrize(
    ("slope", "intercept"), [(0.0, 3.0), (NAN, 0.3)], ids=["zero slope", "no slope"]
)
def test_an_intercept_without_a_slope_is_refused(
    tmp_path: Path, nifti_content: bytearray, slope: float, intercept: float
) -> None:
    """By the book there is no scale then; SimpleITK adds the intercept all the same."""
    struct.pack_into("<2f", nifti_content, 112, slope, intercept)

    assert "damaged" in refusal_of(tmp_path / "ct.nii", bytes(nifti_content))


@pytest.mark.parametrize(("slope", "intercept"), [(0.0, 0.0), (NAN, NAN), (1.0, 0.0)])
def test_no_scale_leaves_the_values_as_they_are(
    tmp_path: Path, nifti_content: bytearray, slope: float, intercept: float
) -> None:
    struct.pack_into("<2f", nifti_content, 112, slope, intercept)
    (tmp_path / "ct.nii").write_bytes(nifti_content)

    assert read_ct(tmp_path / "ct.nii").volume.voxels[3, 2, 7] == 900


def test_a_scale_is_applied(tmp_path: Path, nifti_content: bytearray) -> None:
    """Half of 900 and 10 more are 460."""
    struct.pack_into("<2f", nifti_content, 112, 0.5, 10.0)
    (tmp_path / "ct.nii").write_bytes(nifti_content)

    ct = read_ct(tmp_path / "ct.nii")

    assert ct.volume.voxels[3, 2, 7] == 460
    assert ct.volume.voxels.dtype == np.int16


@pytest.mark.parametrize(("unit", "factor"), [(1, 1000.0), (2, 1.0), (3, 0.001)])
def test_metres_and_micrometres_become_millimetres(
    tmp_path: Path, nifti_content: bytearray, unit: int, factor: float
) -> None:
    nifti_content[123] = unit
    (tmp_path / "ct.nii").write_bytes(nifti_content)

    geometry = read_ct(tmp_path / "ct.nii").volume.geometry

    assert geometry.spacing_mm == pytest.approx((2.0 * factor, factor, factor))
    assert geometry.origin_lps_mm == pytest.approx((-5.0 * factor, -6.0 * factor, 7.0 * factor))


def test_big_endian_files_are_read(tmp_path: Path, ct_voxels: np.ndarray) -> None:
    swapped = ct_voxels.astype(">i2").tobytes()
    (tmp_path / "a.nrrd").write_bytes(nrrd_content(swapped, endian="big"))
    (tmp_path / "a.mha").write_bytes(meta_content(swapped, BinaryDataByteOrderMSB="True"))

    for name in ("a.nrrd", "a.mha"):
        np.testing.assert_array_equal(read_ct(tmp_path / name).volume.voxels, ct_voxels)


@pytest.mark.parametrize("size", [None, "1", "70", "99999", "x"])
def test_packed_metaimage_voxels_need_the_right_size(
    tmp_path: Path, ct_voxels: np.ndarray, size: str | None
) -> None:
    """Without it MetaIO returns what happens to lie in memory, and no error."""
    packed = zlib.compress(ct_voxels.tobytes())
    right = meta_content(packed, CompressedData="True", CompressedDataSize=str(len(packed)))
    (tmp_path / "right.mha").write_bytes(right)
    np.testing.assert_array_equal(read_ct(tmp_path / "right.mha").volume.voxels, ct_voxels)

    wrong = meta_content(packed, CompressedData="True", CompressedDataSize=size)
    assert "damaged" in refusal_of(tmp_path / "ct.mha", wrong)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"CenterOfRotation": "0 0"}, "damaged"),  # MetaIO reads on in the next line
        ({"CenterOfRotation": "0 0", "TransformMatrix": None}, "damaged"),
        ({"DimSize": "10 11 11"}, "damaged"),
        ({"DimSize": "11 10 13"}, "damaged"),
        ({"DimSize": "10 11 -12"}, "damaged"),
        ({"ElementSpacing": "1 0 2"}, "damaged"),
        ({"ElementSpacing": "1 nan 2"}, "damaged"),
        ({"ElementSpacing": "1 1e999 2"}, "damaged"),
        ({"TransformMatrix": "1 0 0 1 0 0 0 0 1"}, "damaged"),
        ({"TransformMatrix": "1 0 0 0.5 1 0 0 0 1"}, "right angles"),
        ({"TransformMatrix": "2 0 0 0 1 0 0 0 1"}, "two different voxel sizes"),
        ({"Position": "1 2 3"}, "damaged"),
        ({"NDims": "4"}, "damaged"),
        ({"BinaryData": "False"}, "stored as text"),
        ({"DistanceUnits": "m"}, "millimetres"),
        ({"ElementToIntensityFunctionSlope": "2"}, "scaled"),
        ({"HeaderSize": "100"}, "damaged"),
        ({"ElementDataFile": "../x.raw"}, "damaged"),
        ({"ElementDataFile": "/etc/passwd"}, "damaged"),
        ({"ElementDataFile": "LIST"}, "several files"),
        ({"ElementDataFile": "a%d.raw 1 12 1"}, "several files"),
        ({"ElementDataFile": "http://example.org/x.raw"}, "damaged"),
    ],
)
def test_a_metaimage_header_that_makes_no_sense_is_refused(
    tmp_path: Path, ct_voxels: np.ndarray, change: dict[str, str | None], words: str
) -> None:
    (tmp_path.parent / "x.raw").write_bytes(ct_voxels.tobytes())
    content = meta_content(ct_voxels.tobytes(), **change)

    assert words in refusal_of(tmp_path / "ct.mha", content)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"space_directions": None}, "damaged"),  # how large its voxels are, nobody knows
        ({"space_directions": None, "spacings": "1 nan 1"}, "damaged"),
        ({"space_directions": None, "spacings": "1 -1 1"}, "damaged"),
        ({"spacings": "1 1 1"}, "damaged"),
        ({"space_directions": "(1,0,0) (1,0,0) (0,0,2)"}, "damaged"),
        ({"space_directions": "(1,0,0) (0,1,0) (0,0,0)"}, "damaged"),
        ({"space_directions": "(1,0,0) (0,1,0) (0,nan,1)"}, "damaged"),
        ({"space_directions": "(1,0,0) (0,1,0)(0,0,1)"}, "damaged"),
        ({"space_directions": "(1,0,0) none (0,0,1)"}, "not three-dimensional"),
        ({"space": "here-and-there"}, "damaged"),
        ({"sizes": "10 11 11"}, "damaged"),
        ({"sizes": "11 10 12", "dimension": "4"}, "damaged"),
        ({"sizes": "10 11 0"}, "damaged"),
        ({"endian": None}, "damaged"),
        ({"type": "block"}, "damaged"),
        ({"encoding": "hex"}, "encoded as hex"),
        ({"byte_skip": "-1"}, "damaged"),
        ({"line_skip": "1"}, "damaged"),
        ({"space_units": '"cm" "cm" "cm"'}, "millimetres"),
        ({"endian:=big": "x"}, "damaged"),
        ({"data_file": "../x.raw"}, "damaged"),
        ({"data_file": "/etc/passwd"}, "damaged"),
        ({"data_file": "LIST"}, "several files"),
        ({"data_file": "a%d.raw 1 12 1"}, "several files"),
        ({"data_file": "http://example.org/x.raw"}, "damaged"),
    ],
)
def test_an_nrrd_header_that_makes_no_sense_is_refused(
    tmp_path: Path, ct_voxels: np.ndarray, change: dict[str, str | None], words: str
) -> None:
    (tmp_path.parent / "x.raw").write_bytes(ct_voxels.tobytes())
    content = nrrd_content(ct_voxels.tobytes(), **change)
    if "endian:=big" in change:
        content = content.replace(b"endian:=big: x", b"endian:=big")

    assert words in refusal_of(tmp_path / "ct.nrrd", content)


def test_a_field_that_is_there_twice_is_refused(tmp_path: Path, ct_voxels: np.ndarray) -> None:
    """Readers differ in which of the two they take."""
    nrrd = nrrd_content(ct_voxels.tobytes()).replace(b"endian", b"sizes: 11 10 12\nendian", 1)
    meta = meta_content(ct_voxels.tobytes()).replace(b"Offset", b"DimSize = 11 10 12\nOffset", 1)

    assert "damaged" in refusal_of(tmp_path / "ct.nrrd", nrrd)
    assert "damaged" in refusal_of(tmp_path / "ct.mha", meta)


def test_a_stream_that_unpacks_to_far_more_than_promised_is_not_unpacked(
    tmp_path: Path, nifti_content: bytearray
) -> None:
    """300 MB of zeros behind a promise of 2640 bytes."""
    packer = zlib.compressobj(9, wbits=31)
    bomb = b"".join([*(packer.compress(bytes(1 << 20)) for _ in range(300)), packer.flush()])

    assert "damaged" in refusal_of(tmp_path / "ct.nrrd", nrrd_content(bomb, encoding="gzip"))
    start = gzip.compress(nifti_content)
    assert "damaged" in refusal_of(tmp_path / "ct.nii.gz", start + bomb)


def test_a_promise_that_no_stream_can_keep_is_refused_unread(
    tmp_path: Path, ct_voxels: np.ndarray
) -> None:
    packed = gzip.compress(ct_voxels.tobytes())
    content = nrrd_content(packed, encoding="gzip", sizes="1000 1000 1000")

    assert "damaged" in refusal_of(tmp_path / "ct.nrrd", content)


@pytest.mark.parametrize("sizes", ["30000 30000 30000", "999999999999 999999 99"])
def test_a_volume_beyond_every_ct_is_refused_by_its_size(
    tmp_path: Path, ct_voxels: np.ndarray, sizes: str
) -> None:
    content = nrrd_content(ct_voxels.tobytes(), sizes=sizes)

    assert "too large for this computer" in refusal_of(tmp_path / "ct.nrrd", content)


def test_a_volume_beyond_the_memory_is_refused(
    tmp_path: Path, ct_voxels: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    """2640 bytes of voxels, read and copied, want 5280."""
    monkeypatch.setattr(image_header, "_memory_bytes", lambda: 5279.0)

    message = refusal_of(tmp_path / "ct.nrrd", nrrd_content(ct_voxels.tobytes()))

    assert "too large for this computer" in message


def test_a_packed_file_that_lost_its_middle_is_refused_though_its_end_is_right(
    tmp_path: Path, ct_voxels: np.ndarray, nifti: Nifti
) -> None:
    noise = np.random.default_rng(1).integers(-20, 20, ct_voxels.shape).astype(np.int16)
    whole = gzip.compress(nifti((ct_voxels + noise).transpose(2, 1, 0), STRAIGHT))
    content = whole[:1000] + whole[1400:]

    assert "damaged" in refusal_of(tmp_path / "ct.nii.gz", content)


@pytest.mark.parametrize("kind", ["Nifti1Image", "Nifti2Image"])
@pytest.mark.parametrize("ending", ["nii", "nii.gz"])
def test_files_of_nibabel_are_read_in_both_versions_and_with_an_extension(
    tmp_path: Path, ct_voxels: np.ndarray, kind: str, ending: str
) -> None:
    """In RAS: i = (0.6, 0.8, 0), j = (-0.8, 0.6, 0), k = (0, 0, 2) mm from (10, -20, 30)."""
    nibabel = pytest.importorskip("nibabel", reason="the reference is not installed: nibabel")
    affine = np.array([[0.6, -0.8, 0, 10], [0.8, 0.6, 0, -20], [0, 0, 2, 30], [0, 0, 0, 1]])
    image = getattr(nibabel, kind)(ct_voxels.transpose(2, 1, 0), affine)
    image.header.extensions.append(nibabel.nifti1.Nifti1Extension("comment", b"a note"))
    nibabel.save(image, tmp_path / f"ct.{ending}")

    ct = read_ct(tmp_path / f"ct.{ending}")

    np.testing.assert_array_equal(ct.volume.voxels, ct_voxels)
    assert ct.warnings == ()
    # Voxel (i, j, k) = (7, 2, 3): (12.6, -13.2, 36) in RAS.
    place = ct.volume.geometry.to_lps(np.array([3, 2, 7]))
    assert place == pytest.approx([-12.6, 13.2, 36.0], abs=1e-5)
