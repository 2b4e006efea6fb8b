"""Whether embeddings have learned anything: do they tell the classes apart, have they collapsed?"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fracseg_training.training.sampler import Batch
    from FractureSegmentationLib.networks.tpc_net import TPCNet

_FOLDS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class PriorFigures:
    """What the embeddings of a network are worth.

    Attributes:
        probe_auc: by scale that has an embedding, see `probe_auc`.
        cosine: largest over those scales, see `mean_cosine`.
        bank_rank: smallest over those scales, see `effective_rank`; NaN without a memory.

    Without embeddings for the contrast there are no areas, and the cosine is NaN.
    """

    probe_auc: tuple[float, ...]
    cosine: float
    bank_rank: float


@torch.no_grad()
def probe_auc(embeddings: Tensor, is_fractured: Tensor) -> float:
    """How well a linear probe tells fractured from healthy patches that it has not seen.

    The probe is the difference of the class means. It is fitted on three quarters of the patches
    and judged on the fourth by the area under the ROC curve, in turn; the mean is returned.

    Args:
        embeddings: (N, F).
        is_fractured: (N,) bool.

    Returns:
        0.5 for guessing, 1 for perfect, NaN with fewer than four patches of a class.
    """
    fractured, healthy = embeddings[is_fractured].double(), embeddings[~is_fractured].double()
    if min(len(fractured), len(healthy)) < _FOLDS:
        return math.nan
    areas = []
    for fold in range(_FOLDS):
        seen, held_out = [], []
        for patches in (fractured, healthy):
            is_out = torch.arange(len(patches), device=patches.device) % _FOLDS == fold
            seen.append(patches[~is_out].mean(dim=0))
            held_out.append(patches[is_out])
        direction = seen[0] - seen[1]
        ahead = (held_out[0] @ direction)[:, None] - (held_out[1] @ direction)
        areas.append(float((ahead > 0).double().mean() + 0.5 * (ahead == 0).double().mean()))
    return math.fsum(areas) / _FOLDS


@torch.no_grad()
def mean_cosine(embeddings: Tensor) -> float:
    """Mean cosine between two different vectors of (N, F); 1 means collapsed, NaN below two."""
    count = len(embeddings)
    if count < 2:
        return math.nan
    unit = functional.normalize(embeddings.double(), dim=-1)
    together = float(unit.sum(dim=0).square().sum())
    return (together - count) / (count * (count - 1))


@torch.no_grad()
def effective_rank(rows: Tensor) -> float:
    """How many directions the rows of (N, F) use: exp of the entropy of their shares of energy."""
    energy = torch.linalg.svdvals(rows.double()).square()
    share = energy / energy.sum().clamp_min(torch.finfo(energy.dtype).tiny)
    return float(torch.special.entr(share).sum().exp())


def embedding_figures(embeddings: Tensor, is_fractured: Tensor) -> tuple[tuple[float, ...], float]:
    """Probe AUC by scale and the largest mean cosine of (L, N, F) embeddings of (N,) classes."""
    areas = tuple(probe_auc(of_scale, is_fractured) for of_scale in embeddings)
    return areas, max((mean_cosine(of_scale) for of_scale in embeddings), default=math.nan)


def bank_rank(network: TPCNet) -> float:
    """Smallest effective rank over the scales of what is written in the bank; NaN without any."""
    memory = network.prior.memory
    if memory is None or int(memory.memory_count) == 0:
        return math.nan
    return min(effective_rank(rows) for rows in memory.memory[:, : memory.filled_rows()])


def prior_figures(
    network: TPCNet, batches: Iterable[Batch], contact: int, device: str = "cpu"
) -> PriorFigures:
    """The figures of a network over patches, best of bodies that it was not trained on.

    Args:
        network: left in evaluation mode.
        batches: at least one.
        contact: the class that makes a patch a fractured one.
        device: where the network is.
    """
    network.eval()
    embeddings, classes = [], []
    with torch.no_grad():
        for batch in batches:
            embeddings.append(network(batch.inputs.to(device)).contrastive.cpu())
            classes.append(batch.holds(contact))
    areas, cosine = embedding_figures(torch.cat(embeddings, dim=1), torch.cat(classes))
    return PriorFigures(probe_auc=areas, cosine=cosine, bank_rank=bank_rank(network))
