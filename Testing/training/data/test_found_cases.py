"""Training cases whose bones were found by the networks."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from click.testing import CliRunner
from phantom_cases import a_case
from scipy.ndimage import binary_dilation
from small_bodies import a_small_body

from fracseg_training.commands.prepare import prepare
from fracseg_training.data import predicted as prepare_found
from fracseg_training.data.cases import Case, CaseInfo, load_case, load_cases, save_case
from fracseg_training.data.predicted import found_cases
from fracseg_training.fragments.patches import PatchConfig, PatchSource
from fracseg_training.phantoms.fractured import fractured_pelvis_phantom
from fracseg_training.synthesis import fracture_ct
from fracseg_training.synthesis.fracture_ct import FracturedCt
from fracseg_training.training.augment import AugmentConfig
from fracseg_training.training.sampler import BalancedSampler, SamplerConfig
from FractureSegmentationLib.errors import NoBoneError
from FractureSegmentationLib.pipeline.bones import BoneMasks
from FractureSegmentationLib.volume import LabelVolume, Volume

STILL = AugmentConfig(
    rotation_deg=0.0,
    scale=(1.0, 1.0),
    flip=False,
    noise_hu=0.0,
    contrast=(1.0, 1.0),
    shift_hu=0.0,
    mask_share=0.0,
)
SURROUNDINGS_HU = 120


def a_found_case(fragments: int = 2) -> Case:
    """The block of `a_case`, found two voxels too wide all around, in tissue of one density."""
    case = a_case(fragments=fragments)
    found = binary_dilation(case.fragments > 0, np.ones((5, 5, 5), bool))
    hu = np.where(case.fragments > 0, case.hu, SURROUNDINGS_HU).astype(np.int16)
    return replace(case, hu=hu, found=found)


@cache
def phantom_cases() -> dict[str, Case]:
    """The found bones of a phantom pelvis whose right hip bone is broken."""
    truth = fractured_pelvis_phantom(np.random.default_rng(7), (1.5, 1.5, 1.5), ("right_hip",))
    info = CaseInfo(
        name="found",
        patient="phantom",
        bone="",
        source="phantom",
        is_simulated=True,
        spacing_mm=(1.0, 1.0, 1.0),
    )
    return {case.info.bone: case for case in found_cases(truth, info)}


def test_every_bone_of_a_ct_becomes_a_case_with_its_truth_and_what_was_found() -> None:
    cases = phantom_cases()
    right = int(cases["right_hip"].fragments.max())

    assert {"sacrum", "left_hip", "right_hip"} <= set(cases)
    assert right > 1
    assert cases["right_hip"].contact_voxels > 0
    for slug in ("sacrum", "left_hip", "right_hip"):
        case = cases[slug]
        assert case.info.name == f"found_{slug}"
        assert case.found is not None
        bone = case.fragments > 0
        # The networks find most of a phantom's bone, and the mask reaches two millimetres beyond.
        assert (case.found & bone).sum() > 0.9 * bone.sum()
        assert case.found.sum() > 1.1 * bone.sum()
        assert case.fragments.max() == (right if slug == "right_hip" else 1)


def test_found_case_keeps_the_ct_around_its_bone() -> None:
    case = phantom_cases()["left_hip"]

    assert case.found is not None
    around = case.hu[case.found & (case.fragments == 0)]

    # Muscle and fat, and the soft rim of the bone; never the zeros of a bone that was cut out.
    assert -150 < np.median(around) < 250
    assert np.std(around) > 10


def test_found_case_comes_back_as_it_was_saved(tmp_path: Path) -> None:
    case = a_found_case()

    read = load_case(save_case(tmp_path, case))

    assert case.found is not None
    assert read.found is not None
    assert np.array_equal(read.found, case.found)
    assert load_case(save_case(tmp_path, a_case())).found is None


def test_mask_of_another_grid_is_refused() -> None:
    with pytest.raises(ValueError, match="one grid"):
        replace(a_case(), found=np.ones((3, 3, 3), bool))


@pytest.mark.parametrize("share", [1.0, 0.0])
def test_patch_shows_the_found_mask_or_the_true_bone(share: float) -> None:
    config = PatchConfig(
        size=32, min_contact_voxels=20, augment=replace(STILL, found_mask_share=share)
    )
    source = PatchSource([a_found_case(2), a_found_case(1)], config, seed=1)

    batch = source.batch(0)

    mask, bone = batch.inputs[:, 1] > 0, batch.target > 0
    if share == 0.0:
        assert torch.equal(mask, bone)
    else:
        # Outside the truth the mask shows the CT as it is, and the target is background.
        rim = mask & ~bone
        assert rim.sum() > 0.2 * mask.sum()
        normalisation = config.normalisation
        expected = (SURROUNDINGS_HU - normalisation.mean_hu) / normalisation.std_hu
        # Some patches are blurred, as other scanners would show them.
        assert float(batch.inputs[:, 0][rim].median()) == pytest.approx(expected, abs=0.1)


def test_share_of_found_bones_is_the_one_asked_for_in_both_origins() -> None:
    cases = [a_case(), a_found_case(), a_case(name="s", is_simulated=True)]
    cases.append(replace(a_found_case(), info=cases[2].info))
    sampler = BalancedSampler(cases, SamplerConfig(real_share=0.5, found_share=0.25))
    rng = np.random.default_rng(3)

    drawn = np.bincount([sampler.draw_fractured(rng).case for _ in range(800)], minlength=4) / 800

    assert drawn == pytest.approx([0.375, 0.125, 0.375, 0.125], abs=0.05)


def test_sampling_without_found_bones_is_what_it_was() -> None:
    """A share of found bones costs no draw where there are none: older runs repeat."""
    cases = [a_case(), a_case(name="s", is_simulated=True)]
    draws = [
        [sampler.draw_fractured(rng) for _ in range(30)]
        for share in (0.1, 0.9)
        for sampler in [BalancedSampler(cases, SamplerConfig(found_share=share))]
        for rng in [np.random.default_rng(4)]
    ]

    assert draws[0] == draws[1]


def write_label_map(folder: Path) -> tuple[Path, Path]:
    """The small body as a label map and its names, on disk."""
    body = a_small_body()
    image = sitk.GetImageFromArray(body.labels)
    image.SetSpacing(body.spacing_mm[::-1])
    labels, names = folder / "body_labels.nii.gz", folder / "names.json"
    sitk.WriteImage(image, str(labels))
    names.write_text(json.dumps({str(value): name for value, name in body.names.items()}))
    return labels, names


def test_prepare_makes_found_cases_of_a_label_map_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the true bones in place of the networks', which do not know bodies of ellipsoids."""
    made: list[FracturedCt] = []

    def kept(*arguments: Any) -> FracturedCt:
        made.append(fracture_ct.fractured_pelvis(*arguments))
        return made[-1]

    def true_bones(ct: Volume, *_: object) -> BoneMasks:
        bones = LabelVolume(voxels=made[-1].bones, geometry=ct.geometry)
        return BoneMasks(bones=bones, are_exact=False)

    monkeypatch.setattr(prepare_found, "_SLICE_MM", (3.0, 3.0))
    monkeypatch.setattr(prepare_found, "_PIXEL_MM", (3.0, 3.0))
    monkeypatch.setattr(prepare_found, "fractured_pelvis", kept)
    monkeypatch.setattr(prepare_found, "find_bones", true_bones)
    out = tmp_path / "cases"
    arguments = [str(out), "--label-map", *map(str, write_label_map(tmp_path))]
    arguments += ["--label-map-cts", "0", "--found-cts", "1", "--seed", "3"]

    first = CliRunner().invoke(prepare, arguments, catch_exceptions=False)
    again = CliRunner().invoke(prepare, arguments, catch_exceptions=False)
    before = {case.info.name: case.hu.tobytes() for case in load_cases(out)}
    (out / "done" / "found_body_0.json").unlink()  # as if killed in the middle of the CT
    sorted(out.glob("*.npz"))[0].unlink()
    completed = CliRunner().invoke(prepare, arguments, catch_exceptions=False)

    cases = load_cases(out)
    assert first.stdout == f"{len(cases)} cases made\n"
    assert again.stdout == "0 cases made\n"
    assert completed.stdout == first.stdout
    assert {case.info.name: case.hu.tobytes() for case in cases} == before
    assert {case.info.patient for case in cases} == {"body"}
    assert all(case.found is not None and case.info.is_simulated for case in cases)
    # Two to four bones are broken, and with the true bones every fragment lies in its mask.
    assert 2 <= sum(case.fragments.max() > 1 for case in cases) <= 4
    for case in cases:
        assert case.found is not None
        assert (case.found & (case.fragments > 0)).sum() > 0.97 * (case.fragments > 0).sum()


def test_a_ct_in_which_no_bone_is_found_gives_no_case_and_ends_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nothing(*_: object) -> BoneMasks:
        raise NoBoneError("None was found.", "Check the series.")

    monkeypatch.setattr(prepare_found, "_SLICE_MM", (3.0, 3.0))
    monkeypatch.setattr(prepare_found, "_PIXEL_MM", (3.0, 3.0))
    monkeypatch.setattr(prepare_found, "find_bones", nothing)

    assert prepare_found.add_broken_ct(tmp_path / "out", *write_label_map(tmp_path), 0, 3) == 0


def test_bodies_around_patients_need_a_label_map(tmp_path: Path) -> None:
    asked = CliRunner().invoke(prepare, [str(tmp_path / "out"), "--found-bodies", "1"])

    assert asked.exit_code == 2
    assert "needs a label map" in asked.output
