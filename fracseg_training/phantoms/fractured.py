"""The analytic pelvis with some of its bones broken: the demonstration case."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from fracseg_training.phantoms.pelvis import femur_phantom, pelvis_phantom
from fracseg_training.simulate.config import PatternConfig, PoseConfig, SimulationConfig
from fracseg_training.simulate.truth_case import TruthCase
from fracseg_training.simulate.whole_ct import break_bones
from FractureSegmentationLib.anatomy.catalogue import bone_named
from FractureSegmentationLib.types import Spacing

DEMONSTRATION = SimulationConfig(
    pattern=PatternConfig(
        count_weights=(0.35, 0.4, 0.25), minor_share=(0.08, 0.45), comminution_probability=0.3
    ),
    pose=PoseConfig(
        mode_weights=(0.1, 0.35, 0.4, 0.1, 0.05), displacement_sd_mm=4.0, max_displacement_mm=9.0
    ),
)
"""Fractures that a person sees at first sight: few, large, mostly displaced fragments."""


def fractured_pelvis_phantom(
    rng: np.random.Generator,
    spacing_mm: Spacing = (1.0, 0.9, 0.9),
    broken: Sequence[str] = (),
    config: SimulationConfig = DEMONSTRATION,
) -> TruthCase:
    """A pelvis with soft tissue in which some bones are broken.

    Args:
        rng: source of all randomness.
        spacing_mm: voxel size along (k, j, i), in mm.
        broken: slugs of the bones to break; if empty one hip bone and, by chance, the sacrum and a
            femur.
        config: how they break.

    Returns:
        The CT with its bones and fragments.

    Raises:
        ValueError: a slug is unknown or names a bone that a pelvis phantom does not have.
    """
    values = [bone_named(slug).mask_value for slug in broken or _drawn(rng)]
    return _broken(pelvis_phantom(rng, spacing_mm), values, config, rng)


def fractured_femur_phantom(
    rng: np.random.Generator,
    spacing_mm: Spacing = (1.0, 0.8, 0.8),
    config: SimulationConfig = DEMONSTRATION,
) -> TruthCase:
    """A broken left femur in muscle.

    Args:
        rng: source of all randomness.
        spacing_mm: voxel size along (k, j, i), in mm.
        config: how it breaks.

    Returns:
        The CT with its bone and fragments.
    """
    femur = bone_named("left_femur").mask_value
    return _broken(femur_phantom(rng, spacing_mm), [femur], config, rng)


def _drawn(rng: np.random.Generator) -> tuple[str, ...]:
    slugs = ["left_hip" if rng.random() < 0.5 else "right_hip"]
    if rng.random() < 0.5:
        slugs.append("sacrum")
    if rng.random() < 0.35:
        slugs.append("left_femur" if rng.random() < 0.5 else "right_femur")
    return tuple(slugs)


def _broken(
    case: TruthCase, values: list[int], config: SimulationConfig, rng: np.random.Generator
) -> TruthCase:
    ct = break_bones(case.hu, case.bones, case.spacing_mm, rng, config, values)
    return replace(case, hu=ct.hu, bones=ct.bones, fragments=ct.fragments)
