"""Losses against values worked out by hand (brief 000, Eq. 1-3 and 15)."""

from __future__ import annotations

import math

import pytest
import torch

from fracseg_training.training.losses import (
    contrastive_loss,
    dice_loss,
    segmentation_loss,
    supervised_contrastive_loss,
    total_loss,
)

FRACTURED = torch.tensor([True, True, False, False])


def test_contrast_of_equal_embeddings_is_the_logarithm_of_the_three_candidates() -> None:
    """One positive and two negatives, all alike: each is chosen with probability 1/3."""
    embeddings = torch.ones(2, 4, 8)

    assert contrastive_loss(embeddings, FRACTURED).item() == pytest.approx(math.log(3.0), abs=1e-5)


def test_contrast_of_opposite_classes_follows_equation_2() -> None:
    """Similarity 1 to the positive, -1 to both negatives, temperature 0.5: log(1 + 2 e^-4)."""
    embeddings = torch.tensor([[[1.0, 0.0], [2.0, 0.0], [-1.0, 0.0], [-3.0, 0.0]]])

    loss = contrastive_loss(embeddings, FRACTURED, temperature=0.5)

    assert loss.item() == pytest.approx(math.log(1.0 + 2.0 * math.exp(-4.0)), rel=1e-5)


def test_contrast_falls_when_the_classes_move_apart() -> None:
    generator = torch.Generator().manual_seed(1)
    noise = torch.randn(3, 4, 16, generator=generator)
    towards = torch.where(FRACTURED, 1.0, -1.0)[None, :, None]

    assert contrastive_loss(noise + 2.0 * towards, FRACTURED) < contrastive_loss(noise, FRACTURED)


def test_anchor_without_a_positive_is_left_out() -> None:
    """One fractured patch among two healthy ones: only the healthy ones are anchors."""
    embeddings = torch.tensor([[[1.0, 0.0], [0.0, 1.0], [0.0, 1.0]]])
    is_fractured = torch.tensor([True, False, False])

    loss = contrastive_loss(embeddings, is_fractured, temperature=1.0)

    assert loss.item() == pytest.approx(-1.0 + math.log(math.e + 1.0), rel=1e-5)


def test_batch_of_one_class_has_no_contrast_and_a_gradient() -> None:
    embeddings = torch.ones(1, 2, 4, requires_grad=True)

    loss = contrastive_loss(embeddings, torch.tensor([True, True]))
    loss.backward()

    assert loss.item() == 0.0
    assert embeddings.grad is not None


def supervised(
    embeddings: torch.Tensor, classes: list[bool], past: torch.Tensor, past_classes: list[bool]
) -> torch.Tensor:
    return supervised_contrastive_loss(
        embeddings, torch.tensor(classes), past, torch.tensor(past_classes, dtype=torch.bool), 0.5
    )


NO_PAST = torch.zeros(1, 0, 2)


def test_supervised_contrast_by_hand() -> None:
    """Anchors a (1, 0) fractured and b (0, 1) healthy; past: fractured (1, 0) and healthy (-1, 0).

    Cosines over 0.5. Of a: b 0, positive 2, negative -2: log(e^2 + 1 + e^-2) - 2. Of b: all 0, so
    log 3. The mean of the two.
    """
    embeddings = torch.tensor([[[3.0, 0.0], [0.0, 1.0]]])
    past = torch.tensor([[[1.0, 0.0], [-1.0, 0.0]]])

    loss = supervised(embeddings, [True, False], past, [True, False])

    of_a = math.log(math.exp(2.0) + 1.0 + math.exp(-2.0)) - 2.0
    assert loss.item() == pytest.approx((of_a + math.log(3.0)) / 2.0, rel=1e-5)


def test_supervised_contrast_takes_the_mean_over_all_positives() -> None:
    """Anchor (1, 0) with positives (1, 0) and (0, 1), negative (0, 1): cosines 2, 0 and 0.

    log(e^2 + 2) minus the mean of 2 and 0. Only the one fractured patch of the batch is an anchor
    here, because the other class has a single patch, which has no positive.
    """
    embeddings = torch.tensor([[[1.0, 0.0], [0.0, 1.0]]])
    past = torch.tensor([[[1.0, 0.0], [0.0, 1.0]]])

    loss = supervised(embeddings, [True, False], past, [True, True])

    assert loss.item() == pytest.approx(math.log(math.exp(2.0) + 2.0) - 1.0, rel=1e-5)


def test_scales_are_contrasted_apart_and_averaged() -> None:
    classes, past_classes = [True, True, False, False], [True, False]
    generator = torch.Generator().manual_seed(2)
    embeddings = torch.randn(2, 4, 3, generator=generator)
    past = torch.nn.functional.normalize(torch.randn(2, 2, 3, generator=generator), dim=-1)

    both = supervised(embeddings, classes, past, past_classes)
    each = [supervised(embeddings[n, None], classes, past[n, None], past_classes) for n in (0, 1)]

    assert both.item() == pytest.approx(sum(one.item() for one in each) / 2.0, rel=1e-5)


def test_informative_embeddings_cost_less_than_equal_ones_and_those_less_than_random_ones() -> None:
    """Equal ones cost the logarithm of 67 candidates.

    Cosines of random vectors of 128 numbers have a variance of 1/128, over a temperature of 0.1
    that is 0.78; half of it, 0.39, is what log-sum-exp adds.
    """
    generator = torch.Generator().manual_seed(5)
    classes = torch.arange(68) % 2 == 0
    random = torch.randn(20, 68, 128, generator=generator)
    towards = torch.where(classes, 1.0, -1.0)[:, None]

    def cost(vectors: torch.Tensor) -> float:
        unit = torch.nn.functional.normalize(vectors, dim=-1)
        loss = supervised_contrastive_loss(unit[:, :4], classes[:4], unit[:, 4:], classes[4:], 0.1)
        return loss.item()

    assert cost(random + 0.5 * towards) < math.log(67.0) - 0.3
    assert cost(torch.ones(1, 68, 128)) == pytest.approx(math.log(67.0), rel=1e-4)
    assert cost(random) == pytest.approx(math.log(67.0) + 0.39, abs=0.1)


def test_an_anchor_is_never_its_own_rival() -> None:
    """Two anchors of one class and a negative opposite to both: log(e^2 + e^-2) - 2 each."""
    embeddings = torch.tensor([[[1.0, 0.0], [1.0, 0.0]]])
    past = torch.tensor([[[-1.0, 0.0]]])

    loss = supervised(embeddings, [True, True], past, [False])

    assert loss.item() == pytest.approx(math.log(math.exp(2.0) + math.exp(-2.0)) - 2.0, rel=1e-4)


@pytest.mark.parametrize("classes", [[True, True], [True, False]])
def test_batch_without_a_valid_anchor_has_no_contrast_and_a_gradient(classes: list[bool]) -> None:
    embeddings = torch.ones(1, 2, 2, requires_grad=True)

    loss = supervised(embeddings, classes, NO_PAST, [])
    loss.backward()

    assert loss.item() == 0.0
    assert embeddings.grad is not None


def test_past_embeddings_get_no_gradient_but_shape_that_of_the_batch() -> None:
    embeddings = torch.tensor([[[1.0, 0.1], [0.2, 1.0]]], requires_grad=True)
    past = torch.tensor([[[0.0, 1.0], [1.0, 0.0]]])

    supervised(embeddings, [True, False], past, [True, False]).backward()

    assert embeddings.grad is not None
    assert embeddings.grad.norm() > 0.1


def test_dice_of_a_half_right_class() -> None:
    """Class 1: truth 2 voxels, prediction 2, overlap 1: Dice (2*1+1)/(4+1) = 0.6."""
    target = torch.tensor([[[[1, 1, 0, 0]]]])
    probabilities = torch.zeros(1, 2, 1, 1, 4)
    probabilities[0, 1, 0, 0] = torch.tensor([1.0, 0.0, 1.0, 0.0])
    probabilities[0, 0] = 1.0 - probabilities[0, 1]

    assert dice_loss(probabilities, target).item() == pytest.approx(0.4)


def test_dice_of_an_absent_class_counts_only_when_asked_to() -> None:
    """Class 1 is right, class 2 absent but predicted on 1 voxel: Dice 1 and 1/2."""
    target = torch.tensor([[[[1, 1, 0, 0]]]])
    probabilities = torch.zeros(1, 3, 1, 1, 4)
    probabilities[0, 1, 0, 0, :2] = 1.0
    probabilities[0, 2, 0, 0, 3] = 1.0

    assert dice_loss(probabilities, target).item() == pytest.approx(0.25)
    assert dice_loss(probabilities, target, only_present=True).item() == pytest.approx(0.0)


def test_cross_entropy_of_even_logits_is_the_logarithm_of_the_class_count() -> None:
    target = torch.zeros(1, 2, 2, 2, dtype=torch.int64)

    cross_entropy, _ = segmentation_loss(torch.zeros(1, 4, 2, 2, 2), target)

    assert cross_entropy.item() == pytest.approx(math.log(4.0), rel=1e-5)


def test_right_answer_costs_less_than_a_wrong_one_at_every_depth() -> None:
    target = torch.randint(0, 4, (4, 8, 8, 8), generator=torch.Generator().manual_seed(0))
    right = torch.nn.functional.one_hot(target, 4).movedim(-1, 1).float() * 12.0
    coarse = right[:, :, ::2, ::2, ::2]

    good = total_loss(right, [coarse], target, None)
    bad = total_loss(right, [-coarse], target, None)

    assert good.total < 0.01
    assert bad.total > good.total + 0.5


def test_deep_supervision_weighs_each_coarser_output_half() -> None:
    """Two outputs count 2/3 and 1/3: an undecided second one adds log(4)/3 to the cross-entropy."""
    target = torch.zeros(1, 4, 4, 4, dtype=torch.int64)
    sure = torch.zeros(1, 4, 4, 4, 4)
    sure[:, 0] = 50.0

    parts = total_loss(sure, [torch.zeros(1, 4, 2, 2, 2)], target, None)

    assert parts.cross_entropy.item() == pytest.approx(math.log(4.0) / 3.0, rel=1e-4)


def test_total_is_the_sum_of_its_three_terms() -> None:
    target = torch.zeros(4, 4, 4, 4, dtype=torch.int64)
    logits = torch.randn(4, 4, 4, 4, 4, generator=torch.Generator().manual_seed(3))

    parts = total_loss(logits, [], target, torch.tensor(1.5))
    waiting = total_loss(logits, [], target, torch.tensor(1.5), contrast_weight=0.0)

    assert parts.total.item() == pytest.approx(
        (parts.cross_entropy + parts.dice).item() + 1.5, rel=1e-6
    )
    assert waiting.total.item() == pytest.approx(parts.total.item() - 1.5, rel=1e-6)
    assert waiting.contrast.item() == 1.5
