"""Class weights shape the training, not the probabilities that ship."""

from __future__ import annotations

import pytest
import torch

from fracseg_training.training.export import without_class_weights
from FractureSegmentationLib.networks.config import UNet3DConfig
from FractureSegmentationLib.networks.unet3d import UNet3D

SMALL = UNet3DConfig(out_channels=4, features=(4, 8))
WEIGHTS = (0.2, 2.0, 2.0, 2.0)


def test_class_weights_are_divided_out_of_the_probabilities() -> None:
    """Background weighs 0.2, bone 2: the odds of every bone fall by the factor of ten."""
    torch.manual_seed(0)
    network = UNet3D(SMALL).eval()
    volume = torch.randn(1, 1, 8, 8, 8)

    with torch.no_grad():
        before = network(volume).softmax(dim=1)
        after = without_class_weights(network, WEIGHTS)(volume).softmax(dim=1)

    odds_before, odds_after = before[:, 1:] / before[:, :1], after[:, 1:] / after[:, :1]
    assert torch.allclose(odds_after, odds_before / 10.0, rtol=1e-4)


def test_trained_network_stays_as_it_is() -> None:
    network = UNet3D(SMALL)
    before = network.head.bias.detach().clone() if network.head.bias is not None else None

    without_class_weights(network, WEIGHTS)

    assert before is not None
    assert network.head.bias is not None
    assert torch.equal(network.head.bias, before)
    assert before.abs().sum().item() != pytest.approx(0.0)


def test_other_number_of_classes_is_refused() -> None:
    with pytest.raises(ValueError, match="2 classes"):
        without_class_weights(UNet3D(SMALL), (1.0, 1.0))
