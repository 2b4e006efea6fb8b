from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from FractureSegmentationLib.errors import InputError
from FractureSegmentationLib.geometry import Geometry
from FractureSegmentationLib.io.read import check_same_grid, read_ct, read_labels
from FractureSegmentationLib.io.sitk import write_volume
from FractureSegmentationLib.volume import LabelVolume, Volume

Maker = Callable[..., "SeriesMaker"]  # noqa: F821 -- of this folder's conftest
SHAPE = (12, 11, 10)

# Places by hand, for voxel (k, j, i) = (3, 2, 7) of spacing (2.0, 0.5, 0.75) mm and origin
# (10, -20, 30): 6 mm along k, 1 mm along j, 5.25 mm along i.
GEOMETRIES = {
    "straight": (((0, 0, 1), (0, 1, 0), (1, 0, 0)), (15.25, -19.0, 36.0)),
    "flipped": (((0, 0, -1), (0, -1, 0), (-1, 0, 0)), (4.75, -21.0, 24.0)),
    "coronal": (((0, 1, 0), (0, 0, -1), (1, 0, 0)), (15.25, -14.0, 29.0)),
    "oblique": (((0, 0, 1), (-0.8, 0.6, 0), (0.6, 0.8, 0)), (12.35, -15.2, 36.0)),
}


def _geometry(name: str) -> Geometry:
    direction = tuple(tuple(float(x) for x in axis) for axis in GEOMETRIES[name][0])
    return Geometry(
        shape=SHAPE,
        spacing_mm=(2.0, 0.5, 0.75),
        origin_lps_mm=(10.0, -20.0, 30.0),
        direction=direction,  # type: ignore[arg-type]
    )


@pytest.mark.parametrize("ending", ["nii", "nii.gz", "nrrd", "nhdr", "mha", "mhd"])
@pytest.mark.parametrize("name", GEOMETRIES)
def test_a_known_voxel_survives_every_file_format_in_every_orientation(
    tmp_path: Path, ct_voxels: np.ndarray, name: str, ending: str
) -> None:
    path = tmp_path / f"ct.{ending}"
    write_volume(path, Volume(voxels=ct_voxels, geometry=_geometry(name)))

    ct = read_ct(path)
    theirs = sitk.ReadImage(str(path))

    assert np.argwhere(ct.volume.voxels == 900).tolist() == [[3, 2, 7]]
    assert theirs[7, 2, 3] == 900
    place = ct.volume.geometry.to_lps(np.array([3, 2, 7]))
    assert place == pytest.approx(GEOMETRIES[name][1], abs=1e-4)
    # NIfTI headers hold single precision.
    assert theirs.TransformIndexToPhysicalPoint((7, 2, 3)) == pytest.approx(place, abs=1e-5)
    assert ct.volume.geometry.is_close_to(_geometry(name), tolerance_mm=1e-3)
    assert ct.volume.voxels.dtype == np.int16
    assert ct.files_read == (path,)
    assert ct.series_uid_sha == ""
    assert ct.warnings == ()


def test_a_nifti_file_made_by_the_book_is_turned_from_ras_to_lps(
    tmp_path: Path, ct_voxels: np.ndarray, nifti: Callable[..., bytes]
) -> None:
    """In RAS: i = 0.75·(0.6, 0.8, 0), j = 0.5·(-0.8, 0.6, 0), k = (0, 0, 2) from (10, -20, 30).

    Voxel (i, j, k) = (7, 2, 3): (12.35, -15.2, 36) in RAS, (-12.35, 15.2, 36) in LPS.
    """
    srow = ((0.45, -0.4, 0.0, 10.0), (0.6, 0.3, 0.0, -20.0), (0.0, 0.0, 2.0, 30.0))
    (tmp_path / "ct.nii").write_bytes(nifti(ct_voxels.transpose(2, 1, 0), srow))

    ct = read_ct(tmp_path / "ct.nii")

    assert ct.kind == "NIfTI"
    assert ct.volume.voxels[3, 2, 7] == 900
    place = ct.volume.geometry.to_lps(np.array([3, 2, 7]))
    assert place == pytest.approx([-12.35, 15.2, 36.0], abs=1e-5)


@pytest.mark.parametrize(
    ("space", "place"),
    [
        ("left-posterior-superior", (12.35, -15.2, 36.0)),
        ("right-anterior-superior", (-12.35, 15.2, 36.0)),
    ],
)
def test_an_nrrd_file_made_by_the_book_lies_where_it_says(
    tmp_path: Path, ct_voxels: np.ndarray, space: str, place: tuple[float, ...]
) -> None:
    header = (
        f"NRRD0004\ntype: short\ndimension: 3\nspace: {space}\nsizes: 10 11 12\n"
        "space directions: (0.45,0.6,0) (-0.4,0.3,0) (0,0,2)\nendian: little\n"
        "encoding: raw\nspace origin: (10,-20,30)\n\n"
    )
    (tmp_path / "ct.nrrd").write_bytes(header.encode() + ct_voxels.tobytes())

    ct = read_ct(tmp_path / "ct.nrrd")

    assert ct.volume.voxels[3, 2, 7] == 900
    assert ct.volume.geometry.to_lps(np.array([3, 2, 7])) == pytest.approx(place, abs=1e-9)


def test_a_dicom_folder_and_one_of_its_files_give_the_same_ct(series_maker: Maker) -> None:
    folder = series_maker().write()

    whole, one = read_ct(folder), read_ct(folder / "slice_007.dcm")

    np.testing.assert_array_equal(whole.volume.voxels, one.volume.voxels)
    assert whole.volume.geometry == one.volume.geometry
    assert whole.kind == "DICOM series"
    assert len(whole.files_read) == 12
    assert len(whole.series_uid_sha) == 64
    assert whole.series_uid_sha == one.series_uid_sha


def test_one_file_stands_for_its_own_series(series_maker: Maker) -> None:
    folder = series_maker().write()
    other = series_maker(shape=(11, 8, 10), file_name=lambda k: f"other{k}.dcm")
    other.write()

    assert read_ct(folder / "other3.dcm").volume.geometry.shape == (11, 8, 10)
    assert read_ct(folder).volume.geometry.shape == (12, 8, 10)


def test_the_choice_among_several_series_is_told(series_maker: Maker) -> None:
    series_maker("all/a").write()
    folder = series_maker("all/b", shape=(11, 8, 10)).write().parent

    assert any("several CT series" in warning for warning in read_ct(folder).warnings)
    assert read_ct(folder, series="2").warnings == ()
    assert read_ct(folder, series="2").volume.geometry.shape == (11, 8, 10)


def test_the_hash_of_a_series_is_not_its_uid(series_maker: Maker) -> None:
    first = read_ct(series_maker("a", series_uid="1.2.3.4").write())
    second = read_ct(series_maker("b", series_uid="1.2.3.5").write())

    assert first.series_uid_sha != second.series_uid_sha
    assert "1.2.3.4" not in repr(replace(first, files_read=()))


def test_names_with_spaces_and_foreign_letters_are_read(
    tmp_path: Path, ct_voxels: np.ndarray, series_maker: Maker
) -> None:
    path = tmp_path / "Becken größer 骨.nii.gz"
    write_volume(path, Volume(voxels=ct_voxels, geometry=_geometry("straight")))

    assert read_ct(path).volume.voxels[3, 2, 7] == 900
    assert read_ct(series_maker("Serie 骨 1").write()).volume.voxels[3, 2, 5] == 703


@pytest.mark.parametrize("name", ["missing.nii.gz", "missing", "missing/ct.nrrd"])
def test_a_missing_input_is_refused_without_its_path(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="not found") as caught:
        read_ct(tmp_path / name)

    assert "missing" not in str(caught.value)
    with pytest.raises(InputError, match="not found"):
        read_labels(tmp_path / name)


@pytest.mark.parametrize("name", ["ct.tif", "ct.txt", "ct", "ct.nii.zip"])
def test_a_file_of_an_unknown_kind_is_refused_with_the_known_ones(
    tmp_path: Path, name: str
) -> None:
    (tmp_path / name).write_bytes(b"something")

    with pytest.raises(InputError, match=r"no known kind.*\.nii\.gz"):
        read_ct(tmp_path / name)
    with pytest.raises(InputError, match="no known kind"):
        read_labels(tmp_path / name)


@pytest.mark.parametrize("ending", ["nii", "nii.gz", "nrrd", "nhdr", "mha", "mhd"])
@pytest.mark.parametrize("share", [0.0, 0.5, 0.98])
def test_a_truncated_file_is_refused(
    tmp_path: Path, ct_voxels: np.ndarray, ending: str, share: float
) -> None:
    noise = np.random.default_rng(2).integers(-20, 20, SHAPE)
    voxels = (ct_voxels + noise).astype(np.int16)
    path = tmp_path / f"ct.{ending}"
    write_volume(path, Volume(voxels=voxels, geometry=_geometry("straight")))
    holder = {"nhdr": tmp_path / "ct.raw.gz", "mhd": tmp_path / "ct.zraw"}.get(ending, path)
    content = holder.read_bytes()
    holder.write_bytes(content[: int(share * len(content))])

    with pytest.raises(InputError, match="damaged"):
        read_ct(path)


@pytest.mark.parametrize("ending", ["nii.gz", "nrrd", "nhdr", "mha", "mhd"])
@pytest.mark.parametrize("share", [0.4, 0.7, 0.9])
def test_one_changed_byte_in_compressed_voxels_is_noticed(
    tmp_path: Path, ct_voxels: np.ndarray, ending: str, share: float
) -> None:
    noise = np.random.default_rng(2).integers(-20, 20, (40, *SHAPE[1:]))
    voxels = (np.resize(ct_voxels, noise.shape) + noise).astype(np.int16)
    geometry = replace(_geometry("straight"), shape=noise.shape)
    path = tmp_path / f"ct.{ending}"
    write_volume(path, Volume(voxels=voxels, geometry=geometry))
    holder = {"nhdr": tmp_path / "ct.raw.gz", "mhd": tmp_path / "ct.zraw"}.get(ending, path)
    content = bytearray(holder.read_bytes())
    content[int(share * len(content))] ^= 0x10
    holder.write_bytes(content)

    with pytest.raises(InputError, match="damaged"):
        read_ct(path)


@pytest.mark.parametrize("ending", ["nii", "nii.gz", "nrrd", "mha", "dcm"])
def test_garbage_under_a_known_name_is_refused(tmp_path: Path, ending: str) -> None:
    (tmp_path / f"ct.{ending}").write_bytes(b"garbage" * 1000)

    with pytest.raises(InputError, match="damaged"):
        read_ct(tmp_path / f"ct.{ending}")


@pytest.mark.parametrize(
    ("image", "reason"),
    [
        (sitk.Image([20, 20], sitk.sitkInt16), "two dimensions"),
        (sitk.Image([20, 20, 1], sitk.sitkInt16), "two dimensions"),
        (sitk.Image([20, 20, 9], sitk.sitkInt16), "9 slices"),
        (sitk.Image([9, 20, 20], sitk.sitkInt16), "9 slices"),
        (sitk.Image([12, 12, 12, 3], sitk.sitkInt16), "4 dimensions"),
        (sitk.Image([12, 12, 12], sitk.sitkVectorUInt8, 3), "several values per voxel"),
        (sitk.Image([12, 12, 12], sitk.sitkVectorFloat32, 2), "several values per voxel"),
        (sitk.Image([12, 12, 12], sitk.sitkComplexFloat32), "several values per voxel"),
    ],
)
def test_what_is_no_scalar_volume_is_refused(
    tmp_path: Path, image: sitk.Image, reason: str
) -> None:
    sitk.WriteImage(image, str(tmp_path / "ct.nrrd"))

    with pytest.raises(InputError, match=reason):
        read_ct(tmp_path / "ct.nrrd")


def test_a_sequence_of_one_volume_is_that_volume(tmp_path: Path, ct_voxels: np.ndarray) -> None:
    image = sitk.JoinSeries(sitk.GetImageFromArray(ct_voxels))
    sitk.WriteImage(image, str(tmp_path / "ct.nrrd"))

    assert read_ct(tmp_path / "ct.nrrd").volume.voxels[3, 2, 7] == 900


@pytest.mark.parametrize("codes", [(0, 1), (1, 1)])
def test_a_sheared_nifti_file_is_refused_even_if_its_qform_is_straight(
    tmp_path: Path, ct_voxels: np.ndarray, nifti: Callable[..., bytes], codes: tuple[int, int]
) -> None:
    """With a straight qform beside it, ITK takes that one and says nothing of the shear."""
    srow = ((1.0, 0.0, 0.3, 0.0), (0.0, 1.0, 0.0, 0.0), (0.0, 0.0, 1.0, 0.0))
    (tmp_path / "ct.nii").write_bytes(nifti(ct_voxels.transpose(2, 1, 0), srow, codes=codes))

    with pytest.raises(InputError, match="not at right angles"):
        read_ct(tmp_path / "ct.nii")


def test_a_nifti_file_with_two_voxel_sizes_is_refused(
    tmp_path: Path, ct_voxels: np.ndarray, nifti: Callable[..., bytes]
) -> None:
    """ITK takes the spacing of one field and the directions of another."""
    content = nifti(ct_voxels.transpose(2, 1, 0), np.eye(4)[:3], pixdim=(1.0, 1.0, 1.25))
    (tmp_path / "ct.nii").write_bytes(content)

    with pytest.raises(InputError, match="two different voxel sizes"):
        read_ct(tmp_path / "ct.nii")


def test_a_sheared_nrrd_file_is_refused(tmp_path: Path, ct_voxels: np.ndarray) -> None:
    header = (
        "NRRD0004\ntype: short\ndimension: 3\nspace: left-posterior-superior\nsizes: 10 11 12\n"
        "space directions: (1,0,0) (0,1,0) (0.3,0,1)\nendian: little\nencoding: raw\n"
        "space origin: (0,0,0)\n\n"
    )
    (tmp_path / "ct.nrrd").write_bytes(header.encode() + ct_voxels.tobytes())

    with pytest.raises(InputError, match="not at right angles"):
        read_ct(tmp_path / "ct.nrrd")


def test_a_file_that_does_not_say_how_the_patient_lies_is_warned_of(
    tmp_path: Path, ct_voxels: np.ndarray, nifti: Callable[..., bytes]
) -> None:
    (tmp_path / "ct.nii").write_bytes(
        nifti(ct_voxels.transpose(2, 1, 0), np.eye(4)[:3], codes=(0, 0))
    )
    header = (
        "NRRD0004\ntype: short\ndimension: 3\nsizes: 10 11 12\nspacings: 1 1 1\n"
        "endian: little\nencoding: raw\n\n"
    )
    (tmp_path / "ct.nrrd").write_bytes(header.encode() + ct_voxels.tobytes())

    for ending in ("nii", "nrrd"):
        assert "left and right may be swapped" in read_ct(tmp_path / f"ct.{ending}").warnings[0]


def test_two_different_positions_in_one_file_are_warned_of(
    tmp_path: Path, ct_voxels: np.ndarray, nifti: Callable[..., bytes]
) -> None:
    """The qform of the file is the identity, the sform mirrors left and right."""
    srow = ((-1.0, 0.0, 0.0, 9.0), (0.0, 1.0, 0.0, 0.0), (0.0, 0.0, 1.0, 0.0))
    (tmp_path / "ct.nii").write_bytes(nifti(ct_voxels.transpose(2, 1, 0), srow, codes=(1, 1)))
    ct = read_ct(tmp_path / "ct.nii")

    # Mirrored in RAS is towards Left in LPS.
    assert ct.volume.geometry.direction[2] == (1.0, 0.0, 0.0)
    assert ct.volume.geometry.origin_lps_mm == (-9.0, 0.0, 0.0)
    assert "two different positions" in ct.warnings[0]


@pytest.mark.parametrize(
    ("spacing_mm", "words"),
    [
        ((3.0, 1.5, 1.5), []),
        ((3.0004, 1.5, 1.5), []),
        ((3.1, 1.0, 1.0), ["slices are 3.1 mm"]),
        ((1.0, 5.0, 1.0), ["slices are 5.0 mm"]),
        ((2.0, 1.6, 1.6), ["pixels measure 1.6 mm"]),
        ((3.2, 1.6, 1.6), ["slices are 3.2 mm", "pixels measure 1.6 mm"]),
    ],
)
def test_coarse_voxels_are_warned_of(
    tmp_path: Path, ct_voxels: np.ndarray, spacing_mm: tuple[float, float, float], words: list[str]
) -> None:
    geometry = Geometry(shape=SHAPE, spacing_mm=spacing_mm)
    write_volume(tmp_path / "ct.nrrd", Volume(voxels=ct_voxels, geometry=geometry))

    warnings = read_ct(tmp_path / "ct.nrrd").warnings

    assert len(warnings) == len(words)
    assert all(word in warning for word, warning in zip(words, warnings, strict=True))


def test_values_are_cleaned_and_judged(tmp_path: Path, ct_voxels: np.ndarray) -> None:
    floats = ct_voxels.astype(np.float32)
    floats[0, 0, :2] = np.nan
    floats[0, 1] = -3024
    write_volume(tmp_path / "ct.nrrd", Volume(voxels=floats, geometry=_geometry("straight")))

    ct = read_ct(tmp_path / "ct.nrrd")

    assert ct.volume.voxels.dtype == np.int16
    assert ct.volume.voxels.min() == -1024
    assert ct.warnings == ("2 voxels without a number (NaN or infinite) were taken as air.",)
    assert not ct.is_already_masked


def test_labels_given_as_ct_are_refused_with_the_range(tmp_path: Path) -> None:
    voxels = np.zeros(SHAPE, np.uint8)
    voxels[3:6] = 3
    write_volume(tmp_path / "l.nii.gz", LabelVolume(voxels=voxels, geometry=_geometry("straight")))

    with pytest.raises(InputError, match="from 0 to 3"):
        read_ct(tmp_path / "l.nii.gz")


def test_a_ct_given_as_labels_is_refused(tmp_path: Path, ct_voxels: np.ndarray) -> None:
    write_volume(tmp_path / "ct.nrrd", Volume(voxels=ct_voxels, geometry=_geometry("straight")))

    with pytest.raises(InputError, match="from -1000 to 900"):
        read_labels(tmp_path / "ct.nrrd")


def test_labels_are_read_with_their_values_and_place(tmp_path: Path) -> None:
    voxels = np.zeros(SHAPE, np.uint16)
    voxels[3, 2, 7] = 301
    labels = LabelVolume(voxels=voxels, geometry=_geometry("oblique"))
    for ending in ("nii.gz", "nrrd", "mha"):
        write_volume(tmp_path / f"l.{ending}", labels)

        read = read_labels(tmp_path / f"l.{ending}")

        assert read.values() == (301,)
        assert read.voxels[3, 2, 7] == 301
        check_same_grid(labels, read)


def test_a_thin_label_map_is_read(tmp_path: Path) -> None:
    """Labels cropped to a flat box are labels still; the ten slices are asked of a CT."""
    geometry = Geometry(shape=(3, 11, 10), spacing_mm=(1.0, 1.0, 1.0))
    labels = LabelVolume(voxels=np.ones(geometry.shape, np.uint8), geometry=geometry)
    write_volume(tmp_path / "l.nrrd", labels)

    assert read_labels(tmp_path / "l.nrrd").geometry.shape == (3, 11, 10)


@pytest.mark.parametrize(
    "change",
    [
        {"origin_lps_mm": (10.5, -20.0, 30.0)},
        {"spacing_mm": (2.02, 0.5, 0.75)},
        {"direction": ((0.0, 0.0, -1.0), (0.0, 1.0, 0.0), (1.0, 0.0, 0.0))},
        {"shape": (12, 11, 9)},
    ],
)
def test_labels_of_another_grid_are_refused(ct_voxels: np.ndarray, change: dict) -> None:
    ours = _geometry("straight")
    theirs = replace(ours, **change)
    labels = LabelVolume(voxels=np.zeros(theirs.shape, np.uint8), geometry=theirs)

    with pytest.raises(InputError, match="do not share one grid"):
        check_same_grid(Volume(voxels=ct_voxels, geometry=ours), labels)


def test_a_file_that_may_not_be_read_is_refused(
    tmp_path: Path, ct_voxels: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "ct.nii.gz"
    write_volume(path, Volume(voxels=ct_voxels, geometry=_geometry("straight")))

    def refuse(*_args: object, **_kwargs: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(InputError, match="could not be read") as caught:
        read_ct(path)

    assert str(tmp_path) not in str(caught.value)


def test_nothing_is_printed_that_names_the_file(
    tmp_path: Path,
    ct_voxels: np.ndarray,
    nifti: Callable[..., bytes],
    capfd: pytest.CaptureFixture[str],
) -> None:
    """ITK would warn of the unequal scales in this file and print its path."""
    srow = ((1.0, 0.0, 0.3, 0.0), (0.0, 1.0, 0.0, 0.0), (0.0, 0.0, 1.0, 0.0))
    path = tmp_path / "patient name.nii"
    path.write_bytes(nifti(ct_voxels.transpose(2, 1, 0), srow, codes=(1, 1)))

    with pytest.raises(InputError):
        read_ct(path)

    assert "patient name" not in "".join(capfd.readouterr())


def test_cases_of_patients_are_read(real_data: Path) -> None:
    """Case 003 has direction cosines -1, -1, 1 and spacings 0.971, 0.971, 1.0 mm."""
    ct = read_ct(real_data / "real/003/ct.nii.gz")
    fragments = read_labels(real_data / "real/003/fragments.nii.gz")

    assert ct.is_already_masked
    assert ct.warnings == ()
    assert ct.volume.voxels.dtype == np.int16
    assert ct.volume.geometry.direction == ((0, 0, 1), (0, -1, 0), (-1, 0, 0))
    assert ct.volume.geometry.spacing_mm == pytest.approx((1.0, 0.970703125, 0.970703125))
    assert fragments.values() == (1, 2, 11, 12, 21)
    check_same_grid(ct.volume, fragments)


def test_a_real_ct_with_soft_tissue_is_read_with_a_warning(real_data: Path) -> None:
    ct = read_ct(real_data / "ct_lowres/ct.nii.gz")

    assert not ct.is_already_masked
    assert ct.volume.voxels.min() == -1024
    assert [warning[:10] for warning in ct.warnings] == ["The pixels"]
