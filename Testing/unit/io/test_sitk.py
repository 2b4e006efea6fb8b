from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given
from hypothesis import strategies as st

from FractureSegmentationLib.errors import EnvironmentProblemError, InputError
from FractureSegmentationLib.geometry import Geometry
from FractureSegmentationLib.io import sitk as converter
from FractureSegmentationLib.io.sitk import (
    label_volume_from_sitk,
    volume_from_sitk,
    volume_to_sitk,
    write_volume,
)
from FractureSegmentationLib.volume import LabelVolume, Volume

# Turned about the patient's axis by the 3-4-5 triangle; k runs downwards, so it is left-handed.
OBLIQUE = Geometry(
    shape=(2, 3, 5),
    spacing_mm=(3.0, 2.0, 0.5),
    origin_lps_mm=(10.0, -20.0, 30.0),
    direction=((0.0, 0.0, -1.0), (-0.8, 0.6, 0.0), (0.6, 0.8, 0.0)),
)


def _oblique_image() -> sitk.Image:
    """Built with SimpleITK's own calls alone; voxel i=4, j=2, k=1 holds 77."""
    image = sitk.Image([5, 3, 2], sitk.sitkInt16)
    image.SetSpacing([0.5, 2.0, 3.0])
    image.SetOrigin([10.0, -20.0, 30.0])
    image.SetDirection([0.6, -0.8, 0.0, 0.8, 0.6, 0.0, 0.0, 0.0, -1.0])
    image[4, 2, 1] = 77
    return image


def test_a_known_voxel_of_an_oblique_image_lies_where_it_was_put() -> None:
    """(10, -20, 30) + 4·0.5·(0.6, 0.8, 0) + 2·2·(-0.8, 0.6, 0) + 1·3·(0, 0, -1) = (8, -16, 27)."""
    volume = volume_from_sitk(_oblique_image())

    assert volume.geometry.shape == (2, 3, 5)
    assert volume.geometry.spacing_mm == (3.0, 2.0, 0.5)
    assert np.argwhere(volume.voxels == 77).tolist() == [[1, 2, 4]]
    assert volume.geometry.to_lps(np.array([1, 2, 4])) == pytest.approx([8.0, -16.0, 27.0])


def test_an_image_made_of_an_oblique_volume_has_the_voxel_at_the_same_place() -> None:
    voxels = np.zeros((2, 3, 5), np.int16)
    voxels[1, 2, 4] = 77

    image = volume_to_sitk(Volume(voxels=voxels, geometry=OBLIQUE))

    assert image[4, 2, 1] == 77
    assert image.TransformIndexToPhysicalPoint((4, 2, 1)) == pytest.approx((8.0, -16.0, 27.0))
    assert image.GetDirection() == pytest.approx(_oblique_image().GetDirection())


@given(
    quaternion=st.lists(st.floats(-1, 1), min_size=4, max_size=4).filter(
        lambda q: sum(x * x for x in q) > 0.1
    ),
    mirrored=st.booleans(),
    spacing=st.tuples(*[st.floats(0.1, 5.0)] * 3),
)
def test_every_voxel_keeps_its_place_in_any_orientation(
    quaternion: list[float], mirrored: bool, spacing: tuple[float, float, float]
) -> None:
    w, x, y, z = np.array(quaternion) / np.linalg.norm(quaternion)
    rotation = np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )
    if mirrored:
        rotation[0] *= -1
    geometry = Geometry(
        shape=(2, 3, 4),
        spacing_mm=spacing,
        origin_lps_mm=(1.0, 2.0, 3.0),
        direction=tuple(tuple(row) for row in rotation.tolist()),  # type: ignore[arg-type]
    )
    volume = Volume(voxels=np.arange(24, dtype=np.int16).reshape(2, 3, 4), geometry=geometry)

    image = volume_to_sitk(volume)

    for k, j, i in np.ndindex(2, 3, 4):
        assert image[i, j, k] == volume.voxels[k, j, i]
        place = image.TransformIndexToPhysicalPoint((i, j, k))
        assert place == pytest.approx(geometry.to_lps(np.array([k, j, i])), abs=1e-9)


def test_voxels_are_copied_both_ways() -> None:
    image = _oblique_image()
    volume = volume_from_sitk(image)
    image[0, 0, 0] = 5
    back = volume_to_sitk(volume)
    back[1, 0, 0] = 6

    assert volume.voxels[0, 0, 0] == 0
    assert volume.voxels[0, 0, 1] == 0


@pytest.mark.parametrize(
    ("given_type", "kept"),
    [(bool, np.uint8), (np.float16, np.float32), (np.int16, np.int16), (np.uint16, np.uint16)],
)
def test_types_that_simpleitk_lacks_become_the_next_larger_one(
    given_type: type, kept: type
) -> None:
    voxels = np.ones(OBLIQUE.shape, given_type)

    image = volume_to_sitk(Volume(voxels=voxels, geometry=OBLIQUE))

    assert sitk.GetArrayViewFromImage(image).dtype == kept


def test_a_big_endian_array_keeps_its_values() -> None:
    voxels = np.full(OBLIQUE.shape, 258, ">i2")

    image = volume_to_sitk(Volume(voxels=voxels, geometry=OBLIQUE))

    assert image[0, 0, 0] == 258


def test_channels_do_not_become_an_image() -> None:
    volume = Volume(voxels=np.zeros((4, *OBLIQUE.shape), np.float32), geometry=OBLIQUE)

    with pytest.raises(ValueError, match="only"):
        volume_to_sitk(volume)


def test_a_flat_image_is_no_volume() -> None:
    with pytest.raises(ValueError, match="three dimensions"):
        volume_from_sitk(sitk.Image([4, 4], sitk.sitkInt16))


def test_a_colour_image_is_no_volume() -> None:
    with pytest.raises(ValueError, match="one value per voxel"):
        volume_from_sitk(sitk.Image([4, 4, 4], sitk.sitkVectorUInt8, 3))


def test_whole_numbers_stored_as_floats_are_labels() -> None:
    image = sitk.Image([5, 3, 2], sitk.sitkFloat64)
    image[1, 1, 1] = 151.0

    labels = label_volume_from_sitk(image)

    assert labels.values() == (151,)
    assert labels.voxels.dtype == np.uint8


def test_labels_above_255_are_kept() -> None:
    image = sitk.Image([5, 3, 2], sitk.sitkInt32)
    image[1, 1, 1] = 256

    labels = label_volume_from_sitk(image)

    assert labels.values() == (256,)
    assert labels.voxels.dtype == np.uint16


@pytest.mark.parametrize("value", [0.5, -1.0, 70000.0, float("nan"), float("inf")])
def test_what_cannot_be_a_label_is_refused(value: float) -> None:
    image = sitk.Image([5, 3, 2], sitk.sitkFloat32)
    image[1, 1, 1] = value

    with pytest.raises(InputError):
        label_volume_from_sitk(image)


def test_writing_into_a_missing_folder_is_a_problem_of_the_environment(tmp_path: Path) -> None:
    volume = LabelVolume(voxels=np.ones(OBLIQUE.shape, np.uint8), geometry=OBLIQUE)

    with pytest.raises(EnvironmentProblemError) as caught:
        write_volume(tmp_path / "missing" / "labels.nrrd", volume)

    assert str(tmp_path) not in str(caught.value)


def test_a_nifti_file_cut_short_by_a_full_disk_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SimpleITK reports nothing in that case: its writer is replaced by one that stops midway."""
    real_write = sitk.WriteImage

    def write_half(image: sitk.Image, name: str, useCompression: bool) -> None:  # noqa: N803
        real_write(image, name, useCompression)
        content = Path(name).read_bytes()
        Path(name).write_bytes(content[: len(content) // 2])

    monkeypatch.setattr(converter.sitk, "WriteImage", write_half)
    voxels = np.random.default_rng(1).integers(0, 255, (20, 20, 20), np.uint8)
    volume = LabelVolume(voxels=voxels, geometry=Geometry(shape=(20, 20, 20), spacing_mm=(1, 1, 1)))

    with pytest.raises(EnvironmentProblemError, match=r"fragments\.nii\.gz could not be written"):
        write_volume(tmp_path / "fragments.nii.gz", volume)
