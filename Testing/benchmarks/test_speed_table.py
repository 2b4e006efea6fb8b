"""The speed table: how pairs are timed, what a row says, and MONAI beside the predictor."""

from __future__ import annotations

import importlib.util
import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from torch import nn

from fracseg_training.benchmarks.speed import case
from fracseg_training.benchmarks.speed.case import AVX2_ONLY, avx2_rows, twice_as_long
from fracseg_training.benchmarks.speed.measure import SpeedRow, SpeedSettings, paired
from fracseg_training.benchmarks.speed.predictor import (
    MISSING_MONAI,
    monai_probabilities,
    monai_windows,
    predictor_rows,
)
from fracseg_training.benchmarks.speed.recovery import growth_exponent
from fracseg_training.benchmarks.speed.table import PARTS, speed_rows
from fracseg_training.commands.benchmark import SPEED_PARTS, benchmark
from FractureSegmentationLib.geometry import Geometry
from FractureSegmentationLib.inference.predictor import Predictor
from FractureSegmentationLib.inference.windows import WindowPlan
from FractureSegmentationLib.volume import LabelVolume


@pytest.fixture
def settings(tmp_path: Path) -> SpeedSettings:
    return SpeedSettings(data=tmp_path, repeats=1)


@pytest.fixture
def a_small_network() -> nn.Module:
    torch.manual_seed(1)
    return nn.Sequential(nn.Conv3d(2, 6, 3, padding=1), nn.InstanceNorm3d(6), nn.Conv3d(6, 4, 1))


def test_two_ways_run_in_turn_and_the_median_pair_decides() -> None:
    """First takes 6, 8, 90 s and second 3, 2, 10 s: pairs 2, 4 and 9 times; medians 8 and 3 s."""
    calls: list[str] = []
    times = iter([0.0, 6.0, 9.0, 10.0, 18.0, 20.0, 30.0, 120.0, 130.0])

    def first() -> int:
        calls.append("A")
        return 1

    def second() -> str:
        calls.append("B")
        return "two"

    run = paired(first, second, repeats=3, clock=lambda: next(times))

    assert calls == list("ABABAB")
    assert (run.first, run.second) == (1, "two")
    assert (run.first_seconds, run.second_seconds, run.ratio) == (8.0, 3.0, 4.0)
    with pytest.raises(ValueError, match="one pair"):
        paired(first, second, repeats=0)


def test_a_row_says_whether_its_target_was_met() -> None:
    assert SpeedRow(name="a", measured="2 s").line() == "a: 2 s"
    met = SpeedRow(name="a", measured="2 s", target="at most 3 s", is_met=True)
    missed = SpeedRow(name="a", measured="4 s", target="at most 3 s", is_met=False)
    assert met.line() == "a: 2 s  [at most 3 s: met]"
    assert missed.line() == "a: 4 s  [at most 3 s: MISSED]"


def test_growth_is_the_power_of_the_size() -> None:
    assert growth_exponent([1, 2, 4], [3.0, 12.0, 48.0]) == pytest.approx(2.0)


def test_settings_without_a_thread_or_a_pair_and_unknown_parts_are_refused(
    tmp_path: Path, settings: SpeedSettings
) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        SpeedSettings(data=tmp_path, threads=0)
    with pytest.raises(ValueError, match="unknown parts: tea"):
        next(speed_rows(settings, ["tea"]))


def test_a_padded_volume_keeps_its_voxels_where_they_lie() -> None:
    voxels = np.arange(1, 25, dtype=np.uint8).reshape(2, 3, 4)
    geometry = Geometry(shape=(2, 3, 4), spacing_mm=(2.0, 1.0, 1.0), origin_lps_mm=(5.0, 6.0, 7.0))

    padded = twice_as_long(LabelVolume(voxels=voxels, geometry=geometry))

    np.testing.assert_array_equal(padded.voxels[:2], voxels)
    assert padded.voxels.shape == padded.geometry.shape == (4, 3, 4)
    assert not padded.voxels[2:].any()
    assert padded.geometry.origin_lps_mm == geometry.origin_lps_mm


def test_the_command_offers_exactly_the_parts_there_are() -> None:
    assert set(SPEED_PARTS) == set(PARTS)
    result = CliRunner().invoke(benchmark, ["speed", ".", "--part", "tea"])
    assert result.exit_code == 2
    assert "tea" in result.output


def test_without_monai_its_rows_are_skipped_with_a_sentence(
    settings: SpeedSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda *_: None)

    (row,) = predictor_rows(settings)

    assert row.measured == MISSING_MONAI
    assert row.is_met is None


def test_a_missed_target_is_counted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    rows = [
        SpeedRow(name="a", measured="1 s", target="t", is_met=True),
        SpeedRow(name="b", measured="2 s", target="t", is_met=False),
    ]
    monkeypatch.setitem(PARTS, "avx2", lambda *_: iter(rows))  # type: ignore[index]

    result = CliRunner().invoke(benchmark, ["speed", str(tmp_path), "--part", "avx2"])

    assert result.exit_code == 0, result.output
    assert result.output.splitlines()[-1] == "1 target(s) missed"


def test_the_limited_run_is_a_process_of_its_own_that_sees_avx2_only(
    settings: SpeedSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[dict[str, str]] = []
    cost = {
        "seconds": 400.0,
        "cpu_seconds": 299.0,
        "precision": "fp32",
        "peak_mebibytes": 900.0,
        "stages": {"read": 1.0},
    }

    def run(command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
        seen.append(options["env"])
        return subprocess.CompletedProcess(command, 0, "a warning\n" + json.dumps(cost), "")

    monkeypatch.setattr(case.subprocess, "run", run)

    limited, free = avx2_rows(settings)

    assert {key: seen[0][key] for key in AVX2_ONLY} == AVX2_ONLY
    assert limited.is_met is True, "one thread is judged by its processor time"
    assert free.is_met is None
    assert "299 s (fp32; read 1.0 s), peak memory 900 MiB" in limited.measured


def test_monai_and_the_predictor_agree_in_float32_over_the_same_windows(
    a_small_network: nn.Module,
) -> None:
    pytest.importorskip("monai", reason="MONAI is an optional reference")
    channels = np.random.default_rng(2).normal(size=(2, 40, 33, 37)).astype(np.float32)
    plan = WindowPlan(patch=(16, 16, 16), overlap=0.5, padding=(0.0, 0.0))
    windows = monai_windows((40, 33, 37), plan.patch, plan.overlap)
    theirs = monai_probabilities(
        a_small_network.eval(), channels, plan.patch, overlap=0.5, mode="gaussian"
    )

    predictor = Predictor(a_small_network, plan, device="cpu", precision="fp32")
    ours = predictor.predict_float32(channels, np.ones((40, 33, 37), bool), windows=windows)

    assert len(windows) == 4 * 4 * 4
    assert ours.dtype == np.float32
    np.testing.assert_allclose(ours, theirs, atol=1e-5)
    halved = predictor.predict(channels, np.ones((40, 33, 37), bool), windows=windows)
    np.testing.assert_array_equal(halved, ours.astype(np.float16))
