"""The predictor: blending, padding, cancelling, and its falls back when memory runs out."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from FractureSegmentationLib.errors import EnvironmentProblemError, RunCancelledError
from FractureSegmentationLib.inference.device import TorchPlacement
from FractureSegmentationLib.inference.placement import Precision
from FractureSegmentationLib.inference.predictor import Predictor
from FractureSegmentationLib.inference.windows import WindowPlan
from FractureSegmentationLib.progress import Event, Progress
from FractureSegmentationLib.types import Shape


class Sign(nn.Module):
    """Two classes per voxel: the logit of class 1 is the first channel."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat((torch.zeros_like(x[:, :1]), x[:, :1]), dim=1)


class Named(NamedTuple):
    logits: Tensor
    other: Tensor


class Greedy(Sign):
    """Has memory for one window at a time."""

    calls = 0

    def forward(self, x: Tensor) -> Tensor:
        Greedy.calls += 1
        if len(x) > 1:
            raise RuntimeError("CUDA out of memory. Tried to allocate 20.00 GiB")
        return super().forward(x)


def a_predictor(
    network: nn.Module,
    *,
    patch: Shape = (4, 4, 4),
    overlap: float = 0.25,
    padding: tuple[float, ...] = (0.0,),
    precision: Precision = "fp32",
    batch: int | None = None,
) -> Predictor:
    plan = WindowPlan(patch=patch, overlap=overlap, padding=padding)
    return Predictor(network, plan, device="cpu", precision=precision, batch=batch)


@pytest.fixture
def logits(rng: np.random.Generator) -> np.ndarray:
    return rng.normal(0.0, 2.0, (1, 9, 10, 11)).astype(np.float32)


def test_a_network_that_looks_at_single_voxels_is_reproduced_exactly(logits: np.ndarray) -> None:
    """However windows overlap, class 1 has the probability 1 / (1 + exp(-logit))."""
    where = np.ones(logits.shape[1:], bool)

    probabilities = a_predictor(Sign()).predict(logits, where)

    np.testing.assert_allclose(probabilities[1], 1 / (1 + np.exp(-logits[0])), atol=1e-3)
    np.testing.assert_allclose(probabilities.sum(axis=0), 1.0, atol=2e-3)
    assert probabilities.dtype == np.float16


def test_a_volume_smaller_than_a_window_is_padded_and_comes_back_in_its_own_size() -> None:
    logits = np.full((1, 3, 9, 2), 2.0, np.float32)
    probabilities = a_predictor(Sign()).predict(logits, np.ones((3, 9, 2), bool))
    assert probabilities.shape == (2, 3, 9, 2)
    np.testing.assert_allclose(probabilities[1], 1 / (1 + np.exp(-2)), atol=1e-3)


def test_what_no_window_saw_is_background() -> None:
    logits = np.full((1, 12, 12, 12), 5.0, np.float32)
    where = np.zeros((12, 12, 12), bool)
    where[1:3, 1:3, 1:3] = True

    probabilities = a_predictor(Sign()).predict(logits, where)

    assert probabilities[:, 11, 11, 11].tolist() == [1.0, 0.0]
    assert probabilities[1, 2, 2, 2] > 0.99


def test_the_middle_of_a_window_outweighs_the_border_of_its_neighbour() -> None:
    """Windows at 0 and 2 of width 4 share voxels 2 and 3; voxel 2 is further inside the first."""

    class Position(nn.Module):
        """Class 1 in every window that has a 1 at its start."""

        def forward(self, x: Tensor) -> Tensor:
            level = x[:, :, :, :, :1].expand_as(x)
            return torch.cat((-9 * level, 9 * level), dim=1)

    channels = np.full((1, 1, 1, 6), -1.0, np.float32)
    channels[..., 0] = 1.0
    predictor = a_predictor(Position(), patch=(1, 1, 4), overlap=0.5)

    ones = predictor.predict(channels, np.ones((1, 1, 6), bool))[1].ravel()

    w = np.exp(-0.5 * ((np.arange(4) - 1.5) / 0.5) ** 2)
    assert ones[2] == pytest.approx(w[2] / (w[2] + w[0]), abs=2e-3)
    assert ones[3] == pytest.approx(w[3] / (w[3] + w[1]), abs=2e-3)


def test_logits_are_found_in_a_named_output(logits: np.ndarray) -> None:
    class Wrapped(Sign):
        def forward(self, x: Tensor) -> Named:  # type: ignore[override]
            return Named(super().forward(x), x)

    where = np.ones(logits.shape[1:], bool)
    np.testing.assert_allclose(
        a_predictor(Wrapped()).predict(logits, where), a_predictor(Sign()).predict(logits, where)
    )


@pytest.mark.parametrize("batch", [1, 3, 64])
def test_the_batch_size_does_not_change_the_result(logits: np.ndarray, batch: int) -> None:
    where = logits[0] > 0
    one = a_predictor(Sign(), batch=1).predict(logits, where)
    np.testing.assert_allclose(
        a_predictor(Sign(), batch=batch).predict(logits, where), one, atol=1e-3
    )


def test_too_little_memory_halves_the_batch_and_says_so(logits: np.ndarray) -> None:
    events: list[Event] = []
    progress = Progress(listener=events.append)
    predictor = a_predictor(Greedy(), batch=4)

    probabilities = predictor.predict(logits, np.ones(logits.shape[1:], bool), progress)

    assert predictor.placement.batch == 1
    assert progress.warnings == [
        "Memory ran out; the batch was reduced from 4 to 2 windows.",
        "Memory ran out; the batch was reduced from 2 to 1 windows.",
    ]
    np.testing.assert_allclose(probabilities[1], 1 / (1 + np.exp(-logits[0])), atol=1e-3)


def test_a_gpu_without_memory_first_hands_the_sum_to_the_host_then_everything() -> None:
    full = TorchPlacement(device="cuda", precision="bf16", batch=2)
    steps = [full]
    while (smaller := steps[-1].smaller()) is not None:
        steps.append(smaller)
    assert [(s.device, s.batch, s.collects_on_host) for s in steps] == [
        ("cuda", 2, False),
        ("cuda", 1, False),
        ("cuda", 1, True),
        ("cpu", 1, False),
    ]


def test_not_even_one_window_fitting_is_told_with_a_remedy(logits: np.ndarray) -> None:
    class Hopeless(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            raise MemoryError

    with pytest.raises(EnvironmentProblemError, match="not enough memory"):
        a_predictor(Hopeless()).predict(logits, np.ones(logits.shape[1:], bool))


def test_a_programming_error_is_not_mistaken_for_a_lack_of_memory(logits: np.ndarray) -> None:
    class Broken(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            raise RuntimeError("shape mismatch")

    with pytest.raises(RuntimeError, match="shape mismatch"):
        a_predictor(Broken()).predict(logits, np.ones(logits.shape[1:], bool))


def test_cancel_takes_effect_between_two_batches(logits: np.ndarray) -> None:
    progress = Progress()

    class Cancelling(Sign):
        calls = 0

        def forward(self, x: Tensor) -> Tensor:
            Cancelling.calls += 1
            progress.token.cancel()
            return super().forward(x)

    with pytest.raises(RunCancelledError):
        a_predictor(Cancelling(), batch=1).predict(
            logits, np.ones(logits.shape[1:], bool), progress
        )
    assert Cancelling.calls == 1


def test_progress_rises_to_one(logits: np.ndarray) -> None:
    events: list[Event] = []
    a_predictor(Sign()).predict(
        logits, np.ones(logits.shape[1:], bool), Progress(listener=events.append)
    )
    values = [event.value for event in events]
    assert values == sorted(values)
    assert values[0] == 0.0
    assert values[-1] == 1.0


def test_bfloat16_gives_the_probabilities_of_float32_within_its_rounding(
    logits: np.ndarray,
) -> None:
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv3d(1, 8, 3, padding=1), nn.InstanceNorm3d(8), nn.LeakyReLU(), nn.Conv3d(8, 2, 1)
    )
    where = np.ones(logits.shape[1:], bool)
    exact = a_predictor(network).predict(logits, where)
    rough = a_predictor(network, precision="bf16").predict(logits, where)
    assert not np.array_equal(exact, rough)
    np.testing.assert_allclose(rough, exact, atol=0.05)


def test_padding_must_be_given_for_every_channel(logits: np.ndarray) -> None:
    with pytest.raises(ValueError, match="padding"):
        a_predictor(Sign(), padding=(0.0, 1.0)).predict(logits, np.ones(logits.shape[1:], bool))


@pytest.mark.parametrize(("side", "batch"), [(64, 2), (65, 1)])
def test_a_processor_takes_two_small_windows_at_a_time_and_large_ones_singly(
    side: int, batch: int
) -> None:
    plan = WindowPlan(patch=(side, side, side), overlap=0.5, padding=(0.0,))

    predictor = Predictor(nn.Conv3d(1, 2, 1), plan, device="cpu", precision="fp32")

    assert predictor.placement.batch == batch
