"""The whole pipeline, with networks that read bone and fracture off the HU."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from FractureSegmentationLib.anatomy.numbering import PENGWIN_2024
from FractureSegmentationLib.config import SegmentSettings
from FractureSegmentationLib.errors import (
    InputError,
    MissingWeightsError,
    NoBoneError,
    OutputExistsError,
    RunCancelledError,
)
from FractureSegmentationLib.geometry import Geometry
from FractureSegmentationLib.inference.engine import Engine
from FractureSegmentationLib.inference.intensity import CtNormalisation
from FractureSegmentationLib.io.read import CtInput, read_labels
from FractureSegmentationLib.io.sitk import write_volume
from FractureSegmentationLib.methods.fracsegmentator import FRACSEGMENTATOR
from FractureSegmentationLib.networks.config import TPCNetConfig, UNet3DConfig
from FractureSegmentationLib.networks.model_spec import ModelSpec
from FractureSegmentationLib.pipeline import CaseRequest, models, output, segment_case, segment_ct
from FractureSegmentationLib.progress import Event, Progress
from FractureSegmentationLib.results.report import numbering_of_report, read_report
from FractureSegmentationLib.volume import LabelVolume, Volume
from FractureSegmentationLib.voxels.orient import AxisOrder
from Testing.tiny_cases import DensityReader

BONES = ("sacrum", "left_hip", "right_hip", "left_femur", "right_femur")
BONE_HU, CRACK_HU, TISSUE_HU = 650, 350, 40


class CrackReader(nn.Module):
    """Bone of 650 HU is interior, bone of 350 HU is contact; below 200 HU there is no bone."""

    def forward(self, x: Tensor) -> Tensor:
        hu, mask = 300.0 * x[:, :1] + 350.0, x[:, 1:]
        is_bone = (hu > 200.0) & (mask > 0.5)
        scores = (
            torch.where(is_bone, -20.0, 20.0),
            torch.full_like(hu, -20.0),
            -(((hu - BONE_HU) / 60.0) ** 2),
            -(((hu - CRACK_HU) / 60.0) ** 2),
        )
        return torch.cat(scores, dim=1)


def a_spec(name: str, task: str) -> ModelSpec:
    is_fragments = task == "fragments"
    plain = {"low_hu": -1000.0, "high_hu": 2000.0, "mean_hu": 0.0, "std_hu": 1.0}
    config = (
        TPCNetConfig(features=(4, 8))
        if is_fragments
        else UNet3DConfig(in_channels=6 if name == "bones-fine" else 1, features=(4, 8))
    )
    return ModelSpec(
        name=name,
        task="fragments" if is_fragments else "bones",
        method="fracsegmentator" if is_fragments else "cascade",
        network="tpc_net" if is_fragments else "unet3d",
        config=config.to_dict(),
        bones=BONES,
        spacing_mm=(1.0,) * 3 if is_fragments else ((3.0,) * 3 if "coarse" in name else (1.5,) * 3),
        normalisation=CtNormalisation().to_dict() if is_fragments else plain,
        channels=FRACSEGMENTATOR.channels if is_fragments else ("background", *BONES),
        licence="Apache-2.0",
        sha256="0" * 64,
    )


@pytest.fixture(autouse=True)
def _readers_for_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(_: Path | None, name: str, engine: Engine) -> tuple[ModelSpec, nn.Module]:
        is_bones = name.startswith("bones")
        network = DensityReader() if is_bones else CrackReader()
        return a_spec(name, "bones" if is_bones else "fragments"), network

    monkeypatch.setattr(models, "_load", load)
    # Small windows keep the tests quick.
    monkeypatch.setattr(models, "COARSE_PATCH", (16, 16, 16))
    monkeypatch.setattr(models, "FINE_PATCH", (32, 32, 32))
    small = replace(FRACSEGMENTATOR, patch=(32, 32, 32))
    monkeypatch.setattr(models, "method_named", lambda _: small)


@pytest.fixture
def broken_hip() -> tuple[Volume, LabelVolume]:
    """A left hip of 48 x 24 x 24 mm, cracked at one third: 16 mm above, 29 mm below 3 mm of crack.

    Slices of 1.5 mm, pixels of 1 x 0.8 mm.
    """
    bones = np.zeros((48, 40, 50), np.uint8)
    bones[8:40, 8:32, 10:40] = 2
    bones[8:10, 8:10, 10:12] = 0
    hu = np.where(bones > 0, BONE_HU, TISSUE_HU).astype(np.int16)
    hu[28:30, 8:32, 10:40] = CRACK_HU
    geometry = Geometry(
        shape=bones.shape, spacing_mm=(1.5, 1.0, 0.8), origin_lps_mm=(-10.0, 20.0, 300.0)
    )
    return Volume(voxels=hu, geometry=geometry), LabelVolume(voxels=bones, geometry=geometry)


def settings_with(bones: LabelVolume, **changes: object) -> SegmentSettings:
    return replace(SegmentSettings(bones=bones, device="cpu", precision="fp32"), **changes)


def test_a_cracked_bone_becomes_two_fragments_that_fill_the_mask_exactly(
    broken_hip: tuple[Volume, LabelVolume],
) -> None:
    ct, bones = broken_hip

    result = segment_ct(ct, settings_with(bones))

    fragments = result.fragments.voxels
    assert fragments.dtype == np.uint16
    np.testing.assert_array_equal(fragments > 0, bones.voxels > 0)
    np.testing.assert_array_equal(result.bones.voxels, bones.voxels)
    # Labels of the left hip begin at 51; the lower piece is the larger one.
    assert set(np.unique(fragments[9:27, 10:30, 12:38])) == {51}
    assert set(np.unique(fragments[31:39, 10:30, 12:38])) == {52}


def test_the_fragments_are_described_in_millimetres(
    broken_hip: tuple[Volume, LabelVolume],
) -> None:
    """Together 32 x 1.5 mm x 24 mm x 30 x 0.8 mm less a corner of 8 voxels = 27638.4 mm3."""
    ct, bones = broken_hip

    (finding,) = segment_ct(ct, settings_with(bones)).findings

    assert finding.bone.slug == "left_hip"
    large, small = finding.fragments
    assert large.volume_mm3 + small.volume_mm3 == pytest.approx(27638.4)
    assert large.volume_mm3 > small.volume_mm3
    # Columns 10 to 39 of 0.8 mm from -10 mm: -2.0 to 21.2 mm, their middle is 9.6 mm.
    assert large.centroid_lps_mm[0] == pytest.approx(9.6, abs=0.1)
    assert large.box_lps_mm[0][0] == pytest.approx(-2.0)
    assert large.box_lps_mm[1][0] == pytest.approx(21.2)
    # Slice 8 of 1.5 mm from 300 mm.
    assert large.box_lps_mm[0][2] == pytest.approx(312.0)
    (neighbour,) = large.neighbours
    assert neighbour.index == 2
    # The crack is 24 mm x 24 mm = 576 mm2.
    assert neighbour.area_mm2 == pytest.approx(576.0, rel=0.15)
    assert neighbour.mean_contact > 0.5
    assert large.confidence > 0.8


def test_the_contact_probability_lies_on_the_grid_of_the_ct(
    broken_hip: tuple[Volume, LabelVolume],
) -> None:
    ct, bones = broken_hip
    contact = segment_ct(ct, settings_with(bones)).contact
    strongest = np.argwhere(contact.voxels > 200).mean(axis=0)
    place = ct.geometry.to_index(contact.geometry.to_lps(strongest))
    # Slices 28 and 29, rows 8 to 31, columns 10 to 39.
    np.testing.assert_allclose(place, [28.5, 19.5, 24.5], atol=0.6)


@pytest.mark.parametrize(
    "order",
    [
        AxisOrder(axes=(0, 1, 2), reversed_axes=(False, True, True)),
        AxisOrder(axes=(2, 0, 1), reversed_axes=(True, False, True)),
        AxisOrder(axes=(1, 0, 2), reversed_axes=(False, False, False)),
    ],
)
def test_a_flipped_or_permuted_ct_gives_the_same_fragments_at_the_same_places(
    broken_hip: tuple[Volume, LabelVolume], order: AxisOrder
) -> None:
    ct, bones = broken_hip
    straight = segment_ct(ct, settings_with(bones))
    turned = segment_ct(order.volume(ct), settings_with(order.volume(bones)))
    np.testing.assert_array_equal(turned.fragments.voxels, order.apply(straight.fragments.voxels))
    for one, other in zip(
        straight.findings[0].fragments, turned.findings[0].fragments, strict=True
    ):
        assert one.centroid_lps_mm == pytest.approx(other.centroid_lps_mm)
        assert one.volume_mm3 == pytest.approx(other.volume_mm3)
        assert one.confidence == pytest.approx(other.confidence)


def test_an_oblique_ct_gives_nearly_the_same_fragments(
    broken_hip: tuple[Volume, LabelVolume],
) -> None:
    ct, bones = broken_hip
    c, s = np.cos(0.3), np.sin(0.3)
    axes = np.asarray(ct.geometry.direction) @ np.array([[c, s, 0], [-s, c, 0], [0, 0, 1]])
    oblique = replace(ct.geometry, direction=tuple(tuple(row) for row in axes.tolist()))
    straight = segment_ct(ct, settings_with(bones)).fragments.voxels
    turned = segment_ct(
        replace(ct, geometry=oblique), settings_with(replace(bones, geometry=oblique))
    ).fragments.voxels
    assert (turned == straight).mean() > 0.999


def test_a_bone_in_one_piece_is_one_fragment(broken_hip: tuple[Volume, LabelVolume]) -> None:
    ct, bones = broken_hip
    whole = ct.with_voxels(np.where(bones.voxels > 0, BONE_HU, TISSUE_HU).astype(np.int16))
    result = segment_ct(whole, settings_with(bones))
    assert result.fragment_count == 1
    assert set(np.unique(result.fragments.voxels)) == {0, 51}
    # Its faded rim looks like contact to this network; the rest does not.
    assert result.findings[0].fragments[0].confidence > 0.9


def test_a_bone_found_roughly_ends_where_the_network_says(
    broken_hip: tuple[Volume, LabelVolume],
) -> None:
    """`auto` finds the hip at 1.5 mm; its voxels are then those above 200 HU, up to the border."""
    ct, bones = broken_hip
    # Air around it gives the coarse grid some room.
    pad = ((16, 16), (20, 20), (20, 20))
    geometry = replace(
        ct.geometry,
        shape=(80, 80, 90),
        origin_lps_mm=tuple(ct.geometry.to_lps(np.array([-16.0, -20.0, -20.0])).tolist()),
    )
    padded = Volume(voxels=np.pad(ct.voxels, pad, constant_values=TISSUE_HU), geometry=geometry)
    truth = np.pad(bones.voxels, pad) > 0

    result = segment_ct(padded, SegmentSettings(device="cpu", precision="fp32"))

    predicted = result.fragments.voxels > 0
    assert 2 * (predicted & truth).sum() / (predicted.sum() + truth.sum()) > 0.97
    assert set(np.unique(result.fragments.voxels)) == {0, 51, 52}
    np.testing.assert_array_equal(result.bones.voxels, np.where(predicted, 2, 0))
    assert [weights.name for weights in result.facts.weights] == [
        "fracsegmentator-small",
        "bones-coarse",
        "bones-fine",
    ]


def test_a_ct_that_is_bone_only_keeps_its_own_borders(
    broken_hip: tuple[Volume, LabelVolume],
) -> None:
    ct, bones = broken_hip
    masked = ct.with_voxels(np.where(bones.voxels > 0, ct.voxels, 0).astype(np.int16))
    result = segment_ct(
        CtInput(volume=masked, kind="NIfTI", is_already_masked=True),
        SegmentSettings(device="cpu", precision="fp32"),
    )
    np.testing.assert_array_equal(result.fragments.voxels > 0, bones.voxels > 0)


def test_only_the_bones_asked_for_are_segmented(broken_hip: tuple[Volume, LabelVolume]) -> None:
    ct, bones = broken_hip
    voxels = bones.voxels.copy()
    voxels[:, :, 40:] = 1
    both = bones.with_voxels(voxels)
    progress = Progress()

    result = segment_ct(ct, settings_with(both, only=("left_hip", "left_femur")), progress)

    assert [finding.bone.slug for finding in result.findings] == ["left_hip"]
    assert "The left femur was asked for but not found." in progress.warnings


def test_asking_for_absent_bones_only_says_what_was_found(
    broken_hip: tuple[Volume, LabelVolume],
) -> None:
    ct, bones = broken_hip
    with pytest.raises(NoBoneError, match="found: left hip bone"):
        segment_ct(ct, settings_with(bones, only=("sacrum",)))


def test_a_bone_the_method_does_not_serve_is_left_out_with_a_warning(
    broken_hip: tuple[Volume, LabelVolume],
) -> None:
    ct, bones = broken_hip
    voxels = bones.voxels.copy()
    voxels[:4] = 6
    progress = Progress()
    result = segment_ct(ct, settings_with(bones.with_voxels(voxels)), progress)
    assert [finding.bone.slug for finding in result.findings] == ["left_hip"]
    assert any("left tibia is left out" in warning for warning in progress.warnings)


def test_a_numbering_without_the_bone_is_refused_before_any_work(
    broken_hip: tuple[Volume, LabelVolume],
) -> None:
    ct, bones = broken_hip
    femur = bones.with_voxels(np.where(bones.voxels > 0, 4, 0).astype(np.uint8))
    with pytest.raises(InputError, match="pengwin2024 has no labels for the left femur"):
        segment_ct(ct, settings_with(femur, numbering=PENGWIN_2024))


def test_labels_follow_the_numbering_asked_for(broken_hip: tuple[Volume, LabelVolume]) -> None:
    ct, bones = broken_hip
    result = segment_ct(ct, settings_with(bones, numbering=PENGWIN_2024))
    assert set(np.unique(result.fragments.voxels)) == {0, 11, 12}


def test_metal_in_a_bone_is_warned_of(broken_hip: tuple[Volume, LabelVolume]) -> None:
    ct, bones = broken_hip
    hu = ct.voxels.copy()
    hu[15:25, 15:20, 15:20] = 3000
    progress = Progress()
    segment_ct(ct.with_voxels(hu), settings_with(bones), progress)
    assert any("metal" in warning for warning in progress.warnings)


def test_metal_elsewhere_in_the_crop_is_not(broken_hip: tuple[Volume, LabelVolume]) -> None:
    """A wire 5 mm in front of the bone, 240 mm3 of it within the crop."""
    ct, bones = broken_hip
    hu = ct.voxels.copy()
    hu[10:38, 2:4, 15:20] = 3000
    progress = Progress()
    segment_ct(ct.with_voxels(hu), settings_with(bones), progress)
    assert progress.warnings == []


def test_cancel_stops_a_run(broken_hip: tuple[Volume, LabelVolume]) -> None:
    ct, bones = broken_hip
    progress = Progress()

    def cancel_at_fragments(event: Event) -> None:
        if event.stage == "fragments":
            progress.token.cancel()

    progress.listener = cancel_at_fragments
    with pytest.raises(RunCancelledError):
        segment_ct(ct, settings_with(bones), progress)


def test_progress_never_falls_and_ends_at_one(
    broken_hip: tuple[Volume, LabelVolume], tmp_path: Path
) -> None:
    values: list[float] = []

    def listen(event: Event) -> None:
        if event.kind == "progress":
            values.append(event.value)

    segment_case(a_request(broken_hip, tmp_path), Progress(listener=listen), lambda: 0.0)
    assert values == sorted(values)
    assert values[-1] == 1.0


def a_request(case: tuple[Volume, LabelVolume], folder: Path, **changes: object) -> CaseRequest:
    ct, bones = case
    write_volume(folder / "ct.nii.gz", ct)
    request = CaseRequest(
        ct=folder / "ct.nii.gz", out=folder / "out", settings=settings_with(bones)
    )
    return replace(request, **changes)


def test_the_result_folder_holds_everything_that_is_promised(
    broken_hip: tuple[Volume, LabelVolume], tmp_path: Path
) -> None:
    ticks = iter(range(100))
    clock: Callable[[], float] = lambda: float(next(ticks))  # noqa: E731
    result = segment_case(a_request(broken_hip, tmp_path), clock=clock)

    out = tmp_path / "out"
    assert sorted(path.relative_to(out).as_posix() for path in out.rglob("*")) == [
        "bones.nii.gz",
        "contact.nrrd",
        "fragments.nii.gz",
        "fragments.seg.nrrd",
        "meshes",
        "meshes/left_hip_1.stl",
        "meshes/left_hip_2.stl",
        "preview.png",
        "regions.nrrd",
        "report.json",
    ]
    labels = read_labels(out / "fragments.nii.gz")
    np.testing.assert_array_equal(labels.voxels, result.fragments.voxels)
    assert labels.geometry.is_close_to(broken_hip[0].geometry)
    segments = read_labels(out / "fragments.seg.nrrd")
    np.testing.assert_array_equal(segments.voxels, result.fragments.voxels)

    report = read_report(out)
    assert numbering_of_report(report) is result.numbering
    assert report["reviewed"] is False
    (bone,) = report["bones"]
    assert bone["finding"] == "2 fragments found"
    assert [fragment["label"] for fragment in bone["fragments"]] == [51, 52]
    assert bone["fragments"][0]["neighbours"][0]["label"] == 52
    assert {"read", "bones", "fragments", "meshes", "preview"} <= report["seconds"].keys()
    assert report["weights"][0]["sha256"] == "0" * 64
    assert {"folds", "trained_on", "validated_on"} <= report["weights"][0].keys()
    assert "ct.nii.gz" not in (out / "report.json").read_text(encoding="utf-8")
    assert str(tmp_path) not in (out / "report.json").read_text(encoding="utf-8")


def test_meshes_can_be_left_out_and_maps_kept(
    broken_hip: tuple[Volume, LabelVolume], tmp_path: Path
) -> None:
    request = a_request(broken_hip, tmp_path, writes_meshes=False)
    request = replace(request, settings=replace(request.settings, keeps_maps=True))
    segment_case(request)
    out = tmp_path / "out"
    assert not (out / "meshes").exists()
    assert sorted(path.name for path in (out / "maps").iterdir()) == [
        f"left_hip_{channel}.nrrd" for channel in sorted(FRACSEGMENTATOR.channels)
    ]
    # Such a folder is ours too, so it may be replaced.
    segment_case(replace(request, overwrite=True))


def test_a_result_that_is_there_stays_unless_it_may_be_replaced(
    broken_hip: tuple[Volume, LabelVolume], tmp_path: Path
) -> None:
    request = a_request(broken_hip, tmp_path)
    segment_case(request)
    with pytest.raises(OutputExistsError):
        segment_case(request)
    segment_case(replace(request, overwrite=True))


def test_a_failed_run_leaves_nothing_behind(
    broken_hip: tuple[Volume, LabelVolume], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(*_: object) -> None:
        raise MissingWeightsError("The model is not installed.")

    monkeypatch.setattr(models, "_load", missing)
    with pytest.raises(MissingWeightsError):
        segment_case(a_request(broken_hip, tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["ct.nii.gz"]


def test_a_preview_that_fails_costs_a_warning_and_nothing_else(
    broken_hip: tuple[Volume, LabelVolume], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ValueError("no picture")

    monkeypatch.setattr(output, "write_preview", fail)
    segment_case(a_request(broken_hip, tmp_path))
    out = tmp_path / "out"
    assert not (out / "preview.png").exists()
    assert read_report(out)["warnings"] == ["The preview picture could not be drawn (ValueError)."]


def test_a_model_for_something_else_is_refused(
    broken_hip: tuple[Volume, LabelVolume], monkeypatch: pytest.MonkeyPatch
) -> None:
    ct, bones = broken_hip
    monkeypatch.setattr(
        models, "_load", lambda *_: (a_spec("bones-coarse", "bones"), CrackReader())
    )
    with pytest.raises(InputError, match="not trained for the method"):
        segment_ct(ct, settings_with(bones))


def test_settings_that_name_no_bone_or_method_are_refused() -> None:
    with pytest.raises(ValueError, match="no bone"):
        SegmentSettings(only=("elbow",))
    with pytest.raises(ValueError, match="no method"):
        SegmentSettings(method="magic")


def test_an_unknown_way_to_find_bones_is_refused_and_never_taken_for_another() -> None:
    with pytest.raises(ValueError, match="LabelVolume or one of"):
        SegmentSettings(bones="bones.nii.gz")  # type: ignore[arg-type]
