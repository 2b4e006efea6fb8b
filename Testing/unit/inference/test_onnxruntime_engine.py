"""ONNX Runtime as an engine: what it refuses, and what happens when memory runs out."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from FractureSegmentationLib.errors import (
    DamagedWeightsError,
    EnvironmentProblemError,
    InputError,
    MissingWeightsError,
    RunCancelledError,
)
from FractureSegmentationLib.inference.predictor import Predictor
from FractureSegmentationLib.inference.windows import WindowPlan
from FractureSegmentationLib.networks.model_folder import SHIPPED_FOLDER
from FractureSegmentationLib.networks.model_spec import GRAPH_FILE, SPEC_FILE, read_spec
from FractureSegmentationLib.progress import Progress

pytest.importorskip("onnxruntime")
from FractureSegmentationLib.inference.onnxruntime_engine import ENGINE, OnnxNetwork

MODEL = "bones-fine"


class Port:
    """Name and shape of what goes into a graph or comes out."""

    def __init__(self, name: str, shape: tuple[int, ...]) -> None:
        self.name, self.shape = name, shape


class Session:
    """Stands in for a session: class 1 wherever the first channel is positive."""

    def __init__(self, on_run: Callable[[], None] = lambda: None, side: int = 4) -> None:
        self.on_run = on_run
        self.shape = (1, 6, side, side, side)
        self.calls = 0

    def get_inputs(self) -> list[Port]:
        return [Port("channels", self.shape)]

    def get_outputs(self) -> list[Port]:
        return [Port("logits", self.shape)]

    def run(self, _: None, feed: dict[str, np.ndarray]) -> list[np.ndarray]:
        self.calls += 1
        self.on_run()
        logits = np.zeros(self.shape, np.float32)
        logits[:, 1] = feed["channels"][:, 0]
        return [logits]


def a_predictor(session: Any) -> Predictor:
    network = OnnxNetwork(session, read_spec(SHIPPED_FOLDER / MODEL))
    return Predictor(network, WindowPlan(patch=(4, 4, 4), overlap=0.25, padding=(0.0,) * 6))


@pytest.fixture
def channels(rng: np.random.Generator) -> np.ndarray:
    return rng.normal(0.0, 2.0, (6, 9, 10, 11)).astype(np.float32)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A copy of a shipped model that a test may change."""
    return shutil.copytree(SHIPPED_FOLDER / MODEL, tmp_path / MODEL)


def test_windows_are_blended_as_those_of_every_engine(channels: np.ndarray) -> None:
    """However windows overlap, class 1 has the probability exp(x) / (5 + exp(x))."""
    found = a_predictor(Session()).predict(channels, np.ones(channels.shape[1:], bool))

    expected = np.exp(channels[0]) / (5 + np.exp(channels[0]))
    np.testing.assert_allclose(found[1], expected, atol=1e-3)
    assert found.dtype == np.float16
    assert found.flags.c_contiguous


def test_the_engine_names_itself() -> None:
    predictor = a_predictor(Session())

    assert (predictor.engine.name, predictor.placement.device) == ("onnxruntime", "cpu")
    assert predictor.engine.version


@pytest.mark.parametrize("device", ["cuda", "cuda:1", "mps"])
def test_other_devices_than_the_processor_are_refused(device: str) -> None:
    with pytest.raises(EnvironmentProblemError, match=f"not on {device}"):
        ENGINE.device_named(device)


def test_a_word_that_names_no_device_is_refused() -> None:
    with pytest.raises(InputError, match="no device called"):
        ENGINE.device_named("gpu")


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_other_precisions_than_float32_are_refused(precision: str) -> None:
    with pytest.raises(InputError, match=precision):
        ENGINE.refuse_unusable([], precision)


def test_a_model_that_was_not_exported_is_refused_with_the_command_that_does_it(
    model: Path,
) -> None:
    spec = json.loads((model / SPEC_FILE).read_text(encoding="utf-8")) | {"onnx_sha256": ""}
    (model / SPEC_FILE).write_text(json.dumps(spec), encoding="utf-8")

    with pytest.raises(MissingWeightsError, match=r"no model\.onnx") as caught:
        ENGINE.refuse_unusable([read_spec(model)], "auto")

    assert "fracseg models export" in caught.value.remedy
    with pytest.raises(MissingWeightsError, match=r"no model\.onnx"):
        ENGINE.load(model)


def test_a_graph_that_was_changed_is_refused(model: Path) -> None:
    content = bytearray((model / GRAPH_FILE).read_bytes())
    content[100] ^= 1
    (model / GRAPH_FILE).write_bytes(content)

    with pytest.raises(DamagedWeightsError, match=r"model\.onnx"):
        ENGINE.load(model)


def test_a_graph_with_other_channels_than_described_is_refused() -> None:
    session = Session()
    session.shape = (1, 5, 4, 4, 4)

    with pytest.raises(DamagedWeightsError, match="cannot be run"):
        a_predictor(session)


def test_windows_of_another_size_than_the_graph_are_the_callers_bug() -> None:
    with pytest.raises(ValueError, match="windows of"):
        a_predictor(Session(side=8))


def test_too_little_memory_for_one_window_is_told_with_a_remedy(channels: np.ndarray) -> None:
    def fail() -> None:
        raise RuntimeError("Failed to allocate memory for requested buffer of size 16777216")

    with pytest.raises(EnvironmentProblemError, match="not enough memory") as caught:
        a_predictor(Session(fail)).predict(channels, np.ones(channels.shape[1:], bool))

    assert caught.value.remedy


def test_cancel_takes_effect_between_two_windows(channels: np.ndarray) -> None:
    progress = Progress()
    session = Session(progress.token.cancel)

    with pytest.raises(RunCancelledError):
        a_predictor(session).predict(channels, np.ones(channels.shape[1:], bool), progress)

    assert session.calls == 1
