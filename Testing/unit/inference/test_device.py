"""The choice of device and precision."""

from __future__ import annotations

import pytest
import torch

from FractureSegmentationLib.errors import EnvironmentProblemError, InputError
from FractureSegmentationLib.inference import device as module
from FractureSegmentationLib.inference.device import choose_device, choose_precision


def test_the_cpu_is_always_there() -> None:
    assert choose_device("cpu") == torch.device("cpu")


@pytest.mark.parametrize("name", ["gpu", "cpu:0", "cuda:x", "", "mps:1"])
def test_a_word_that_names_no_device_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="no device called"):
        choose_device(name)


def test_an_absent_gpu_is_the_environments_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(EnvironmentProblemError, match="cuda:1"):
        choose_device("cuda:1")


def test_auto_prefers_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert choose_device("auto").type == "cuda"


@pytest.mark.parametrize(
    ("has_it", "gain", "expected"),
    [(True, 2.0, "bf16"), (True, 1.1, "fp32"), (False, 9.0, "fp32")],
)
def test_a_processor_computes_in_bfloat16_only_where_that_is_clearly_faster(
    monkeypatch: pytest.MonkeyPatch, has_it: bool, gain: float, expected: str
) -> None:
    monkeypatch.setattr(module, "_has_bf16_instructions", lambda: has_it)
    monkeypatch.setattr(module, "_bf16_gain", lambda: gain)
    assert choose_precision(torch.device("cpu")) == expected


@pytest.mark.parametrize(("capability", "expected"), [(9, "bf16"), (7, "fp16"), (6, "fp32")])
def test_a_gpu_computes_in_what_its_generation_is_good_at(
    monkeypatch: pytest.MonkeyPatch, capability: int, expected: str
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (capability, 0))
    assert choose_precision(torch.device("cuda")) == expected
