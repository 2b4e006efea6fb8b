"""The hard DICOM files of the shared data, one by one: read right, or refused for a reason."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from pydicom.uid import generate_uid
from scipy.ndimage import map_coordinates

from FractureSegmentationLib.errors import InputError
from FractureSegmentationLib.geometry import Geometry
from FractureSegmentationLib.io.dicom.files import read_headers
from FractureSegmentationLib.io.dicom.pixels import read_plane
from FractureSegmentationLib.io.dicom.series import SeriesInfo, list_series
from FractureSegmentationLib.io.dicom.volume import judge_series, read_series, read_stack
from FractureSegmentationLib.volume import Volume

LOSSY = {
    # Worst error in HU inside the body, measured once; 8-bit JPEG has steps of 32 HU.
    "JPEGProcess1": 65,
    "JPEGProcess2_4": 36,
    "JPEGProcess6_8": 36,
    "JPEGProcess10_12": 36,
    "JPEGLSLossy": 36,
    "JPEG2000": 36,
}
LOSSLESS = (
    "",
    "BigEndianExplicit",
    "DeflatedExplicitVRLittleEndian",
    "JPEG2000LosslessOnly",
    "JPEGLSLossless",
    "JPEGProcess14SV1",
    "JPEGProcess14",
    "LittleEndianExplicit",
    "LittleEndianImplicit",
    "RLELossless",
)


def _series(data: Path, name: str) -> SeriesInfo:
    (found,) = list_series(data / "dicom" / name)
    return found


def _refusal(data: Path, name: str) -> str:
    with pytest.raises(InputError) as caught:
        read_series(_series(data, name))
    assert caught.value.remedy
    return caught.value.message


def _sampled_at(path: Path, geometry: Geometry) -> np.ndarray:
    """A NIfTI file, read by nibabel, at the places of a grid in the patient; NaN outside."""
    image = nibabel.load(path)
    places_ras = geometry.to_lps(np.stack(np.indices(geometry.shape), axis=-1)) * [-1, -1, 1]
    matrix, origin = image.affine[:3, :3], image.affine[:3, 3]
    indices = (places_ras - origin) @ np.linalg.inv(matrix).T
    # Half a thousandth of a voxel is rounding in the file's header.
    indices = np.where(np.abs(indices - np.rint(indices)) < 5e-4, np.rint(indices), indices)
    values = np.asarray(image.dataobj, float)
    return map_coordinates(values, np.moveaxis(indices, -1, 0), order=1, cval=np.nan)


def test_pure_tilt_is_straightened_and_four_slices_are_too_few(real_data: Path) -> None:
    """Tilt 14 degrees that no tag names; 5 mm of table are 5·cos 14 = 4.851 mm along the normal.

    The first axis points left, the second has cosines (0, 0.9703, -0.2419), so slices shift by
    5·sin 14 = 1.2096 mm, 2.894 pixels, against growing rows: 8.68 over three steps, 9 rows more.
    """
    message = _refusal(real_data, "dicom2nifti_failing/gantrytilting/001")
    assert "tilted" in message
    assert "14.0 degrees" in message
    assert "4 slices" in message

    stack = judge_series(_series(real_data, "dicom2nifti_failing/gantrytilting/001")).stack
    volume, notes = read_stack(stack)

    assert volume.geometry.shape == (4, 521, 512)
    assert volume.geometry.spacing_mm == pytest.approx((4.8515, 0.41796875, 0.41796875), abs=1e-4)
    assert notes == (
        "The slices are sheared by a gantry tilt of 14.0 degrees; they were shifted in their "
        "planes onto a straight grid.",
    )
    _check_that_pixels_lie_where_their_slice_says(volume, stack.slices)


def _check_that_pixels_lie_where_their_slice_says(volume: Volume, slices: tuple) -> None:
    """Looks every stored pixel up in the volume, at its place by the header of its slice."""
    for header in slices:
        stored = pydicom.dcmread(header.path)
        row_mm, column_mm = (float(x) for x in stored.PixelSpacing)
        i_axis, j_axis = np.array(stored.ImageOrientationPatient, float).reshape(2, 3)
        rows, columns = (n[20:-20, 20:-20] for n in np.indices(stored.pixel_array.shape))
        places = (
            np.array(stored.ImagePositionPatient, float)
            + rows[..., None] * row_mm * j_axis
            + columns[..., None] * column_mm * i_axis
        )
        indices = np.moveaxis(volume.geometry.to_index(places), -1, 0)
        found = map_coordinates(volume.voxels.astype(float), indices, order=1, mode="nearest")
        meant = stored.pixel_array[20:-20, 20:-20] * float(stored.RescaleSlope)
        meant = np.maximum(meant + float(stored.RescaleIntercept), -1024)
        here = np.abs(found - meant).mean()
        for axis in (1, 2):
            moved = indices.copy()
            moved[axis] += 1.0
            there = map_coordinates(volume.voxels.astype(float), moved, order=1, mode="nearest")
            assert here < 0.7 * np.abs(there - meant).mean()


def test_tilt_with_a_missing_slice_becomes_the_volume_of_the_nifti_beside_it(
    real_data: Path,
) -> None:
    """Steps of 0.75, 0.75 and 1.50 mm along the normal: at most 3 mm, so interpolated.

    The NIfTI is another program's interpolation on a grid of 0.778 mm along the same normal, empty
    (0) in its first slice, which lies before the first image. Two interpolations of a noisy
    picture differ a little everywhere; that the places are right shows in that the agreement is
    far worse one voxel away along any axis.
    """
    message = _refusal(real_data, "dicom2nifti_failing/sliceincrement/002")
    assert "tilted" in message
    assert "15.5 degrees" in message
    assert "uneven steps from 0.75 to 1.50 mm: the largest is between slices 3 and 4" in message
    assert "4 slices" in message

    stack = judge_series(_series(real_data, "dicom2nifti_failing/sliceincrement/002")).stack
    volume, notes = read_stack(stack)
    truth = _sampled_at(
        real_data / "dicom/dicom2nifti_failing/sliceincrement/002_ground_truth.nii.gz",
        volume.geometry,
    )

    assert len(notes) == 2
    assert volume.geometry.shape == (5, 514, 512)
    inner = np.s_[1:4, 10:-10, 10:-10]
    here = np.nanmedian(np.abs(truth - volume.voxels)[inner])
    assert here < 20
    for axis in (1, 2):
        for step in (-1, 1):
            there = np.nanmedian(np.abs(truth - np.roll(volume.voxels, step, axis))[inner])
            assert there > 1.8 * here
    for k, other in ((1, 0), (1, 2), (2, 1)):
        same = np.nanmedian(np.abs(truth[k] - volume.voxels[k])[10:-10, 10:-10])
        there = np.nanmedian(np.abs(truth[k] - volume.voxels[other])[10:-10, 10:-10])
        assert there > 1.4 * same
    _check_that_pixels_lie_where_their_slice_says(volume, stack.slices)


@pytest.mark.parametrize("truth", ["001_ground_truth", "001_ground_truth_reoriented"])
def test_two_slices_of_an_mr_lie_where_the_nifti_beside_them_says(
    real_data: Path, truth: str
) -> None:
    """Refused as MR of two slices; its geometry is right, to the voxel."""
    message = _refusal(real_data, "dicom2nifti_failing/slicecount/001")
    assert message.index("not a CT (its modality is MR)") < message.index("2 slices")

    volume, notes = read_stack(
        judge_series(_series(real_data, "dicom2nifti_failing/slicecount/001")).stack
    )

    path = real_data / f"dicom/dicom2nifti_failing/slicecount/{truth}.nii.gz"
    np.testing.assert_array_equal(_sampled_at(path, volume.geometry), volume.voxels)
    assert notes == ()


def test_steps_of_five_and_ten_millimetres_are_refused(real_data: Path) -> None:
    message = _refusal(real_data, "dicom2nifti_failing/sliceincrement/001")

    assert "uneven steps from 5.00 to 10.00 mm: the largest is between slices 3 and 4" in message
    assert message.index("uneven") < message.index("4 slices")


def test_four_different_images_at_one_position_are_refused(real_data: Path) -> None:
    message = _refusal(real_data, "dicom2nifti_failing/notavolume/001")

    assert "3 duplicate positions" in message
    assert "4 slices" in message


def test_two_orientations_in_one_series_are_refused_with_all_else(real_data: Path) -> None:
    message = _refusal(real_data, "dicom2nifti_failing/sliceorientation/001")

    words = ("different orientations", "different pixel spacings", "not a CT", "4 slices")
    places = [message.index(word) for word in words]
    assert places == sorted(places)


def test_what_simpleitk_makes_even_is_refused_for_its_steps_of_seven_millimetres(
    real_data: Path,
) -> None:
    """28 slices: 14 of 4 mm, then 14 of 7 mm with a step of 1.08 mm between, all tilted."""
    folder = real_data / "dicom/gantry_tilt_variable_step/GE"
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    was_shown = sitk.ProcessObject.GetGlobalWarningDisplay()
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    theirs = reader.Execute()
    sitk.ProcessObject.SetGlobalWarningDisplay(was_shown)
    assert theirs.GetSpacing()[2] == pytest.approx(5.627, abs=1e-3)

    message = _refusal(real_data, "gantry_tilt_variable_step/GE")

    assert "18.5 degrees" in message
    assert "up to 48.2 mm (slice 28 of 28)" in message
    assert "uneven steps from 1.08 to 7.00 mm: the largest is between slices 15 and 16" in message


def test_the_even_part_of_that_series_is_straightened(real_data: Path) -> None:
    """Its first 14 slices: 4.22 mm of table and 18.5 degrees are 4.002 mm along the normal."""
    whole = _series(real_data, "gantry_tilt_variable_step/GE")
    part = SeriesInfo(
        number=1,
        uid=whole.uid,
        images=tuple(i for i in whole.images if int(i.path.stem) <= 14),
    )

    volume, notes = read_series(part)

    assert volume.geometry.spacing_mm == pytest.approx((4.002, 0.4882812, 0.4882812), abs=1e-3)
    assert ["18.5 degrees" in note for note in notes] == [True]
    _check_that_pixels_lie_where_their_slice_says(volume, judge_series(part).stack.slices)


def _syntaxes(data: Path) -> dict[str, Path]:
    """File by transfer syntax; the original is ""."""
    return {
        path.name.removeprefix("CTImage.dcm").lstrip("_").rpartition("TransferSyntax_")[0]: path
        for path in (data / "dicom/transfer_syntaxes").iterdir()
    }


@pytest.fixture(scope="module")
def original(real_data: Path) -> np.ndarray:
    """The slice itself. Its padding, stored -2000, is -3024 HU after the intercept of -1024."""
    (header,) = read_headers(_syntaxes(real_data)[""])
    plane = read_plane(header, "The slice")
    assert (plane.min(), plane.max(), plane.dtype) == (-3024, 1378, np.int16)
    return plane


def _copied_ten_times(path: Path, folder: Path) -> Path:
    """A series of ten slices, 5 mm apart, whose coded pixels are those of one file."""
    folder.mkdir()
    data = pydicom.dcmread(path)
    x, y, z = (float(value) for value in data.ImagePositionPatient)
    for k in range(10):
        data.ImagePositionPatient = [x, y, z + 5.0 * k]
        data.SOPInstanceUID = data.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        data.save_as(folder / f"{k}.dcm")
    return folder


def test_the_sixteen_transfer_syntaxes_are_all_there(real_data: Path) -> None:
    assert set(_syntaxes(real_data)) == {*LOSSLESS, *LOSSY}


@pytest.mark.parametrize("name", LOSSLESS)
def test_a_lossless_transfer_syntax_gives_identical_hounsfield_units(
    real_data: Path, tmp_path: Path, original: np.ndarray, name: str
) -> None:
    folder = _copied_ten_times(_syntaxes(real_data)[name], tmp_path / "series")

    volume, notes = read_series(list_series(folder)[0])

    assert volume.geometry.spacing_mm == pytest.approx((5.0, 0.675781, 0.675781))
    assert volume.voxels.dtype == np.int16
    assert all(np.array_equal(plane, original) for plane in volume.voxels)
    assert notes == ()


@pytest.mark.parametrize("name", LOSSY)
def test_a_lossy_transfer_syntax_is_read_with_a_warning(
    real_data: Path,
    tmp_path: Path,
    original: np.ndarray,
    name: str,
    capfd: pytest.CaptureFixture[str],
) -> None:
    folder = _copied_ten_times(_syntaxes(real_data)[name], tmp_path / "series")

    volume, notes = read_series(list_series(folder)[0])

    assert "".join(capfd.readouterr()) == ""
    body = original > -900
    error = np.abs(volume.voxels[9].astype(float) - original)[body]
    assert 0 < error.max() <= LOSSY[name]
    assert notes == ("The series was compressed with loss; fine fracture lines may be blurred.",)


@pytest.mark.parametrize("name", ["JPEGProcess1", "JPEGProcess2_4", "JPEGLSLossy"])
def test_a_lossy_transfer_syntax_is_warned_of_even_if_the_header_denies_it(
    real_data: Path, tmp_path: Path, name: str
) -> None:
    data = pydicom.dcmread(_syntaxes(real_data)[name])
    del data.LossyImageCompression
    data.save_as(tmp_path / "slice.dcm")

    assert [header.is_lossy for header in read_headers(tmp_path / "slice.dcm")] == [True]


@pytest.mark.parametrize(
    "syntax",
    [
        "1.2.840.10008.1.2.4.100",  # MPEG2: no decoder here
        "1.2.840.10008.1.2.4.57",  # lossless JPEG, which these pixels are not
        "1.2.840.10008.1.2.4.80",  # JPEG-LS, likewise
        "1.2.3.4.5",  # nobody's
    ],
)
def test_an_undecodable_transfer_syntax_is_refused_in_one_sentence(
    real_data: Path, tmp_path: Path, syntax: str, capfd: pytest.CaptureFixture[str]
) -> None:
    data = pydicom.dcmread(_syntaxes(real_data)["JPEG2000LosslessOnly"])
    data.file_meta.TransferSyntaxUID = syntax
    data.save_as(tmp_path / "slice.dcm", implicit_vr=False, little_endian=True)
    folder = _copied_ten_times(tmp_path / "slice.dcm", tmp_path / "series")

    with pytest.raises(InputError, match="Slice 1 of 10 is damaged, truncated or compressed in an"):
        read_series(list_series(folder)[0])

    assert "".join(capfd.readouterr()) == ""
