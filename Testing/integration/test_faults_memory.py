"""Memory that runs out: on the device, then on the host, or anywhere else in a run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from FractureSegmentationLib.errors import EnvironmentProblemError
from FractureSegmentationLib.inference.device import TorchPlacement
from FractureSegmentationLib.inference.placement import Placement
from FractureSegmentationLib.inference.predictor import Predictor
from FractureSegmentationLib.inference.windows import WindowPlan
from FractureSegmentationLib.progress import Progress
from Testing.integration.fault_shell import Case, FaultyShell, snapshot_of

PLAN = WindowPlan(patch=(4, 4, 4), overlap=0.25, padding=(0.0,))
NETWORK = "call FractureSegmentationLib.networks.tpc_net:TPCNet.forward"


class Sign(nn.Module):
    """Two classes per voxel: the logit of class 1 is the first channel."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat((torch.zeros_like(x[:, :1]), x[:, :1]), dim=1)


class Starved(Sign):
    """Fails a number of times with one error after the other, then has memory."""

    def __init__(self, errors: list[Exception]) -> None:
        super().__init__()
        self.errors = errors

    def forward(self, x: Tensor) -> Tensor:
        if self.errors:
            raise self.errors.pop(0)
        return super().forward(x)


def device_full() -> Exception:
    return torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.")


def host_full() -> Exception:
    return RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: 8000000000")


@pytest.fixture
def logits(rng: np.random.Generator) -> np.ndarray:
    return rng.normal(0.0, 2.0, (1, 9, 10, 11)).astype(np.float32)


@pytest.fixture
def pretended_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """A device that calls itself cuda and computes on the processor."""
    real_to, real_full = Tensor.to, torch.zeros

    def to(self: Tensor, *args: object, **options: object) -> Tensor:
        kept = [a for a in args if not (isinstance(a, torch.device) and a.type == "cuda")]
        return real_to(self, *kept, **options) if kept or options else self

    def zeros(*args: object, **options: object) -> Tensor:
        options.pop("device", None)
        return real_full(*args, **options)

    monkeypatch.setattr(Tensor, "to", to)
    monkeypatch.setattr(torch, "zeros", zeros)
    monkeypatch.setattr(nn.Module, "to", lambda self, *_, **__: self)


def predict(
    network: nn.Module, logits: np.ndarray, first: Placement | None = None
) -> tuple[np.ndarray, Predictor, list[str]]:
    predictor = Predictor(network, PLAN, device="cpu", precision="fp32", batch=2)
    if first is not None:
        predictor._placement = first  # no machine of the tests has a GPU
    progress = Progress()
    found = predictor.predict(logits, np.ones(logits.shape[1:], bool), progress)
    return found, predictor, progress.warnings


@pytest.mark.usefixtures("pretended_gpu")
def test_a_full_gpu_hands_over_step_by_step_until_the_processor_takes_all(
    logits: np.ndarray,
) -> None:
    """Batch 2 to 1, then the sum to the host, then everything to the processor."""
    gpu = TorchPlacement(device="cuda", precision="fp32", batch=2)
    expected, _, _ = predict(Sign(), logits)

    found, predictor, warnings = predict(Starved([device_full() for _ in range(3)]), logits, gpu)

    np.testing.assert_allclose(found, expected, atol=2e-3)
    assert predictor.placement.device == "cpu"
    assert [w.split(";")[0].split(",")[0] for w in warnings] == [
        "Memory ran out",
        "The GPU ran out of memory",
        "The device cuda failed or ran out of memory",
    ]


@pytest.mark.usefixtures("pretended_gpu")
def test_full_on_the_device_and_then_on_the_host_is_told_with_a_remedy(
    logits: np.ndarray,
) -> None:
    gpu = TorchPlacement(device="cuda", precision="fp32", batch=1)
    errors = [device_full(), device_full(), host_full()]

    with pytest.raises(EnvironmentProblemError, match="not enough memory") as caught:
        predict(Starved(errors), logits, gpu)

    assert errors == []
    assert caught.value.remedy


@pytest.mark.parametrize("error", [MemoryError(), host_full(), device_full()])
def test_a_full_host_halves_the_batch_first(logits: np.ndarray, error: Exception) -> None:
    expected, _, _ = predict(Sign(), logits)

    found, predictor, warnings = predict(Starved([error]), logits)

    np.testing.assert_allclose(found, expected, atol=2e-3)
    assert predictor.placement.batch == 1
    assert warnings == ["Memory ran out; the batch was reduced from 2 to 1 windows."]


@pytest.mark.parametrize(
    ("place", "what"),
    [
        (NETWORK, "memory"),
        (NETWORK, "device memory"),
        ("call FractureSegmentationLib.pipeline.segment:read_ct", "memory"),
        ("call FractureSegmentationLib.pipeline.segment:find_bones", "memory"),
        ("call FractureSegmentationLib.pipeline.fragments:labels_to_grid", "memory"),
        ("call FractureSegmentationLib.io.read:read_labels", "memory"),
        ("open report.json", "memory"),
    ],
)
def test_a_run_without_memory_ends_as_a_problem_of_the_machine(
    shell: FaultyShell, case: Case, previous: Path, place: str, what: str
) -> None:
    before = snapshot_of(previous.parent)

    run = shell.run(case.arguments(previous, "--overwrite"), (place, what))

    assert run.status == 4
    assert run.events[-1]["code"] == "environment"
    assert "not enough memory" in run.events[-1]["message"]
    assert run.events[-1]["remedy"]
    assert snapshot_of(previous.parent) == before
    assert not run.has_orphans


@pytest.mark.parametrize("command", ["info", "segment"])
def test_other_ways_of_calling_say_it_in_words(
    shell: FaultyShell, case: Case, tmp_path: Path, command: str
) -> None:
    arguments = ["info", str(case.ct)]
    if command == "segment":
        arguments = [*case.arguments(tmp_path / "out"), "--progress", "none"]

    run = shell.run(arguments, ("call FractureSegmentationLib.io.read:clean_hu", "memory"))

    assert run.status == 4
    assert run.stderr.startswith("Error: There is not enough memory for this CT. Close other")
    assert list(tmp_path.iterdir()) == []
