"""`fracseg phantom` and `fracseg simulate` on the command line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from broken_bones import long_bone
from click.testing import CliRunner

from fracseg_training.commands.phantom import phantom
from fracseg_training.commands.simulate import simulate
from FractureSegmentationLib.errors import InputError, OutputExistsError
from FractureSegmentationLib.geometry import Geometry
from FractureSegmentationLib.io.sitk import write_volume
from FractureSegmentationLib.volume import LabelVolume, Volume

COARSE = ["--spacing", "4", "4", "4"]
OBLIQUE = ((0.0, 0.6, 0.8), (0.0, 0.8, -0.6), (-1.0, 0.0, 0.0))


@pytest.fixture
def femur_files(tmp_path: Path) -> tuple[Path, Path]:
    """A long bone as CT and left femur mask, on an oblique grid."""
    hu, bone = long_bone()
    geometry = Geometry(
        shape=hu.shape,
        spacing_mm=(1.0, 1.0, 1.0),
        origin_lps_mm=(5.0, -7.0, 9.0),
        direction=OBLIQUE,
    )
    ct, mask = tmp_path / "ct.nii.gz", tmp_path / "bones.nii.gz"
    write_volume(ct, Volume(voxels=hu, geometry=geometry))
    labels = np.where(bone, 4, 0).astype(np.uint8)
    write_volume(mask, LabelVolume(voxels=labels, geometry=geometry))
    return ct, mask


def run(command: object, *arguments: object) -> str:
    """What a command prints; its errors are raised."""
    result = CliRunner().invoke(
        command,  # type: ignore[arg-type]
        [str(a) for a in arguments],
        catch_exceptions=False,
        standalone_mode=False,
    )
    if result.exception:
        raise result.exception
    return result.output


def read(path: Path) -> np.ndarray:
    """The voxels of a file."""
    return sitk.GetArrayFromImage(sitk.ReadImage(str(path)))


def test_phantom_writes_ct_bones_and_fragments_on_one_grid(tmp_path: Path) -> None:
    run(phantom, tmp_path / "demo", "--seed", 3, "--break", "left_hip", *COARSE)

    images = [
        sitk.ReadImage(str(tmp_path / "demo" / f"{name}.nii.gz"))
        for name in ("ct", "bones", "fragments")
    ]

    assert len({image.GetSize() for image in images}) == 1
    assert images[0].GetSpacing() == pytest.approx((4.0, 4.0, 4.0))
    assert set(np.unique(sitk.GetArrayFromImage(images[1]))) == {0, 1, 2, 3, 4, 5}
    assert 52 in sitk.GetArrayFromImage(images[2])


def test_phantom_of_one_seed_is_always_the_same(tmp_path: Path) -> None:
    for name in ("first", "second"):
        run(phantom, tmp_path / name, "--kind", "femur", *COARSE)

    first, second = (read(tmp_path / name / "ct.nii.gz") for name in ("first", "second"))

    assert np.array_equal(first, second)


def test_intact_phantom_is_not_broken(tmp_path: Path) -> None:
    output = run(phantom, tmp_path / "whole", "--intact", "--kind", "femur", *COARSE)

    assert output == "1 fragments of 1 bones\n"


def test_existing_folder_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("keep")

    with pytest.raises(OutputExistsError):
        run(phantom, tmp_path / "mine", "--kind", "femur", *COARSE)

    assert [p.name for p in (tmp_path / "mine").iterdir()] == ["notes.txt"]


def test_simulated_fractures_lie_on_the_grid_of_the_ct(
    tmp_path: Path, femur_files: tuple[Path, Path]
) -> None:
    run(simulate, *femur_files, tmp_path / "out", "--seed", 1)
    source = sitk.ReadImage(str(femur_files[0]))

    for name in ("ct", "bones", "fragments"):
        image = sitk.ReadImage(str(tmp_path / "out" / f"{name}.nii.gz"))
        assert image.GetOrigin() == pytest.approx(source.GetOrigin(), abs=1e-4)
        assert image.GetDirection() == pytest.approx(source.GetDirection(), abs=1e-5)
        assert image.GetSize() == source.GetSize()
    assert {151, 152} <= set(np.unique(read(tmp_path / "out" / "fragments.nii.gz")))


def test_several_cases_differ_and_do_not_depend_on_their_number(
    tmp_path: Path, femur_files: tuple[Path, Path]
) -> None:
    run(simulate, *femur_files, tmp_path / "one", "--seed", 1)
    run(simulate, *femur_files, tmp_path / "two", "--seed", 1, "--count", 2)

    alone = read(tmp_path / "one" / "fragments.nii.gz")
    first, second = (read(tmp_path / "two" / n / "fragments.nii.gz") for n in ("000", "001"))

    assert np.array_equal(alone, first)
    assert not np.array_equal(first, second)


def test_bone_that_the_mask_does_not_hold_is_refused(
    tmp_path: Path, femur_files: tuple[Path, Path]
) -> None:
    with pytest.raises(InputError, match="sacrum"):
        run(simulate, *femur_files, tmp_path / "out", "--break", "sacrum")

    assert not (tmp_path / "out").exists()
