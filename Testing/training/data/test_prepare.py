"""Training cases from patients and from simulation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from phantom_cases import a_case

from fracseg_training.data.cases import load_cases
from fracseg_training.data.prepare import (
    box_around,
    numbered_from_one,
    real_cases,
    save_missing,
    simulated_case,
    whole_bones,
)
from FractureSegmentationLib.errors import InputError


def write_patient(folder: Path, *, direction: tuple[float, ...], shift: float = 0.0) -> None:
    """A patient with a left hip bone (in two fragments, 11 and 12) and a sacrum (1).

    Voxels are 2 x 1 x 1 mm (k, j, i); the hip is 8 x 16 x 16 voxels, the sacrum 6 x 12 x 12.
    """
    folder.mkdir()
    bones = np.zeros((24, 24, 44), np.uint8)
    fragments = np.zeros_like(bones)
    bones[8:16, 4:20, 4:20], bones[9:15, 6:18, 26:38] = 2, 1
    fragments[8:11, 4:20, 4:20], fragments[11:16, 4:20, 4:20] = 12, 11
    fragments[9:15, 6:18, 26:38] = 1
    ct = np.where(bones > 0, 400 + 10 * np.arange(44), 0).astype(np.int16)
    for name, voxels in (("ct", ct), ("bones", bones), ("fragments", fragments)):
        image = sitk.GetImageFromArray(voxels)
        image.SetSpacing((1.0, 1.0, 2.0))
        image.SetDirection(direction)
        image.SetOrigin((shift if name == "bones" else 0.0, 0.0, 0.0))
        sitk.WriteImage(image, str(folder / f"{name}.nii.gz"))


STRAIGHT = (1.0, 0, 0, 0, 1.0, 0, 0, 0, 1.0)
TURNED = (-1.0, 0, 0, 0, -1.0, 0, 0, 0, 1.0)


def test_patient_becomes_one_case_per_bone_on_the_working_grid(tmp_path: Path) -> None:
    write_patient(tmp_path / "p1", direction=STRAIGHT)

    cases = {case.info.bone: case for case in real_cases(tmp_path / "p1")}

    hip = cases["left_hip"]
    assert set(cases) == {"left_hip", "sacrum"}
    assert hip.info.patient == "p1"
    # 5 and 3 slices of 2 mm, 16 x 16 mm: 2560 and 1536 mm³, the larger one first.
    assert np.bincount(hip.fragments.ravel())[1:].tolist() == [2560, 1536]
    assert cases["sacrum"].fragments.max() == 1
    assert hip.contact_voxels > 0


def test_turned_patient_gives_the_voxels_of_the_canonical_axes(tmp_path: Path) -> None:
    """HU rise along i in the file; with i turned to the right they fall along i of the case."""
    write_patient(tmp_path / "p1", direction=TURNED)

    hip = next(c for c in real_cases(tmp_path / "p1") if c.info.bone == "left_hip")

    middle = tuple(n // 2 for n in hip.hu.shape[:2])
    row = hip.hu[middle][hip.fragments[middle] > 0].astype(int)
    assert (np.diff(row) < 0).all()


def test_grids_that_do_not_match_are_refused(tmp_path: Path) -> None:
    write_patient(tmp_path / "p1", direction=STRAIGHT, shift=5.0)

    with pytest.raises(InputError, match="different grids"):
        list(real_cases(tmp_path / "p1"))


def test_main_fragment_of_a_broken_bone_serves_as_a_bone_of_its_own() -> None:
    whole, broken = whole_bones([a_case(fragments=1), a_case(fragments=3)])

    assert whole.mask.sum() == 24 * 20 * 16
    assert broken.mask.sum() == 8 * 20 * 16
    assert broken.info.name.endswith("_main")


def test_simulated_case_is_a_function_of_its_seed_and_keeps_the_patient() -> None:
    bone = next(iter(whole_bones([a_case(fragments=1, patient="seven")])))

    first, again = simulated_case(bone, 3), simulated_case(bone, 3)

    assert first.info == again.info
    assert np.array_equal(first.hu, again.hu)
    assert first.info.patient == "seven"
    assert first.info.is_simulated


def test_share_of_intact_simulations_can_be_set() -> None:
    bone = next(iter(whole_bones([a_case(fragments=1)])))

    assert simulated_case(bone, 1, intact_share=1.0).fragments.max() == 1


def test_interrupted_folder_is_filled_up_and_nothing_made_twice(tmp_path: Path) -> None:
    bone = next(iter(whole_bones([a_case(fragments=1)])))

    assert save_missing(tmp_path, bone, range(2)) == 2
    assert save_missing(tmp_path, bone, range(3)) == 1
    assert len(load_cases(tmp_path)) == 3


def test_labels_are_numbered_by_falling_volume() -> None:
    labels = np.array([[[0, 12, 12, 12, 11, 5, 5]]])

    assert numbered_from_one(labels).tolist() == [[[0, 1, 1, 1, 3, 2, 2]]]


def test_box_has_its_margin_in_millimetres() -> None:
    """3 mm are 1 voxel along k (3 mm), 3 along j and i; the grid ends after i = 9."""
    mask = np.zeros((9, 12, 10), bool)
    mask[4, 5, 8] = True

    assert box_around(mask, (3.0, 1.0, 1.0), 3.0) == (slice(3, 6), slice(2, 9), slice(5, 10))
