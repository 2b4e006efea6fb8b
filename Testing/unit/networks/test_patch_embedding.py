"""What describes a patch, and its projection."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from FractureSegmentationLib.networks.patch_embedding import (
    PatchProjection,
    RunningStandardisation,
    bone_shares,
    bone_statistics,
)


def test_statistics_of_bone_by_hand() -> None:
    """Bone holds 1, 3 and half a voxel of 5: mean 6.5 / 2.5 = 2.6, mean square 22.5 / 2.5 = 9.

    The variance is 9 - 6.76 = 2.24. The second channel is 2 everywhere.
    """
    x = torch.tensor([[1.0, 3.0, 5.0, 90.0], [2.0, 2.0, 2.0, 2.0]]).reshape(1, 2, 1, 1, 4)
    share = torch.tensor([1.0, 1.0, 0.5, 0.0]).reshape(1, 1, 1, 1, 4)

    statistics = bone_statistics(x, share)

    expected = torch.tensor([[2.6, 2.0, 2.24**0.5, 0.0]])
    torch.testing.assert_close(statistics, expected, atol=2e-3, rtol=1e-4)


def test_what_lies_outside_bone_does_not_count() -> None:
    torch.manual_seed(3)
    x = torch.randn(2, 3, 4, 6, 8)
    share = (torch.rand(2, 1, 4, 6, 8) > 0.5).float()
    other = torch.where(share > 0, x, 1e3 * torch.randn_like(x))

    torch.testing.assert_close(bone_statistics(other, share), bone_statistics(x, share))
    assert (bone_statistics(x + 1.0, share) - bone_statistics(x, share)).abs().max() > 0.5


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last_3d])
def test_statistics_are_those_of_the_voxels_gathered_one_by_one(
    memory_format: torch.memory_format,
) -> None:
    torch.manual_seed(4)
    x = torch.randn(2, 3, 4, 6, 8).contiguous(memory_format=memory_format)
    mask = torch.rand(2, 1, 4, 6, 8) > 0.5

    statistics = bone_statistics(x, mask.float())

    for patch, bone, found in zip(x, mask[:, 0], statistics, strict=True):
        inside = patch[:, bone]
        expected = torch.cat((inside.mean(dim=1), inside.std(dim=1, unbiased=False)))
        torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


def test_patch_without_bone_has_finite_statistics_and_gradients() -> None:
    x = torch.randn(1, 2, 2, 2, 2, requires_grad=True)

    statistics = bone_statistics(x, torch.zeros(1, 1, 2, 2, 2))
    statistics.sum().backward()

    torch.testing.assert_close(statistics, torch.zeros(1, 4), atol=2e-3, rtol=0.0)
    assert x.grad is not None
    assert x.grad.isfinite().all()


def test_share_of_bone_halves_its_grid_and_keeps_its_volume() -> None:
    """One voxel in a corner of 4 x 4 x 4: 1/8 of the coarse voxel there, then 1/64."""
    mask = torch.zeros(1, 1, 4, 4, 4)
    mask[..., 0, 0, 3] = 1.0

    shares = bone_shares(mask, 3)

    assert [tuple(share.shape[2:]) for share in shares] == [(4, 4, 4), (2, 2, 2), (1, 1, 1)]
    assert shares[1][0, 0, 0, 0].tolist() == [0.0, 0.125]
    assert shares[2].item() == pytest.approx(1.0 / 64.0)


def test_projection_without_biases_embeds_the_average_patch_as_nothing() -> None:
    torch.manual_seed(2)
    plain, biased = PatchProjection(6, 8, bias=False).eval(), PatchProjection(6, 8).eval()
    average = torch.zeros(1, 6)

    assert not plain(average).any()
    assert biased(average).any()
    assert not any("bias" in name for name, _ in plain.named_parameters())


def test_what_all_embeddings_share_is_taken_out_of_centred_ones() -> None:
    torch.manual_seed(8)
    plain = PatchProjection(6, 16)
    centred = PatchProjection(6, 16, centred=True)
    for projection in (plain, centred):
        torch.nn.init.constant_(projection.head[3].bias, 5.0)
        for _ in range(50):
            projection(torch.randn(8, 6))
        projection.eval()

    def cosine(projection: PatchProjection) -> float:
        unit = F.normalize(projection(torch.randn(100, 6)), dim=-1)
        return float((unit @ unit.T).mean().detach())

    assert cosine(plain) > 0.9
    assert cosine(centred) < 0.2


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
