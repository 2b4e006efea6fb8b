"""Hard volumes through the command line: what comes out, or the sentence that refuses them.

The bone is a block of 24 x 24 x 48 mm with a gap at one third of its height, given as a function of
the place in the patient, so that it can be put on any grid. The network reads bone and gap off the
HU, as in the tests of the pipeline.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from torch import Tensor, nn

from FractureSegmentationLib.cli.main import run
from FractureSegmentationLib.geometry import CANONICAL_DIRECTION, Geometry
from FractureSegmentationLib.inference.engine import Engine
from FractureSegmentationLib.inference.intensity import CtNormalisation
from FractureSegmentationLib.io.read import read_labels
from FractureSegmentationLib.io.sitk import volume_to_sitk, write_volume
from FractureSegmentationLib.methods.fracsegmentator import FRACSEGMENTATOR
from FractureSegmentationLib.networks.config import TPCNetConfig, UNet3DConfig
from FractureSegmentationLib.networks.model_spec import ModelSpec
from FractureSegmentationLib.pipeline import models, output
from FractureSegmentationLib.volume import LabelVolume, Volume
from FractureSegmentationLib.voxels.orient import AxisOrder
from Testing.integration.fault_shell import snapshot_of
from Testing.tiny_cases import DensityReader

BONES = ("sacrum", "left_hip", "right_hip", "left_femur", "right_femur")
AIR_HU, TISSUE_HU, GAP_HU, BONE_HU, METAL_HU = -1000.0, 40.0, 350.0, 650.0, 3050.0
HALF_MM = np.array([12.0, 12.0, 24.0])
"""Half the size of the block along Left, Posterior and Superior."""
GAP_MM = (6.0, 9.0)
"""From where to where the gap reaches above the middle of the block."""
WIDE_GAP_MM = (3.0, 13.5)
"""One that slices of 5 mm show, too."""
MAIN_MM3, SMALL_MM3 = 24.0 * 24.0 * 30.0, 24.0 * 24.0 * 15.0
Case = tuple[Volume, LabelVolume]


class Reader(nn.Module):
    """Bone of 650 HU is interior, bone of 350 HU is contact; below 200 HU there is no bone."""

    def forward(self, x: Tensor) -> Tensor:
        hu, mask = 300.0 * x[:, :1] + 350.0, x[:, 1:]
        is_bone = (hu > 200.0) & (mask > 0.5)
        scores = (
            torch.where(is_bone, -20.0, 20.0),
            torch.full_like(hu, -20.0),
            -(((hu.clamp(max=BONE_HU) - BONE_HU) / 60.0) ** 2),
            -(((hu - GAP_HU) / 60.0) ** 2),
        )
        return torch.cat(scores, dim=1)


def spec_of(name: str) -> ModelSpec:
    is_fine, is_bones = name == "bones-fine", name.startswith("bones")
    plain = {"low_hu": -1000.0, "high_hu": 2000.0, "mean_hu": 0.0, "std_hu": 1.0}
    bones_config = UNet3DConfig(in_channels=6 if is_fine else 1, features=(4, 8))
    return ModelSpec(
        name=name,
        task="bones" if is_bones else "fragments",
        method="cascade" if is_bones else "fracsegmentator",
        network="unet3d" if is_bones else "tpc_net",
        config=bones_config.to_dict() if is_bones else TPCNetConfig(features=(4, 8)).to_dict(),
        bones=BONES,
        spacing_mm=((1.5,) * 3 if is_fine else (3.0,) * 3) if is_bones else (1.0,) * 3,
        normalisation=plain if is_bones else CtNormalisation().to_dict(),
        channels=("background", *BONES) if is_bones else FRACSEGMENTATOR.channels,
        licence="Apache-2.0",
        sha256="0" * 64,
    )


@pytest.fixture(autouse=True)
def _readers_for_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(_: Path | None, name: str, engine: Engine) -> tuple[ModelSpec, nn.Module]:
        return spec_of(name), DensityReader() if name.startswith("bones") else Reader()

    monkeypatch.setattr(models, "_load", load)
    monkeypatch.setattr(models, "COARSE_PATCH", (16, 16, 16))
    monkeypatch.setattr(models, "FINE_PATCH", (32, 32, 32))
    monkeypatch.setattr(
        models, "method_named", lambda _: replace(FRACSEGMENTATOR, patch=(32, 32, 32))
    )
    # The picture takes longer than all else here, and has tests of its own.
    monkeypatch.setattr(output, "write_preview", lambda path, *_, **__: path.write_bytes(b"PNG"))


def distance_inside_mm(places: np.ndarray) -> np.ndarray:
    """How deep places (..., 3) lie in the block; negative outside."""
    return (HALF_MM - np.abs(places)).min(axis=-1)


def places_of(geometry: Geometry, shift: tuple[float, ...] = (0.0, 0.0, 0.0)) -> np.ndarray:
    return geometry.to_lps(np.moveaxis(np.indices(geometry.shape), 0, -1) + np.array(shift))


def a_case(geometry: Geometry, gap_mm: tuple[float, float] = GAP_MM) -> Case:
    """The block on a grid; a voxel's HU is the mean of 27 places in it."""
    hu = np.zeros(geometry.shape)
    for shift in product((-1 / 3, 0.0, 1 / 3), repeat=3):
        places = places_of(geometry, shift)
        is_bone = distance_inside_mm(places) > 0
        is_gap = is_bone & (places[..., 2] > gap_mm[0]) & (places[..., 2] < gap_mm[1])
        is_body = distance_inside_mm(places) > -6.0
        hu += np.select([is_gap, is_bone, is_body], [GAP_HU, BONE_HU, TISSUE_HU], AIR_HU) / 27.0
    mask = (distance_inside_mm(places_of(geometry)) > 0).astype(np.uint8) * 2
    return (
        Volume(voxels=np.rint(hu).astype(np.int16), geometry=geometry),
        LabelVolume(voxels=mask, geometry=geometry),
    )


def a_grid(
    spacing_mm: tuple[float, float, float], direction: Any = CANONICAL_DIRECTION
) -> Geometry:
    """A grid around the block, of that spacing and those axes."""
    reach_mm = np.abs(np.asarray(direction)) @ (HALF_MM + 8.0)
    shape = tuple(max(12, int(n)) for n in np.ceil(2 * reach_mm / spacing_mm))
    first = -(np.array(shape) - 1) / 2 * spacing_mm
    origin = first @ np.asarray(direction)
    return Geometry(
        shape=shape,  # type: ignore[arg-type]
        spacing_mm=spacing_mm,
        direction=tuple(tuple(float(x) for x in row) for row in direction),  # type: ignore[arg-type]
        origin_lps_mm=tuple(float(x) for x in origin),  # type: ignore[arg-type]
    )


def turned_by(degrees_about: tuple[float, float, float]) -> np.ndarray:
    """Axes of an axial CT turned about Left, Posterior and Superior one after the other."""
    axes = np.asarray(CANONICAL_DIRECTION)
    for axis, degrees in enumerate(degrees_about):
        c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
        one, other = (axis + 1) % 3, (axis + 2) % 3
        turn = np.eye(3)
        turn[one, one], turn[one, other], turn[other, one], turn[other, other] = c, -s, s, c
        axes = axes @ turn.T
    return axes


@pytest.fixture(scope="module")
def straight() -> Case:
    return a_case(a_grid((1.5, 1.0, 0.8)))


def write(folder: Path, case: Case, ending: str = "nii.gz") -> list[str]:
    """Write CT and bones; returns what to call for them."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, volume in zip(("ct", "bones"), case, strict=True):
        write_volume(folder / f"{name}.{ending}", volume)
    return arguments(folder, ending)


def arguments(folder: Path, ending: str = "nii.gz", *more: str) -> list[str]:
    out, ct = folder.parent / "out", folder / f"ct.{ending}"
    return [
        "segment", str(ct), str(out), "--bones", str(folder / f"bones.{ending}"),
        "--device", "cpu", "--progress", "none", *more,
    ]  # fmt: skip


def segmented(tmp_path: Path, case: Case, ending: str = "nii.gz") -> LabelVolume:
    assert run(write(tmp_path / "in", case, ending)) == 0
    labels = read_labels(tmp_path / "out" / "fragments.nii.gz")
    assert labels.geometry.is_close_to(case[0].geometry, tolerance_mm=1e-2)
    return labels


def report_of(tmp_path: Path) -> dict[str, Any]:
    return dict(json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8")))


def assert_two_true_fragments(
    labels: LabelVolume,
    mask: LabelVolume,
    voxel_mm: float,
    gap_mm: tuple[float, float] = GAP_MM,
) -> None:
    """Exactly the mask, main piece below the gap and small one above, within interpolation."""
    np.testing.assert_array_equal(labels.voxels > 0, mask.voxels > 0)
    assert labels.values() == (51, 52)
    places = places_of(labels.geometry)
    inside, height_mm = distance_inside_mm(places) > 0.1, places[..., 2]
    slack_mm = 1.0 + voxel_mm
    assert set(np.unique(labels.voxels[inside & (height_mm < gap_mm[0] - slack_mm)])) == {51}
    assert set(np.unique(labels.voxels[inside & (height_mm > gap_mm[1] + slack_mm)])) == {52}


@pytest.mark.parametrize("ending", ["nii.gz", "nrrd", "mha"])
@pytest.mark.parametrize(
    "order",
    [
        AxisOrder(axes=(0, 1, 2), reversed_axes=(True, False, False)),
        AxisOrder(axes=(2, 0, 1), reversed_axes=(True, False, True)),
        AxisOrder(axes=(1, 2, 0), reversed_axes=(False, True, True)),
        AxisOrder(axes=(0, 2, 1), reversed_axes=(True, True, True)),
    ],
)
def test_a_flipped_or_permuted_file_gives_exactly_what_the_straight_one_gives(
    tmp_path: Path, straight: Case, order: AxisOrder, ending: str
) -> None:
    expected = segmented(tmp_path / "straight", straight)

    turned = segmented(tmp_path / "turned", tuple(order.volume(v) for v in straight), ending)

    np.testing.assert_array_equal(turned.voxels, order.apply(expected.voxels))
    assert_two_true_fragments(turned, order.volume(straight[1]), 1.5)


@pytest.mark.parametrize(
    "degrees", [(0.0, 0.0, 30.0), (20.0, 0.0, 0.0), (15.0, -25.0, 40.0), (0.0, 44.0, 0.0)]
)
def test_an_oblique_scan_of_the_same_patient_gives_the_same_fragments(
    tmp_path: Path, degrees: tuple[float, float, float]
) -> None:
    case = a_case(a_grid((1.2, 1.0, 1.0), turned_by(degrees)))

    labels = segmented(tmp_path, case)

    assert_two_true_fragments(labels, case[1], 1.2)
    (bone,) = report_of(tmp_path)["bones"]
    volumes = [fragment["volume_mm3"] for fragment in bone["fragments"]]
    # Each has half of the gap, 1.5 mm, or a voxel more or less.
    assert volumes[0] == pytest.approx(MAIN_MM3 + 864.0, rel=0.06)
    assert volumes[1] == pytest.approx(SMALL_MM3 + 864.0, rel=0.12)


@pytest.mark.parametrize(
    "spacing_mm",
    [(5.0, 1.0, 1.0), (1.0, 5.0, 1.0), (1.0, 1.0, 5.0), (5.0, 5.0, 1.0), (0.8, 0.6, 0.6)],
)
def test_voxels_from_thin_to_5_mm_along_any_axis_give_the_same_fragments(
    tmp_path: Path, spacing_mm: tuple[float, float, float]
) -> None:
    case = a_case(a_grid(spacing_mm), WIDE_GAP_MM)

    labels = segmented(tmp_path, case)

    assert_two_true_fragments(labels, case[1], spacing_mm[0], WIDE_GAP_MM)
    is_told = any("mm apart" in warning for warning in report_of(tmp_path)["warnings"])
    assert is_told == (max(spacing_mm) > 3.0)


def test_a_bone_that_leaves_the_volume_on_three_sides_is_divided_like_the_whole_one(
    tmp_path: Path, straight: Case
) -> None:
    """Of the block 10 slices, 10 rows and 10 columns are missing at its beginning."""
    first = [axis.min() + 10 for axis in np.nonzero(straight[1].voxels)]
    ends = straight[1].geometry.shape
    box = tuple(slice(int(a), b) for a, b in zip(first, ends, strict=True))
    whole = segmented(tmp_path / "whole", straight)
    cut = tuple(volume.cropped(box) for volume in straight)  # type: ignore[arg-type]

    labels = segmented(tmp_path / "cut", cut)  # type: ignore[arg-type]

    np.testing.assert_array_equal(labels.voxels > 0, cut[1].voxels > 0)
    assert (labels.voxels == whole.voxels[box]).mean() > 0.995


def test_metal_through_the_fracture_is_survived_and_warned_of(
    tmp_path: Path, straight: Case
) -> None:
    """A screw of 6 mm across the gap."""
    places = places_of(straight[0].geometry)
    screw = (np.hypot(places[..., 0], places[..., 1]) < 3.0) & (np.abs(places[..., 2]) < 30.0)
    hu = np.where(screw, METAL_HU, straight[0].voxels).astype(np.int16)

    labels = segmented(tmp_path, (straight[0].with_voxels(hu), straight[1]))

    np.testing.assert_array_equal(labels.voxels > 0, straight[1].voxels > 0)
    assert any("metal" in warning for warning in report_of(tmp_path)["warnings"])
    assert len(labels.values()) <= 3


def test_table_and_wires_do_not_become_fragments(tmp_path: Path) -> None:
    """A table of 150 HU 30 mm behind the block, and four wires of 2 mm on the skin before it."""
    grid = a_grid((1.5, 1.0, 1.0))
    wide = replace(
        grid,
        shape=(grid.shape[0] + 20, grid.shape[1] + 90, grid.shape[2] + 60),
        origin_lps_mm=tuple(grid.to_lps(np.array([-10.0, -45.0, -30.0])).tolist()),
    )
    ct, mask = a_case(wide)
    places = places_of(wide)
    hu = ct.voxels.copy()
    hu[(places[..., 1] > 42.0) & (places[..., 1] < 46.0)] = 150
    for x in (-24.0, -8.0, 8.0, 24.0):
        hu[np.hypot(places[..., 0] - x, places[..., 1] + 30.0) < 1.0] = 3000
    call = write(tmp_path / "in", (ct.with_voxels(hu), mask))
    call[call.index("--bones") + 1] = "auto"

    assert run(call) == 0

    labels = read_labels(tmp_path / "out" / "fragments.nii.gz")
    near = distance_inside_mm(places) > -3.0
    assert not labels.voxels[~near].any()
    assert labels.values() == (51, 52)


def test_an_intact_bone_is_one_piece_found(tmp_path: Path, straight: Case) -> None:
    whole = np.where(straight[1].voxels > 0, BONE_HU, straight[0].voxels).astype(np.int16)

    labels = segmented(tmp_path, (straight[0].with_voxels(whole), straight[1]))

    assert labels.values() == (51,)
    (bone,) = report_of(tmp_path)["bones"]
    assert bone["finding"] == "one piece found"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (["--only", "sacrum"], "found: left hip bone"),
        (["--bones", "EMPTY"], "The bone segmentation is empty."),
        (["--bones", "auto"], "Nothing in the volume is as dense as bone."),
        (["--bones", "threshold"], "Nothing in the volume is dense and large enough"),
    ],
)
def test_no_bone_ends_with_3_and_leaves_everything_as_it_was(
    tmp_path: Path,
    straight: Case,
    change: list[str],
    words: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    soft = np.minimum(straight[0].voxels, 60).astype(np.int16)
    call = write(tmp_path / "in", (straight[0].with_voxels(soft), straight[1]))
    empty = straight[1].with_voxels(np.zeros_like(straight[1].voxels))
    write_volume(tmp_path / "in" / "empty.nii.gz", empty)
    before = snapshot_of(tmp_path)

    more = [word.replace("EMPTY", str(tmp_path / "in" / "empty.nii.gz")) for word in change]
    assert run([*call, *more]) == 3

    printed = capsys.readouterr()
    assert words in printed.err
    assert printed.err.count("\n") == 1
    assert snapshot_of(tmp_path) == before


LONG = "/".join(f"{n:02d} " + "lång väg " * 8 for n in range(12))


@pytest.mark.parametrize(
    "name",
    ["with space", "Becken größer 骨盆 🦴", "-- $(touch x); 'quote' \"q\" %s", "x" * 250, LONG],
)
def test_names_with_spaces_foreign_letters_and_great_length_work(
    tmp_path: Path, straight: Case, name: str
) -> None:
    call = write(tmp_path / name / "in", straight)
    before = snapshot_of(tmp_path / name / "in")

    assert run(call) == 0

    assert read_labels(tmp_path / name / "out" / "fragments.nii.gz").values() == (51, 52)
    assert snapshot_of(tmp_path / name / "in") == before
    assert sorted(path.name for path in (tmp_path / name).iterdir()) == ["in", "out"]
    assert name.partition("/")[0] not in (tmp_path / name / "out" / "report.json").read_text()


def test_a_name_too_long_for_the_disk_is_refused_in_words(
    tmp_path: Path, straight: Case, capsys: pytest.CaptureFixture[str]
) -> None:
    call = write(tmp_path / "in", straight)
    call[2] = str(tmp_path / ("x" * 300))
    before = snapshot_of(tmp_path)

    assert run(call) == 4

    assert "The name of the output folder is too long." in capsys.readouterr().err
    assert snapshot_of(tmp_path) == before


EVIL_NAMES = ("../../evil", "/etc/cron.d/evil", "..\\..\\evil", "evil\x1b[2J", "CON", "a" * 5000)


def evil_segmentation(path: Path, mask: LabelVolume, name: str) -> Path:
    image = volume_to_sitk(mask)
    entries = {
        "Segment0_ID": name, "Segment0_Name": name, "Segment0_LabelValue": "2",
        "Segment0_Layer": "0", "Segment0_Color": "1 0 0", "Segment0_Extent": "0 1 0 1 0 1",
        "Segment0_Tags": f"Segmentation.Status:{name}|", name.replace("\\", "/"): "x",
    }  # fmt: skip
    for key, value in entries.items():
        image.SetMetaData(key, value)
    sitk.WriteImage(image, str(path), True)
    return path


@pytest.mark.parametrize("name", EVIL_NAMES)
def test_a_segment_with_the_name_of_a_place_writes_nothing_there(
    tmp_path: Path, straight: Case, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    home = tmp_path / "a" / "b"
    call = write(home / "in", straight)
    evil = evil_segmentation(home / "in" / "evil.seg.nrrd", straight[1], name)
    before = snapshot_of(tmp_path)

    status = run([*call, "--bones", str(evil)])

    assert status in {0, 2}
    after = snapshot_of(tmp_path)
    assert {
        path for path in after.keys() - before.keys() if not path.startswith("a/b/out")
    } == set()
    assert {path: after[path] for path in before} == before
    assert not Path("/etc/cron.d/evil").exists()
    texts = capsys.readouterr()
    assert "evil" not in texts.out + texts.err
    if status == 0:
        report = (home / "out" / "report.json").read_text()
        assert "evil" not in report
        meshes = sorted(path.name for path in (home / "out" / "meshes").iterdir())
        assert meshes == ["left_hip_1.stl", "left_hip_2.stl"]


@pytest.mark.parametrize("name", EVIL_NAMES)
@pytest.mark.parametrize("command", ["evaluate", "stl", "seg.nrrd", "nifti"])
def test_other_commands_write_nothing_outside_either(
    tmp_path: Path,
    straight: Case,
    name: str,
    command: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    home = tmp_path / "a" / "b"
    home.mkdir(parents=True)
    evil = evil_segmentation(home / "in.seg.nrrd", straight[1], name)
    before = snapshot_of(tmp_path)
    call = ["export", str(evil), str(home / "out"), "--format", command]
    if command == "evaluate":
        call = [command, str(evil), str(evil), "--pred-numbering", "fracseg"]
        call += ["--gt-numbering", "fracseg", "--no-distances"]

    status = run(call)

    assert status in {0, 2}, capsys.readouterr().err
    after = snapshot_of(tmp_path)
    assert not [path for path in after.keys() - before.keys() if not path.startswith("a/b/out")]
    assert {path: after[path] for path in before} == before
    assert "\x1b" not in "".join(capsys.readouterr())
    assert all(len(Path(path).name) < 200 for path in after)


def with_nan(hu: np.ndarray) -> np.ndarray:
    spoilt = hu.astype(np.float32)
    spoilt[:2] = np.nan
    spoilt[-1] = np.inf
    return spoilt


def with_padding(hu: np.ndarray) -> np.ndarray:
    spoilt = hu.copy()
    spoilt[:, :3] = -3024
    spoilt[:, -3:] = -2000
    return spoilt


@pytest.mark.parametrize("ending", ["nii", "nii.gz", "nrrd", "mha"])
@pytest.mark.parametrize("spoil", [with_nan, with_padding])
def test_absent_values_and_padding_are_air(
    tmp_path: Path, straight: Case, spoil: Callable[[np.ndarray], np.ndarray], ending: str
) -> None:
    expected = segmented(tmp_path / "clean", straight)
    spoilt = straight[0].with_voxels(spoil(np.asarray(straight[0].voxels)))

    labels = segmented(tmp_path / "spoilt", (spoilt, straight[1]), ending)

    np.testing.assert_array_equal(labels.voxels, expected.voxels)
    report = report_of(tmp_path / "spoilt")
    assert report["input"]["hu"]["min"] == (-1000.0 if spoil is with_nan else -1024.0) or (
        report["input"]["hu"]["min"] == -1024.0
    )
    assert not report["input"]["is_already_masked"]
    assert any("without a number" in w for w in report["warnings"]) == (spoil is with_nan)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda hu: hu.astype(np.uint16), "stored as large positive ones"),
        (lambda hu: (hu + 1024).astype(np.uint16), "rescale intercept was not applied"),
        (lambda hu: with_padding(hu + 1024), "rescale intercept was not applied"),
        (lambda hu: hu - 1024, "applied twice"),
        (lambda hu: with_padding(hu - 1024), "applied twice"),
        (lambda hu: hu.clip(0), "all cut off at 0"),
        (lambda hu: hu.clip(0).astype(np.uint16), "all cut off at 0"),
        (lambda hu: np.clip(hu / 8 + 125, 0, 255).astype(np.uint8), "a normalised picture"),
        (lambda hu: np.full(hu.shape, np.nan, np.float32), "holds no number"),
    ],
)
def test_values_that_no_ct_has_are_refused_with_the_range_seen(
    tmp_path: Path,
    straight: Case,
    change: Callable[[np.ndarray], np.ndarray],
    words: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    changed = straight[0].with_voxels(change(np.asarray(straight[0].voxels)))
    call = write(tmp_path / "in", (changed, straight[1]))
    before = snapshot_of(tmp_path)

    assert run(call) == 2

    printed = capsys.readouterr()
    assert words in printed.err
    assert printed.err.count("\n") == 1
    assert snapshot_of(tmp_path) == before


@pytest.mark.parametrize("spacing_mm", [(1.5, 1.0, 0.8), (4.0, 1.0, 2.0)])
@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda hu: with_padding(hu + 1024), "was not applied"),
        (lambda hu: hu - 1024, "applied twice"),
        (lambda hu: hu.clip(0), "cut off at 0"),
    ],
)
def test_a_spoilt_scale_is_refused_on_an_oblique_grid_of_uneven_voxels_too(
    tmp_path: Path,
    change: Callable[[np.ndarray], np.ndarray],
    words: str,
    spacing_mm: tuple[float, float, float],
    capsys: pytest.CaptureFixture[str],
) -> None:
    ct, mask = a_case(a_grid(spacing_mm, turned_by((15.0, -25.0, 40.0))))

    spoilt = change(np.asarray(ct.voxels)).astype(np.int16)

    assert run(write(tmp_path / "in", (ct.with_voxels(spoilt), mask))) == 2
    assert words in capsys.readouterr().err
    assert run(write(tmp_path / "good", (ct, mask))) == 0


def test_the_voxels_are_those_of_the_file_named_not_of_its_unpacked_twin(
    tmp_path: Path, straight: Case
) -> None:
    """`ct.nii` beside `ct.nii.gz`: the NIfTI library mixes the two up."""
    call = write(tmp_path / "in", straight)
    intact = np.where(straight[1].voxels > 0, BONE_HU, straight[0].voxels).astype(np.int16)
    write_volume(tmp_path / "in" / "ct.nii", straight[0].with_voxels(intact))
    write_volume(
        tmp_path / "in" / "bones.nii", straight[1].with_voxels(np.zeros_like(straight[1].voxels))
    )

    assert run(call) == 0
    assert read_labels(tmp_path / "out" / "fragments.nii.gz").values() == (51, 52)


def test_a_giant_in_a_small_file_is_refused_before_memory_is_asked_for(
    tmp_path: Path, straight: Case, capsys: pytest.CaptureFixture[str]
) -> None:
    call = write(tmp_path / "in", straight, "nii")
    ct = tmp_path / "in" / "ct.nii"
    content = bytearray(ct.read_bytes())
    struct.pack_into("<3h", content, 42, 32767, 32767, 32767)
    ct.write_bytes(content)
    before = snapshot_of(tmp_path)

    assert run(call) == 2

    assert "is too large for this computer" in capsys.readouterr().err
    assert snapshot_of(tmp_path) == before
