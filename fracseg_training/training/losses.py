"""What TPC-Net is trained to lower: cross-entropy + Dice + contrast (brief 000, Eq. 1-3 and 15)."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

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
    contrastive: Tensor | None,
    is_fractured: Tensor,
    class_weights: Tensor | None = None,
) -> LossParts:
    """Eq. 15, with deep supervision: every coarser output counts half of the one above it.

    Args:
        logits: (B, C, K, J, I) full-resolution output.
        auxiliary: outputs of the coarser decoder stages, finest first; may be empty.
        target: (B, K, J, I) class ids.
        contrastive: (L, B, F) embeddings, or None where the contrastive encoder is switched off.
        is_fractured: (B,) bool.
        class_weights: (C,) see `segmentation_loss`.
    """
    outputs = [logits, *auxiliary]
    shares = torch.tensor([0.5**level for level in range(len(outputs))])
    shares = shares / shares.sum()
    cross_entropy = dice = logits.new_zeros((), dtype=torch.float32)
    for share, output in zip(shares, outputs, strict=True):
        ce_term, dice_term = segmentation_loss(
            output, _coarsened(target, output.shape[2:]), class_weights
        )
        cross_entropy = cross_entropy + share * ce_term
        dice = dice + share * dice_term
    contrast = logits.new_zeros((), dtype=torch.float32)
    if contrastive is not None:
        contrast = contrastive_loss(contrastive, is_fractured)
    return LossParts(cross_entropy + dice + contrast, cross_entropy, dice, contrast)


def _coarsened(target: Tensor, shape: torch.Size) -> Tensor:
    """The target on a coarser grid: every coarse voxel takes the class of its centre."""
    if target.shape[1:] == shape:
        return target
    coarse = functional.interpolate(target[:, None].float(), size=tuple(shape), mode="nearest")
    return coarse[:, 0].long()
