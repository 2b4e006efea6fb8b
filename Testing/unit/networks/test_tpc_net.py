"""TPC-Net as a whole."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from FractureSegmentationLib.networks.config import TPCNetConfig
from FractureSegmentationLib.networks.grids import RefinedFeatures, pool_to_grids
from FractureSegmentationLib.networks.tpc_net import FeatureCalibration, TPCNet

TINY = TPCNetConfig(
    features=(4, 6, 8),
    memory_keys=5,
    embedding_dim=8,
    heads=2,
    channel_embedding=4,
    spatial_embedding=4,
    spatial_grid=2,
    fca_tokens=4,
)
FLAGS = [name for name in TINY.to_dict() if name.startswith("use_")] + ["deep_supervision"]


def _with_memory(config: TPCNetConfig = TINY) -> TPCNet:
    torch.manual_seed(0)
    net = TPCNet(config)
    net.update_memory(torch.randn(3, 4, 8), torch.ones(4, dtype=torch.bool))
    return net


def _patches(batch: int = 2) -> torch.Tensor:
    return torch.randn(batch, 2, 8, 12, 16, generator=torch.Generator().manual_seed(1))


def test_shapes_of_everything_that_comes_out() -> None:
    out = _with_memory()(_patches())

    assert tuple(out.logits.shape) == (2, 4, 8, 12, 16)
    assert [tuple(a.shape) for a in out.auxiliary] == [(2, 4, 4, 6, 8)]
    assert tuple(out.embeddings.shape) == tuple(out.contrastive.shape) == (3, 2, 8)


def test_contrastive_embeddings_have_length_one_and_refined_ones_do_not() -> None:
    out = _with_memory()(_patches())

    torch.testing.assert_close(out.contrastive.norm(dim=-1), torch.ones(3, 2))
    assert (out.embeddings.norm(dim=-1) - 1.0).abs().min() > 1e-3


def test_every_parameter_gets_a_gradient() -> None:
    net = _with_memory()
    out = net(_patches())
    push = torch.randn(out.contrastive.shape)
    loss = out.logits.square().mean() + sum(a.square().mean() for a in out.auxiliary)
    (loss + (out.contrastive * push).sum()).backward()

    dead = [name for name, p in net.named_parameters() if p.grad is None or not p.grad.any()]
    # A constant added to all keys shifts a query's scores alike, and softmax ignores it: the key
    # half of a key-value bias never has a gradient, but the value half does.
    assert dead == []


@pytest.mark.parametrize("flag", FLAGS)
def test_each_part_can_be_switched_off_and_then_holds_no_parameters(flag: str) -> None:
    config = replace(TINY, **{flag: False})
    net = TPCNet(config)
    out = net(_patches())

    assert tuple(out.logits.shape) == (2, 4, 8, 12, 16)
    full = sum(p.numel() for p in TPCNet(TINY).parameters())
    count = sum(p.numel() for p in net.parameters())
    assert count == full if flag == "use_contrastive" else count < full


def test_all_parts_off_is_the_plain_u_net_with_no_embeddings() -> None:
    net = TPCNet(replace(TINY, **dict.fromkeys(FLAGS, False)))
    out = net(_patches())

    assert sorted({name.split(".")[0] for name, _ in net.named_parameters()}) == [
        "decoder",
        "encoder",
        "head",
    ]
    assert out.auxiliary == []
    assert len(out.embeddings) == len(out.contrastive) == 0


def test_literal_softmax_changes_the_result() -> None:
    plain, literal = _with_memory().eval(), _with_memory(replace(TINY, literal_softmax=True)).eval()
    literal.load_state_dict(plain.state_dict())
    with torch.no_grad():
        difference = (plain(_patches()).logits - literal(_patches()).logits).abs().max()

    assert difference > 1e-6


def test_evaluation_yields_no_auxiliary_logits() -> None:
    assert _with_memory().eval()(_patches()).auxiliary == []


def test_auxiliary_logits_come_finest_first() -> None:
    net = TPCNet(replace(TINY, features=(4, 4, 4, 4)))

    out = net(torch.randn(1, 2, 16, 16, 16))

    assert [a.shape[-1] for a in out.auxiliary] == [8, 4]


def test_frozen_memory_gives_the_same_result() -> None:
    net = _with_memory().eval()
    with torch.no_grad():
        before = net(_patches())
        net.freeze_memory()
        after = net(_patches())

    assert net.prior.memory is not None
    assert net.prior.memory.frozen_keys is not None
    torch.testing.assert_close(after.logits, before.logits)
    torch.testing.assert_close(after.embeddings, before.embeddings)


def test_what_the_memory_holds_reaches_the_logits() -> None:
    net = _with_memory().eval()
    with torch.no_grad():
        before = net(_patches()).logits
        net.update_memory(10 * torch.randn(3, 5, 8), torch.ones(5, dtype=torch.bool))
        after = net(_patches()).logits

    assert (after - before).abs().max() > 1e-6


OURS = replace(TINY, masked_descriptors=True, normalised_memory=True)


def _masked_patches(batch: int = 2) -> torch.Tensor:
    x = _patches(batch)
    x[:, 1] = (x[:, 1] > 0).float()
    return x


def test_a_configuration_stored_before_there_was_another_form_means_the_published_one() -> None:
    stored = TINY.to_dict()
    for name in ("masked_descriptors", "normalised_memory", "centred_embeddings"):
        del stored[name]
    del stored["embedding_scales"]
    torch.manual_seed(0)
    old = TPCNet(TPCNetConfig.from_dict(stored))
    projection = old.state_dict()["prior.projections.1.unify.weight"]

    assert tuple(projection.shape) == (8, 6)
    assert "prior.projections.1.unify.bias" in old.state_dict()
    old.update_memory(7.0 * torch.ones(3, 1, 8), torch.ones(1, dtype=torch.bool))
    assert old.prior.memory is not None
    assert old.prior.memory.memory[0, 0, 0] == 7.0


def test_masked_descriptors_are_mean_bone_mean_and_bone_deviation() -> None:
    net, x = _with_memory(OURS).eval(), _masked_patches()
    seen: dict[int, Tensor] = {}
    for scale, projection in enumerate(net.prior.projections):
        projection.register_forward_pre_hook(
            lambda _, given, scale=scale: seen.update({scale: given[0]})
        )
    with torch.no_grad():
        net(x)
        maps = net.encoder(x)

    full, bone = maps[0], x[:, 1] > 0
    for patch in range(2):
        inside = full[patch][:, bone[patch]]
        expected = torch.cat(
            (full[patch].mean(dim=(1, 2, 3)), inside.mean(dim=1), inside.std(dim=1, correction=0))
        )
        torch.testing.assert_close(seen[0][patch], expected, atol=1e-3, rtol=1e-3)
    assert [tuple(seen[scale].shape) for scale in range(3)] == [(2, 12), (2, 18), (2, 24)]


def test_every_parameter_of_the_other_form_gets_a_gradient() -> None:
    net = _with_memory(OURS)
    out = net(_masked_patches())
    push = torch.randn(out.contrastive.shape)
    loss = out.logits.square().mean() + sum(a.square().mean() for a in out.auxiliary)
    (loss + (out.contrastive * push).sum()).backward()

    dead = [name for name, p in net.named_parameters() if p.grad is None or not p.grad.any()]
    assert dead == []


def test_patches_without_bone_give_finite_logits() -> None:
    x = _patches()
    x[:, 1] = 0.0

    assert _with_memory(OURS)(x).logits.isfinite().all()


def test_running_statistics_learn_in_training_and_are_frozen_in_evaluation() -> None:
    net = TPCNet(replace(OURS, centred_embeddings=True))
    statistics = [name for name, _ in net.named_buffers() if name.endswith(("mean", "variance"))]
    assert len(statistics) == 12

    def snapshot() -> dict[str, Tensor]:
        return {name: net.get_buffer(name).clone() for name in statistics}

    untouched = snapshot()
    net.eval()(_masked_patches())
    assert all(torch.equal(values, untouched[name]) for name, values in snapshot().items())
    net.train()(_masked_patches())
    assert not any(torch.equal(values, untouched[name]) for name, values in snapshot().items())


def test_a_normalised_memory_is_fed_with_embeddings_that_were_not_read_from_it() -> None:
    net = _with_memory(OURS).eval()
    with torch.no_grad():
        out = net(_masked_patches())

    torch.testing.assert_close(F.normalize(out.embeddings, dim=-1), out.contrastive)


def test_embeddings_can_be_left_to_some_scales() -> None:
    net = TPCNet(replace(OURS, embedding_scales=(1, 2)))
    net.update_memory(torch.randn(2, 4, 8), torch.ones(4, dtype=torch.bool))
    out = net(_masked_patches())

    assert tuple(out.embeddings.shape) == tuple(out.contrastive.shape) == (2, 2, 8)
    assert [len(net.prior.projections), len(net.prior.channel_attention)] == [2, 3]
    assert net.prior.channel_attention[0].context is None
    assert net.prior.channel_attention[1].context is not None
    out.logits.sum().backward()


def test_only_fractured_patches_are_written() -> None:
    net = TPCNet(TINY)
    enhanced = torch.randn(3, 3, 8)

    net.update_memory(enhanced, torch.tensor([False, True, False]))

    assert net.prior.memory is not None
    assert int(net.prior.memory.memory_count) == 1
    torch.testing.assert_close(net.prior.memory.memory[:, 0], enhanced[:, 1])


def test_update_refuses_a_mask_of_the_wrong_kind_and_a_network_without_memory() -> None:
    with pytest.raises(ValueError, match="bool"):
        TPCNet(TINY).update_memory(torch.zeros(3, 2, 8), torch.tensor([1, 0]))
    with pytest.raises(ValueError, match="use_memory"):
        TPCNet(replace(TINY, use_memory=False)).update_memory(
            torch.zeros(3, 2, 8), torch.tensor([True, True])
        )


def test_bank_and_count_travel_with_the_state() -> None:
    net, other = _with_memory(), TPCNet(TINY)
    other.load_state_dict(net.state_dict())
    other.eval(), net.eval()
    with torch.no_grad():
        torch.testing.assert_close(other(_patches()).logits, net(_patches()).logits)


def test_patches_of_a_batch_do_not_influence_each_other() -> None:
    net = _with_memory().eval()
    x = _patches(2)
    with torch.no_grad():
        torch.testing.assert_close(net(x).logits[:1], net(x[:1]).logits, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_autocast_agrees_with_float32_and_keeps_channels_last(
    dtype: torch.dtype,
) -> None:
    net = _with_memory().eval()
    with torch.no_grad():
        exact = net(_patches())
        with torch.autocast("cpu", dtype):
            out = net(_patches())

    assert out.logits.dtype == dtype
    assert out.contrastive.dtype == torch.float32
    # Where processors lack float16 convolutions, torch falls back to a plain-order kernel.
    if dtype == torch.bfloat16:
        assert out.logits.is_contiguous(memory_format=torch.channels_last_3d)
    assert (out.logits.float().softmax(1) - exact.logits.softmax(1)).abs().mean() < 0.01
    assert (out.contrastive * exact.contrastive).sum(-1).min() > 0.99


def test_gradients_under_bfloat16_autocast_point_where_those_of_float32_point() -> None:
    gradients = []
    for is_half in (False, True):
        net = _with_memory()
        with torch.autocast("cpu", torch.bfloat16, enabled=is_half):
            out = net(_patches())
        (out.logits.float() ** 2).mean().backward()
        gradients.append(torch.cat([p.grad.flatten() for p in net.encoder.parameters()]))

    # A tiny random network flips the sign of some activations in bfloat16, so 1 is not reached.
    assert torch.nn.functional.cosine_similarity(*gradients, dim=0) > 0.9


def test_a_training_step_follows_inference_mode_on_the_same_sizes() -> None:
    net = _with_memory()
    with torch.inference_mode():
        net(_patches())

    net(_patches()).logits.sum().backward()

    assert net.head.weight.grad is not None


@pytest.mark.parametrize("shape", [(1, 2, 8, 8, 10), (1, 1, 8, 8, 8)])
def test_a_grid_that_does_not_fit_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"multiple of 4|expected"):
        TPCNet(TINY)(torch.zeros(shape))


SHAPE = (4, 6, 8)


def _inputs(scale: float = 1.0) -> tuple[Tensor, RefinedFeatures]:
    torch.manual_seed(13)
    x, decoder = (
        scale * torch.randn(2, 5, *SHAPE).contiguous(memory_format=torch.channels_last_3d)
        for _ in range(2)
    )
    return decoder, RefinedFeatures(
        features=x,
        gain=1 + torch.rand(2, 5),
        tokens=torch.randn(2, 2, 2, 2, 5),
        pooled=pool_to_grids(x, [(3, 3, 3)])[0],
    )


def _written_out(layer: FeatureCalibration, decoder: Tensor, x: Tensor) -> Tensor:
    """Tokens as rows: Q, K pooled to N rows, V with one row per voxel."""
    queries = layer.query(F.adaptive_avg_pool3d(decoder, 3).flatten(2).transpose(1, 2))
    keys = layer.key(F.adaptive_avg_pool3d(x, 3).flatten(2).transpose(1, 2))
    values = layer.value(x.flatten(2).transpose(1, 2))
    similarity = layer.score_norm(queries.transpose(1, 2) @ keys / 27**0.5).softmax(-1)
    result = layer.out((similarity @ values.transpose(1, 2)).transpose(1, 2))
    return result.transpose(1, 2).reshape(x.shape) * layer.gate(decoder)


def test_folded_form_equals_equations_12_to_14_written_out() -> None:
    layer = FeatureCalibration(5, tokens=3)
    decoder, encoder = _inputs()

    expected = _written_out(layer, decoder, encoder.dense())

    torch.testing.assert_close(layer(decoder, encoder), expected, rtol=1e-4, atol=1e-5)


def test_gate_closes_where_the_decoder_is_negative() -> None:
    """The gate is a ReLU: about half of all values are exactly zero, and those stay zero."""
    layer = FeatureCalibration(5, tokens=3)
    decoder, encoder = _inputs()

    closed = layer.gate(decoder) == 0

    assert 0.2 < closed.float().mean() < 0.8
    assert (layer(decoder, encoder)[closed] == 0).all()


def test_large_features_in_half_range_stay_finite_under_autocast() -> None:
    layer = FeatureCalibration(5, tokens=3)
    decoder, encoder = _inputs(scale=1e4)
    with torch.autocast("cpu", torch.bfloat16):
        result = layer(decoder.bfloat16(), encoder)

    assert result.isfinite().all()


def test_token_grid_never_exceeds_the_map() -> None:
    assert FeatureCalibration(5, tokens=16).grid_side((64, 8, 20)) == (16, 8, 16)
