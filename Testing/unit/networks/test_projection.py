"""Patch embeddings."""

from __future__ import annotations

import torch

from FractureSegmentationLib.networks.trauma_prior import PatchProjection, RunningStandardisation


def test_averaging_first_equals_the_published_order_of_convolution_and_average() -> None:
    torch.manual_seed(5)
    projection = PatchProjection(3, 8)
    projection(torch.randn(4, 3))
    projection.eval()
    x = torch.randn(2, 3, 4, 5, 6)
    # Standardising is affine, so it may run on the map's channels before the convolution.
    standard = projection.standardise(x.movedim(1, -1)).movedim(-1, 1)
    kernel = projection.unify.weight[:, :, None, None, None]

    published = torch.nn.functional.conv3d(standard, kernel, projection.unify.bias)

    expected = projection.head(published.mean(dim=(2, 3, 4)))
    torch.testing.assert_close(projection(x.mean(dim=(2, 3, 4))), expected, rtol=1e-4, atol=1e-5)


def test_one_patch_alone_embeds_as_it_does_in_a_batch_once_training_is_over() -> None:
    projection = PatchProjection(3, 8).eval()
    descriptors = torch.randn(4, 3)

    torch.testing.assert_close(projection(descriptors)[:1], projection(descriptors[:1]))


def test_running_statistics_start_with_the_first_batch_and_then_follow_slowly() -> None:
    """First batch {1, 3}: mean 2, variance 1. Second {4, 4} weighs 1/2: mean 3."""
    layer = RunningStandardisation(1)
    layer(torch.tensor([[1.0], [3.0]]))
    assert (layer.mean.item(), layer.variance.item()) == (2.0, 1.0)

    layer(torch.tensor([[4.0], [4.0]]))

    assert layer.mean.item() == 3.0
    assert int(layer.batches) == 2


def test_evaluation_leaves_the_statistics_alone() -> None:
    layer = RunningStandardisation(1).eval()
    layer(torch.tensor([[5.0], [7.0]]))

    assert (layer.mean.item(), layer.variance.item(), int(layer.batches)) == (0.0, 1.0, 0)


def test_a_small_change_on_a_large_constant_becomes_a_change_of_order_one() -> None:
    torch.manual_seed(14)
    layer = RunningStandardisation(2)
    for _ in range(20):
        layer(0.4 + 0.001 * torch.randn(4, 2))

    spread = layer.eval()(0.4 + 0.001 * torch.randn(200, 2)).std(dim=0)

    assert ((spread > 0.5) & (spread < 2.0)).all()
