"""The trauma memory and its attention."""

from __future__ import annotations

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from FractureSegmentationLib.networks.attention import MultiHeadAttention
from FractureSegmentationLib.networks.trauma_prior import TraumaMemory


def _memory(keys: int = 3) -> TraumaMemory:
    torch.manual_seed(6)
    return TraumaMemory(scales=2, keys=keys, width=4, heads=2)


def _rows(first: int, count: int) -> Tensor:
    """Rows that carry their own number, on both scales (scale 1 is 100 higher)."""
    numbers = torch.arange(first, first + count, dtype=torch.float32)
    return torch.stack([numbers, numbers + 100.0])[..., None].expand(2, count, 4)


def _numbers(memory: TraumaMemory) -> list[list[float]]:
    return memory.memory[..., 0].tolist()


def test_the_oldest_row_of_each_scale_is_replaced_first() -> None:
    memory = _memory(keys=3)
    memory.write(_rows(1, 2))
    memory.write(_rows(3, 2))

    assert _numbers(memory) == [[4.0, 2.0, 3.0], [104.0, 102.0, 103.0]]
    assert int(memory.memory_count) == 4


def test_more_rows_than_the_bank_holds_leave_the_newest_in_it() -> None:
    memory = _memory(keys=3)
    memory.write(_rows(1, 5))
    memory.write(_rows(6, 1))

    assert sorted(_numbers(memory)[0]) == [4.0, 5.0, 6.0]


def test_writing_nothing_changes_nothing() -> None:
    memory = _memory()
    before = memory.memory.clone()
    memory.write(torch.zeros(2, 0, 4))

    assert torch.equal(memory.memory, before)
    assert int(memory.memory_count) == 0


def test_rows_of_the_wrong_shape_are_refused() -> None:
    with pytest.raises(ValueError, match=r"expected \(2, N, 4\)"):
        _memory().write(torch.zeros(3, 1, 4))


def test_empty_rows_are_not_read() -> None:
    memory = _memory(keys=3)
    memory.write(_rows(1, 2))
    query = torch.randn(2, 1, 4)
    before = memory(query)
    memory.memory[:, 2] = 1e3

    torch.testing.assert_close(memory(query), before)


def test_an_unwritten_bank_gives_finite_embeddings_and_gradients() -> None:
    memory = _memory()
    query = torch.randn(2, 3, 4, requires_grad=True)
    memory(query).sum().backward()

    assert query.grad is not None
    assert query.grad.isfinite().all()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in memory.parameters())


def test_self_attended_bank_follows_equation_4() -> None:
    memory = _memory(keys=3)
    memory.write(torch.randn(2, 3, 4))
    bank = memory.memory + memory.offset
    attended = torch.stack([memory.self_attention(scale[None], scale[None])[0] for scale in bank])

    expected = bank + memory.self_mlp(memory.self_norm(attended))

    torch.testing.assert_close(memory.prior(), expected)


def test_scales_do_not_read_each_other() -> None:
    memory = _memory()
    memory.write(torch.randn(2, 3, 4))
    query = torch.randn(2, 1, 4)
    before = memory(query)
    memory.memory[1] += 5.0
    after = memory(query)

    torch.testing.assert_close(after[0], before[0])
    assert (after[1] - before[1]).abs().max() > 1e-6


def test_normalised_bank_keeps_directions_and_no_lengths() -> None:
    torch.manual_seed(6)
    memory = TraumaMemory(scales=2, keys=3, width=4, heads=2, normalised=True)
    rows = torch.randn(2, 2, 4)
    memory.write(rows * torch.tensor([[[0.01], [50.0]]]))

    torch.testing.assert_close(memory.memory.norm(dim=-1), torch.ones(2, 3))
    torch.testing.assert_close(memory.memory[:, :2], F.normalize(rows, dim=-1))


def test_normalised_bank_is_read_with_entries_of_order_one() -> None:
    """Rows of length 1 are read at length sqrt(4) = 2."""
    torch.manual_seed(6)
    normalised = TraumaMemory(scales=2, keys=3, width=4, heads=2, normalised=True)
    plain = _memory(keys=3)
    plain.load_state_dict(normalised.state_dict())
    plain.memory.mul_(2.0)

    torch.testing.assert_close(normalised.prior(), plain.prior())


def test_the_bank_has_no_gradient_and_what_is_written_keeps_no_graph() -> None:
    memory = _memory()
    enhanced = memory(torch.randn(2, 2, 4))
    memory.write(enhanced)

    assert not memory.memory.requires_grad
    assert "memory" not in dict(memory.named_parameters())


@pytest.mark.parametrize("thaw", ["train", "write", "load"])
def test_freezing_is_undone_by_whatever_changes_bank_or_weights(thaw: str) -> None:
    memory = _memory().eval()
    memory.freeze()
    assert memory.frozen_keys is not None
    if thaw == "train":
        memory.train()
    elif thaw == "write":
        memory.write(_rows(1, 1))
    else:
        memory.load_state_dict(_memory().state_dict())

    assert memory.frozen_keys is None


def test_frozen_keys_are_not_saved_but_are_copied_and_moved() -> None:
    memory = _memory().eval()
    memory.freeze()

    assert not any("frozen" in name for name in memory.state_dict())
    twin = copy.deepcopy(memory).double()
    assert twin.frozen_keys is not None
    assert twin.frozen_keys is not None
    assert twin.frozen_keys.dtype == torch.float64


def test_attention_by_hand() -> None:
    """Identity projections, one head: weights are softmax(q k / sqrt(2)) of the two keys."""
    layer = MultiHeadAttention(2, 1)
    with torch.no_grad():
        layer.query.weight.copy_(torch.eye(2))
        layer.key_value.weight.copy_(torch.eye(2).repeat(2, 1))
        layer.out.weight.copy_(torch.eye(2))
        for part in (layer.query, layer.key_value, layer.out):
            part.bias.zero_()
    query, context = torch.tensor([[[1.0, 0.0]]]), torch.tensor([[[1.0, 0.0], [0.0, 1.0]]])

    weight = F.softmax(torch.tensor([2**-0.5, 0.0]), dim=0)

    torch.testing.assert_close(layer(query, context)[0, 0], weight)


def test_literal_attention_normalises_the_scores_over_the_keys() -> None:
    """Scores of any scale are normalised first, so twice the query gives the same weights."""
    torch.manual_seed(7)
    literal, plain = MultiHeadAttention(4, 2, normalise_scores=True), MultiHeadAttention(4, 2)
    for layer in (literal, plain):
        torch.nn.init.zeros_(layer.query.bias)
    query, context = 10 * torch.randn(1, 2, 4), torch.randn(1, 5, 4)

    torch.testing.assert_close(
        literal(2 * query, context), literal(query, context), rtol=1e-2, atol=1e-3
    )
    assert (plain(2 * query, context) - plain(query, context)).abs().max() > 0.01
