"""Both engines on the shipped models, and a whole run where PyTorch cannot be imported."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch.nn.functional as F
from torch import Tensor

from fracseg_training.phantoms.fractured import fractured_femur_phantom
from FractureSegmentationLib.geometry import Geometry
from FractureSegmentationLib.inference.engine import EngineName, choose_engine
from FractureSegmentationLib.inference.intensity import CtNormalisation, normalise
from FractureSegmentationLib.inference.predictor import Predictor
from FractureSegmentationLib.inference.windows import WindowPlan
from FractureSegmentationLib.io.sitk import write_volume
from FractureSegmentationLib.networks.blocks import InstanceNormAct
from FractureSegmentationLib.networks.model_folder import SHIPPED_FOLDER
from FractureSegmentationLib.networks.model_spec import read_spec
from FractureSegmentationLib.pipeline.models import patch_of
from FractureSegmentationLib.volume import Volume

pytest.importorskip("onnxruntime")
SHIPPED = sorted(folder.parent for folder in SHIPPED_FOLDER.glob("*/model.json"))
WITHOUT_TORCH = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "torch":
            raise ModuleNotFoundError("No module named 'torch'", name="torch")

sys.meta_path.insert(0, Absent())
from FractureSegmentationLib.cli.main import main
main()
"""


def a_broken_femur(spacing_mm: float, slices: int) -> tuple[np.ndarray, np.ndarray]:
    """HU and mask of the top of a broken left femur, at most 66 voxels wide."""
    phantom = fractured_femur_phantom(np.random.default_rng(3), spacing_mm=(spacing_mm,) * 3)
    box = (slice(len(phantom.hu) - slices, None), slice(0, 66), slice(0, 66))
    return phantom.hu[box], phantom.bones[box] > 0


def network_input(folder: Path) -> np.ndarray:
    """What the network sees of the femur at its own spacing."""
    spec = read_spec(folder)
    hu, bone = a_broken_femur(spec.spacing_mm[0], 66)
    channels = np.zeros((spec.network_config().in_channels, *bone.shape), np.float32)
    channels[0] = normalise(hu, CtNormalisation.from_dict(spec.normalisation))
    if spec.task == "fragments":
        channels[0][~bone] = channels[0].min()
        channels[1] = bone
    elif len(channels) > 1:
        channels[1 + spec.bones.index("left_femur")] = bone
    return channels


def precise_norm(self: InstanceNormAct, x: Tensor) -> Tensor:
    """Instance normalisation by two passes, which no large mean makes inexact."""
    normalised = F.instance_norm(x.contiguous(), weight=self.weight, bias=self.bias, eps=self.eps)
    return F.leaky_relu(normalised, self.slope)


@pytest.mark.parametrize("folder", SHIPPED, ids=lambda folder: folder.name)
def test_onnx_runtime_finds_what_pytorch_finds(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At least 99.9 % of the classes alike; probabilities within a thousandth of the exact ones.

    One in ten thousand may be up to two thousandths off.

    The kernel that PyTorch is fast with on processors takes the variance in one pass and is itself
    up to a hundredth off where a window is nearly constant, so it is no measure of the other.
    """
    channels = network_input(folder)
    where = np.zeros(channels.shape[1:], bool)
    where[tuple(n // 2 for n in where.shape)] = True  # one window

    def found(engine: EngineName) -> np.ndarray:
        spec, network = choose_engine(engine).load(folder)
        air = CtNormalisation.from_dict(spec.normalisation).outside_value
        padding = (air, *[0.0] * (len(channels) - 1))
        plan = WindowPlan(patch=patch_of(spec), overlap=0.0, padding=padding)
        predictor = Predictor(network, plan, device="cpu", precision="fp32")
        return predictor.predict_float32(channels, where)

    ours, theirs = found("onnxruntime"), found("torch")
    monkeypatch.setattr(InstanceNormAct, "forward", precise_norm)
    exact = found("torch")

    assert len(np.unique(theirs.argmax(0))) > 1
    assert (theirs.argmax(0) == ours.argmax(0)).mean() >= 0.999
    assert np.quantile(np.abs(ours - exact), 0.9999) <= 1e-3
    np.testing.assert_allclose(ours, exact, rtol=0.0, atol=2e-3)


def test_a_ct_is_segmented_where_pytorch_cannot_be_imported(
    tmp_path: Path, repository: Path
) -> None:
    """Bones by the cascade, fragments by TPC-Net, the result folder: all without torch."""
    hu, _ = a_broken_femur(3.0, 45)
    geometry = Geometry(shape=hu.shape, spacing_mm=(3.0, 3.0, 3.0))
    write_volume(tmp_path / "ct.nii.gz", Volume(voxels=hu, geometry=geometry))
    command = ["segment", str(tmp_path / "ct.nii.gz"), str(tmp_path / "out"), "--no-meshes"]

    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH, *command],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(repository)},
    )

    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8"))
    assert report["engine"]["name"] == "onnxruntime"
    assert report["engine"]["version"]
    assert (report["device"], report["precision"]) == ("cpu", "fp32")
    assert len(report["bones"]) == 1
    assert "femur" in done.stdout


@pytest.mark.parametrize(
    ("command", "status", "message"),
    [
        (["segment", "ct.nii.gz", "out", "--engine", "torch"], 4, "torch is not installed"),
        (["networks"], 4, "The package torch, which this needs, is not installed."),
    ],
)
def test_what_needs_pytorch_says_so_where_it_cannot_be_imported(
    tmp_path: Path, repository: Path, command: list[str], status: int, message: str
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH, *command],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(repository)},
    )

    assert (done.returncode, message in done.stderr) == (status, True), done.stderr
    assert "pip install torch" in done.stderr
