"""What networks are trained to lower: cross-entropy, Dice and contrast.

Equation numbers are those of the publication of TPC-Net.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

if TYPE_CHECKING:
    from collections.abc import Sequence

TEMPERATURE = 0.07


class LossParts(NamedTuple):
    """The terms of Eq. 15, each a scalar tensor."""

    total: Tensor
    cross_entropy: Tensor
    dice: Tensor
    contrast: Tensor


def contrastive_loss(
    embeddings: Tensor, is_fractured: Tensor, temperature: float = TEMPERATURE
) -> Tensor:
    """InfoNCE over the patches of a batch, averaged over anchors and scales (Eq. 1-3).

    The positive of an anchor is the next patch of its class in the batch (one only, as the paper
    has it); its negatives are all patches of the other class. Anchors without a positive, and
    batches of a single class, contribute nothing. Computed in float32.

    Args:
        embeddings: (L, B, F) one vector per scale and patch; normalised here.
        is_fractured: (B,) bool, the class of each patch.
        temperature: similarities are divided by it (the paper's text: 0.07).

    Returns:
        Scalar loss; 0 where no anchor is valid.
    """
    unit = functional.normalize(embeddings.float(), dim=-1)
    similarity = unit @ unit.transpose(1, 2) / temperature
    terms = []
    for anchor in range(len(is_fractured)):
        same = torch.nonzero(is_fractured == is_fractured[anchor]).flatten()
        negatives = torch.nonzero(is_fractured != is_fractured[anchor]).flatten()
        if len(same) < 2 or len(negatives) == 0:
            continue
        place = int(torch.nonzero(same == anchor))
        positive = same[(place + 1) % len(same)]
        rivals = torch.cat([positive[None], negatives])
        scores = similarity[:, anchor, rivals]
        terms.append(torch.logsumexp(scores, dim=-1) - scores[:, 0])
    if not terms:
        return embeddings.sum() * 0.0
    return torch.stack(terms).mean()


def supervised_contrastive_loss(
    embeddings: Tensor,
    is_fractured: Tensor,
    past: Tensor,
    past_is_fractured: Tensor,
    temperature: float,
) -> Tensor:
    """Supervised contrast of the patches of a batch with each other and with past ones.

    An anchor's loss is the mean over all patches of its class of -log softmax over all patches but
    itself. Dozens of candidates pull towards what the classes have in common; the two or three of a
    batch mostly pull towards what these happen to share. Anchors without a patch of their class or
    of the other one contribute nothing. Computed in float32.

    Args:
        embeddings: (L, B, F) one vector per scale and patch, the anchors; normalised here.
        is_fractured: (B,) bool, the class of each patch.
        past: (L, N, F) embeddings of earlier batches, of length one; N may be 0.
        past_is_fractured: (N,) bool, their classes.
        temperature: similarities are divided by it.

    Returns:
        Scalar loss, averaged over anchors and scales; 0 where no anchor is valid.
    """
    unit = functional.normalize(embeddings.float(), dim=-1)
    others = torch.cat((unit, past.to(unit)), dim=1)
    classes = torch.cat((is_fractured, past_is_fractured.to(is_fractured)))
    itself = torch.eye(len(is_fractured), len(classes), dtype=torch.bool, device=unit.device)
    alike = is_fractured[:, None] == classes
    positive = alike & ~itself
    is_valid = positive.any(dim=1) & ~alike.all(dim=1)
    if not bool(is_valid.any()):
        return embeddings.sum() * 0.0
    scores = unit @ others.transpose(1, 2) / temperature
    rivals = scores.masked_fill(itself, -torch.inf).logsumexp(dim=-1, keepdim=True)
    costs = ((rivals - scores) * positive).sum(dim=-1) / positive.sum(dim=1).clamp_min(1)
    return costs[:, is_valid].mean()


def dice_loss(
    probabilities: Tensor, target: Tensor, smooth: float = 1.0, *, only_present: bool = False
) -> Tensor:
    """One minus the soft Dice, over the batch, averaged over the foreground classes.

    Args:
        probabilities: (B, C, K, J, I) softmax output; class 0 is the background.
        target: (B, K, J, I) class ids.
        smooth: added to numerator and denominator; keeps absent classes harmless.
        only_present: average over the classes that occur in the target alone. An absent class has
            a Dice of nearly 0 whatever is predicted, which in small batches drowns the others.
    """
    terms = []
    for channel in range(1, probabilities.shape[1]):
        predicted = probabilities[:, channel]
        truth = (target == channel).to(predicted.dtype)
        size = truth.sum(dtype=torch.float32)
        if only_present and size == 0:
            continue
        overlap = (predicted * truth).sum(dtype=torch.float32)
        terms.append(
            (2.0 * overlap + smooth) / (predicted.sum(dtype=torch.float32) + size + smooth)
        )
    if not terms:
        return probabilities.sum() * 0.0
    return 1.0 - torch.stack(terms).mean()


def segmentation_loss(
    logits: Tensor,
    target: Tensor,
    class_weights: Tensor | None = None,
    *,
    only_present: bool = False,
) -> tuple[Tensor, Tensor]:
    """Voxel-wise cross-entropy and Dice of one output.

    Args:
        logits: (B, C, K, J, I).
        target: (B, K, J, I) class ids, int64.
        class_weights: (C,) weights of the classes in the cross-entropy.
        only_present: see `dice_loss`.

    Returns:
        (cross-entropy, Dice loss), scalars in float32.
    """
    logits = logits.float()
    weights = None if class_weights is None else class_weights.to(logits)
    cross_entropy = functional.cross_entropy(logits, target, weight=weights)
    dice = dice_loss(logits.softmax(dim=1), target, only_present=only_present)
    return cross_entropy, dice


def total_loss(
    logits: Tensor,
    auxiliary: list[Tensor],
    target: Tensor,
    contrast: Tensor | None,
    class_weights: Tensor | None = None,
    *,
    contrast_weight: float = 1.0,
) -> LossParts:
    """Eq. 15, with deep supervision: every coarser output counts half of the one above it.

    Args:
        logits: (B, C, K, J, I) full-resolution output.
        auxiliary: outputs of the coarser decoder stages, finest first; may be empty.
        target: (B, K, J, I) class ids.
        contrast: the contrastive term, or None where the contrastive encoder is switched off.
        class_weights: (C,) see `segmentation_loss`.
        contrast_weight: of the contrastive term in the total.
    """
    outputs = [logits, *auxiliary]
    shares = torch.tensor([0.5**level for level in range(len(outputs))], device=logits.device)
    shares = shares / shares.sum()
    cross_entropy = dice = logits.new_zeros((), dtype=torch.float32)
    for share, output in zip(shares, outputs, strict=True):
        ce_term, dice_term = segmentation_loss(
            output, _coarsened(target, output.shape[2:]), class_weights
        )
        cross_entropy = cross_entropy + share * ce_term
        dice = dice + share * dice_term
    if contrast is None:
        contrast = logits.new_zeros((), dtype=torch.float32)
    total = cross_entropy + dice + contrast_weight * contrast
    return LossParts(total, cross_entropy, dice, contrast)


def merged_classes_loss(
    logits: Tensor,
    target: Tensor,
    class_weights: Tensor,
    kind_of_class: Sequence[int],
    class_share: float,
) -> tuple[Tensor, Tensor]:
    """The loss of kinds of classes, to which telling the classes of a kind apart adds little.

    Args:
        logits: (B, C, K, J, I).
        target: (B, K, J, I) class ids, int64.
        class_weights: (C,); a kind has the weight of its first class.
        kind_of_class: for every class, its kind, counted from 0.
        class_share: weight of the cross-entropy of the classes themselves.

    Returns:
        (cross-entropy, Dice loss), scalars in float32.
    """
    kinds, kind_target = merge_classes(logits, target, kind_of_class)
    first = [kind_of_class.index(kind) for kind in range(kinds.shape[1])]
    cross_entropy, dice = segmentation_loss(
        kinds, kind_target, class_weights[first], only_present=True
    )
    apart = functional.cross_entropy(logits.float(), target, weight=class_weights)
    return cross_entropy + class_share * apart, dice


def merge_classes(
    logits: Tensor, target: Tensor, kind_of_class: Sequence[int]
) -> tuple[Tensor, Tensor]:
    """Logits and target of the kinds: the probability of a kind is the sum over its classes."""
    logits = logits.float()
    kinds = [
        torch.logsumexp(
            logits[:, [c for c, kind in enumerate(kind_of_class) if kind == wanted]], dim=1
        )
        for wanted in range(max(kind_of_class) + 1)
    ]
    return torch.stack(kinds, dim=1), torch.tensor(kind_of_class, device=target.device)[target]


@torch.no_grad()
def mean_hard_dice(logits: Tensor, target: Tensor, classes: Sequence[int]) -> float:
    """Dice of the likeliest classes, mean over those of `classes` that the target holds.

    Returns:
        1 where the target holds none of them and none is predicted, 0 where one is predicted.
    """
    predicted = logits.detach().argmax(dim=1)
    present = [value for value in classes if bool((target == value).any())]
    if not present:
        return float(not any(bool((predicted == value).any()) for value in classes))
    scores = []
    for value in present:
        inside, hit = target == value, predicted == value
        scores.append(2.0 * int((inside & hit).sum()) / int(inside.sum() + hit.sum()))
    return sum(scores) / len(scores)


def _coarsened(target: Tensor, shape: torch.Size) -> Tensor:
    """The target on a coarser grid: every coarse voxel takes the class of its centre."""
    if target.shape[1:] == shape:
        return target
    coarse = functional.interpolate(target[:, None].float(), size=tuple(shape), mode="nearest")
    return coarse[:, 0].long()
