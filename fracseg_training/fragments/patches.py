"""Batches for TPC-Net: a pure function of the cases, the seed and the index of the batch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from fracseg_training.training import augment
from fracseg_training.training.augment import AugmentConfig, PatchFrame, cut_labels, cut_patch
from fracseg_training.training.sampler import BalancedSampler, Batch, Draw, SamplerConfig
from FractureSegmentationLib.inference.intensity import CtNormalisation, fragment_input
from FractureSegmentationLib.instances import bicm

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fracseg_training.data.cases import Case

_TRIES = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class PatchConfig:
    """What a patch is.

    Attributes:
        size: voxels along each edge.
        spacing_mm: isotropic voxel size of the patch, in mm.
        min_contact_voxels: fewest contact voxels of a fractured patch; a healthy one has none.
        normalisation: how HU become network input.
        sampler: which patches are drawn.
        augment: how they are varied.
    """

    size: int = 64
    spacing_mm: float = 1.0
    min_contact_voxels: int = 50
    normalisation: CtNormalisation = field(default_factory=CtNormalisation)
    sampler: SamplerConfig = field(default_factory=SamplerConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)


class PatchSource:
    """Cuts batches from cases.

    Args:
        cases: what to cut from.
        config: what a patch is.
        seed: batches are a function of it and their index.
    """

    def __init__(self, cases: Sequence[Case], config: PatchConfig, seed: int) -> None:
        self._cases = cases
        self._config = config
        self._seed = seed
        self._sampler = BalancedSampler(cases, config.sampler)
        # int16 and uint8 in memory; a patch's surroundings alone become float32.
        self._hu = [torch.from_numpy(np.ascontiguousarray(case.hu)) for case in cases]
        self._classes = [torch.from_numpy(np.ascontiguousarray(case.classes)) for case in cases]
        self._found = [
            None if case.found is None else torch.from_numpy(case.found.view(np.uint8))
            for case in cases
        ]

    def batch(self, index: int) -> Batch:
        """The batch of an index."""
        rng = np.random.default_rng([self._seed, index])
        sampler = self._config.sampler
        patches = [
            *(self._patch(rng, is_fractured=True) for _ in range(sampler.fractured_per_batch)),
            *(self._patch(rng, is_fractured=False) for _ in range(sampler.healthy_per_batch)),
        ]
        return Batch(
            torch.stack([patch for patch, _ in patches]),
            torch.stack([classes for _, classes in patches]),
        )

    def _patch(self, rng: np.random.Generator, *, is_fractured: bool) -> tuple[Tensor, Tensor]:
        """A patch of the kind asked for; after some tries, the last one drawn."""
        for _ in range(_TRIES):
            drawn = self._sampler.draw_fractured if is_fractured else self._sampler.draw_healthy
            draw = drawn(rng)
            centre, frame = np.asarray(draw.centre_kji), self._frame(draw, rng)
            classes = cut_labels(self._classes[draw.case], centre, frame)
            contact = int((classes == bicm.CONTACT).sum())
            if contact >= self._config.min_contact_voxels if is_fractured else contact == 0:
                break
        hu = cut_patch(self._hu[draw.case], centre, frame, mode="bilinear")
        found = self._found[draw.case]
        if found is None:
            hu = torch.where(classes > 0, hu, augment.soft_tissue(hu.shape, rng))
        mask = None
        if found is not None and rng.random() < self._config.augment.found_mask_share:
            mask = cut_labels(found, centre, frame) > 0
        return self._finish(hu, classes, mask, rng)

    def _finish(
        self, hu: Tensor, classes: Tensor, mask: Tensor | None, rng: np.random.Generator
    ) -> tuple[Tensor, Tensor]:
        """Network input and target; without a mask, that of the bone, more or less."""
        config = self._config
        hu = augment.change_photometry(hu, rng, config.augment, config.spacing_mm)
        # What was found is wrong in its own way already, where the networks knew the anatomy.
        largest_mm = config.augment.mask_mm if mask is None else config.augment.found_mask_mm
        mask = classes > 0 if mask is None else mask
        if rng.random() < config.augment.mask_share:
            mask = augment.perturb_mask(mask, rng, largest_mm, config.spacing_mm)
        channels = fragment_input(hu.numpy(), mask.numpy(), config.normalisation)
        return torch.from_numpy(channels), torch.where(mask, classes, 0)

    def _frame(self, draw: Draw, rng: np.random.Generator) -> PatchFrame:
        config = self._config
        size = (config.size, config.size, config.size)
        spacing_mm = self._cases[draw.case].info.spacing_mm
        return augment.draw_frame(rng, config.augment, size, config.spacing_mm, spacing_mm)
