"""Weights of nnU-Net networks in ours."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from FractureSegmentationLib.errors import DamagedWeightsError, MissingWeightsError
from FractureSegmentationLib.networks.config import TPCNetConfig, UNet3DConfig
from FractureSegmentationLib.networks.nnunet import read_checkpoint, remap, transfer
from FractureSegmentationLib.networks.tpc_net import TPCNet
from FractureSegmentationLib.networks.unet3d import UNet3D

FEATURES = (4, 6, 8)


def _plain_conv_unet(channels: int = 1, classes: int = 3) -> nn.Module:
    unet = pytest.importorskip(
        "dynamic_network_architectures.architectures.unet",
        reason="the reference is not installed: pip install dynamic-network-architectures",
    )
    torch.manual_seed(0)
    network: nn.Module = unet.PlainConvUNet(
        channels,
        len(FEATURES),
        FEATURES,
        nn.Conv3d,
        3,
        (1, 2, 2),
        2,
        classes,
        2,
        conv_bias=True,
        norm_op=nn.InstanceNorm3d,
        norm_op_kwargs={"eps": 1e-5, "affine": True},
        nonlin=nn.LeakyReLU,
        nonlin_kwargs={"inplace": True},
    )
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.2)
    return network.eval()


def _stand_in() -> dict[str, Tensor]:
    """The names of `PlainConvUNet`, for tests that run without it."""
    return {
        "_orig_mod.encoder.stages.0.0.convs.0.conv.weight": torch.ones(4, 1, 3, 3, 3),
        "_orig_mod.encoder.stages.0.0.convs.0.conv.bias": torch.ones(4),
        "_orig_mod.encoder.stages.0.0.convs.0.all_modules.0.weight": torch.ones(4, 1, 3, 3, 3),
        "module.encoder.stages.1.0.convs.1.norm.bias": torch.ones(6),
        "decoder.encoder.stages.0.0.convs.0.conv.weight": torch.ones(4, 1, 3, 3, 3),
        "decoder.stages.1.convs.0.conv.weight": torch.ones(4, 8, 3, 3, 3),
        "decoder.transpconvs.0.bias": torch.ones(6),
        "decoder.seg_layers.0.bias": torch.zeros(3),
        "decoder.seg_layers.1.bias": torch.ones(3),
    }


def test_names_follow_the_table_and_copies_are_dropped() -> None:
    assert set(remap(_stand_in())) == {
        "encoder.stages.0.0.conv.weight",
        "encoder.stages.1.1.norm.bias",
        "decoder.1.convs.0.conv.weight",
        "decoder.0.up.bias",
    }


def test_head_is_the_full_resolution_one_and_only_comes_when_asked_for() -> None:
    assert "head.bias" not in remap(_stand_in())
    assert remap(_stand_in(), with_head=True)["head.bias"].tolist() == [1.0, 1.0, 1.0]


def test_further_input_channels_start_at_zero() -> None:
    network = UNet3D(UNet3DConfig(in_channels=3, out_channels=3, features=FEATURES))

    result = transfer(_stand_in(), network)

    kernel = network.encoder.stages[0][0].conv.weight  # type: ignore[index, union-attr]
    assert (kernel[:, 0] == 1).all()
    assert (kernel[:, 1:] == 0).all()
    assert "head.bias" in result.kept
    assert "encoder.stages.0.0.conv.weight" in result.loaded


def test_another_shape_is_reported_and_left_alone() -> None:
    network = UNet3D(UNet3DConfig(in_channels=1, out_channels=3, features=(5, 6, 8)))
    before = network.encoder.stages[0][0].conv.weight.clone()  # type: ignore[index, union-attr]

    result = transfer(_stand_in(), network)

    assert "encoder.stages.0.0.conv.weight" in result.unfit
    assert torch.equal(network.encoder.stages[0][0].conv.weight, before)  # type: ignore[index, union-attr]


def test_our_u_net_computes_what_plain_conv_unet_computes() -> None:
    theirs = _plain_conv_unet()
    ours = UNet3D(UNet3DConfig(in_channels=1, out_channels=3, features=FEATURES)).eval()

    result = transfer(theirs.state_dict(), ours, with_head=True)

    assert result.kept == result.unfit == ()
    x = torch.randn(2, 1, 8, 12, 16)
    with torch.no_grad():
        torch.testing.assert_close(ours(x), theirs(x), rtol=1e-3, atol=1e-4)


def test_tpc_net_takes_encoder_and_decoder_and_keeps_its_own_parts() -> None:
    config = TPCNetConfig(features=FEATURES, embedding_dim=8, memory_keys=4, heads=2)
    network = TPCNet(config)

    result = transfer(_plain_conv_unet().state_dict(), network)

    assert result.unfit == ()
    parts = {name.split(".")[0] for name in result.kept}
    assert parts == {"prior", "decoder", "head", "auxiliary_heads"}
    assert all("calibration" in name for name in result.kept if name.startswith("decoder"))


def test_checkpoint_with_logged_numpy_numbers_is_read(tmp_path: Path) -> None:
    content = {
        "network_weights": _stand_in(),
        "logging": {"dice": [np.float64(0.5)], "epochs": np.arange(3)},
        "current_epoch": 7,
        "_best_ema": np.float32(0.1),
    }
    torch.save(content, tmp_path / "checkpoint_final.pth")

    assert set(read_checkpoint(tmp_path / "checkpoint_final.pth")) == set(_stand_in())


class _Executes:
    def __init__(self, proof: Path) -> None:
        self.proof = proof

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return Path.touch, (self.proof,)


def test_checkpoint_with_code_is_refused_unexecuted(tmp_path: Path) -> None:
    proof = tmp_path / "proof"
    torch.save({"network_weights": {}, "x": _Executes(proof)}, tmp_path / "evil.pth")

    with pytest.raises(DamagedWeightsError):
        read_checkpoint(tmp_path / "evil.pth")
    assert not proof.exists()


@pytest.mark.parametrize("content", [{}, [1], {"network_weights": {"a": 1}}, "text"])
def test_checkpoint_of_another_kind_is_refused(content: Any, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "other.pth")

    with pytest.raises(DamagedWeightsError):
        read_checkpoint(tmp_path / "other.pth")


def test_truncated_checkpoint_is_refused(tmp_path: Path) -> None:
    torch.save({"network_weights": _stand_in()}, tmp_path / "cut.pth")
    content = (tmp_path / "cut.pth").read_bytes()
    (tmp_path / "cut.pth").write_bytes(content[: len(content) // 2])

    with pytest.raises(DamagedWeightsError):
        read_checkpoint(tmp_path / "cut.pth")


def test_no_checkpoint_is_a_missing_one(tmp_path: Path) -> None:
    with pytest.raises(MissingWeightsError):
        read_checkpoint(tmp_path / "nowhere.pth")
