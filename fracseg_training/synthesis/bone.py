"""How bone looks in a CT: a bright shell of varying thickness around a trabecular inside."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import distance_transform_edt, find_objects

from fracseg_training.synthesis.fields import Float32Array, smooth_field
from FractureSegmentationLib.voxels.boxes import grown_box

if TYPE_CHECKING:
    from fracseg_training.synthesis.config import SynthesisConfig
    from fracseg_training.synthesis.label_map import LabelMap
    from FractureSegmentationLib.types import LabelArray, MaskArray, Spacing

_BONE_PREFIXES = ("sacrum", "hip_", "femur_", "vertebrae_", "rib_", "sternum", "clavicula_")
_OTHER_PREFIXES = ("scapula_", "humerus_", "skull")
_SHAFT_PREFIXES = ("femur_", "humerus_")
_JOINT_HU = 70.0
_MARROW_HU = (-80.0, 60.0)
_SHAFT_BELOW_TOP_MM = 90.0
_SACRAL_CORTEX = 0.55
"""Thickness of the cortex of the sacrum as a share of that of the hip bones."""
_PATCHINESS = 0.55
"""Standard deviation of the logarithm of the cortex's thickness within a bone."""
_SUBCORTICAL, _SUBCORTICAL_MM = 0.6, 4.0
"""Trabecular bone is so much denser below the cortex than in the depth, and so far."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BoneLook:
    """How all bones of one patient look.

    Attributes:
        cortex_hu: brightest cortex.
        cortex_mm: thickness of the shell.
        shaft_cortex_mm: thickness of the cortex of shafts.
        trabecular_hu: mean inside.
        trabecular_sd_hu: variation inside.
        marrow_hu: inside of a shaft.
        joint_share: share of joint voxels that are cartilage, 0 for a worn joint.
    """

    cortex_hu: float
    cortex_mm: float
    shaft_cortex_mm: float
    trabecular_hu: float
    trabecular_sd_hu: float
    marrow_hu: float
    joint_share: float


def draw_bone_look(rng: np.random.Generator, config: SynthesisConfig) -> BoneLook:
    """One patient's bones."""
    return BoneLook(
        cortex_hu=float(rng.uniform(*config.cortex_hu)),
        cortex_mm=float(rng.uniform(*config.cortex_mm)),
        shaft_cortex_mm=float(rng.uniform(*config.shaft_cortex_mm)),
        trabecular_hu=float(rng.uniform(*config.trabecular_hu)),
        trabecular_sd_hu=float(rng.uniform(*config.trabecular_sd_hu)),
        marrow_hu=float(rng.uniform(*_MARROW_HU)),
        joint_share=float(rng.choice([0.0, 0.6, 1.0])),
    )


def paint_bones(
    hu: Float32Array,
    body: LabelMap,
    rng: np.random.Generator,
    look: BoneLook,
) -> None:
    """Write the HU of every bone of `body` into `hu`, in place.

    Args:
        hu: (K, J, I) the CT in the making.
        body: which voxel is which bone.
        rng: source of the texture.
        look: how the bones look.
    """
    labels = bone_labels(body)
    boxes = find_objects(labels)
    joints = _joints(labels) if look.joint_share > 0.0 else None
    shafts = set(body.values_of(*_SHAFT_PREFIXES))
    sacra = set(body.values_of("sacrum"))
    sacral = replace(look, cortex_mm=_SACRAL_CORTEX * look.cortex_mm)
    for value in np.unique(labels[labels > 0]):
        box = grown_box(boxes[int(value) - 1], 1, labels.shape)
        inside = labels[box] == value
        part = hu[box]
        own = sacral if int(value) in sacra else look
        painted = _one_bone(inside, body.spacing_mm, rng, own, is_long=int(value) in shafts)
        part[inside] = painted[inside]
        if joints is not None:
            worn = inside & joints[box] & (rng.random(inside.shape) < look.joint_share)
            part[worn] = _JOINT_HU


def bone_labels(body: LabelMap) -> LabelArray:
    """(K, J, I) labels of the bones of a body, the separate S1 of label maps back in the sacrum."""
    table = np.zeros(256, np.uint8)
    for value in body.values_of(*_BONE_PREFIXES, *_OTHER_PREFIXES):
        table[value] = value
    sacrum = body.values_of("sacrum")
    for value in body.values_of("vertebrae_S1"):
        table[value] = sacrum[0] if sacrum else value
    fused: LabelArray = table[body.labels]
    return fused


def _joints(labels: LabelArray) -> MaskArray:
    """Bone voxels that touch another bone at a face."""
    touches = np.zeros(labels.shape, bool)
    for axis in range(3):
        low = [slice(None)] * 3
        high = [slice(None)] * 3
        low[axis], high[axis] = slice(None, -1), slice(1, None)
        below, above = labels[tuple(low)], labels[tuple(high)]
        meets = (below != above) & (below > 0) & (above > 0)
        touches[tuple(low)] |= meets
        touches[tuple(high)] |= meets
    return touches


def _one_bone(
    inside: MaskArray,
    spacing_mm: Spacing,
    rng: np.random.Generator,
    look: BoneLook,
    *,
    is_long: bool,
) -> Float32Array:
    """(K, J, I) HU of one bone in its box."""
    k, j, i = inside.shape
    shape = (k, j, i)
    depth = distance_transform_edt(inside, sampling=spacing_mm).astype(np.float32)
    depth -= 0.5 * min(spacing_mm)
    thickness = look.cortex_mm * np.exp(_PATCHINESS * smooth_field(shape, spacing_mm, rng, 25.0))
    texture = smooth_field(shape, spacing_mm, rng, 18.0) + 0.7 * smooth_field(
        shape, spacing_mm, rng, 5.0
    )
    denser = 1.0 + _SUBCORTICAL * np.exp(-depth / _SUBCORTICAL_MM)
    core = np.float32(look.trabecular_hu) * denser + look.trabecular_sd_hu * texture
    if is_long:
        share = _shaft_share(shape, spacing_mm)
        thickness = thickness * (1.0 - share) + look.shaft_cortex_mm * share
        core = core * (1.0 - share) + look.marrow_hu * share
    peak = look.cortex_hu * np.exp(0.12 * smooth_field(shape, spacing_mm, rng, 30.0))
    # Partial volume: a shell thinner than a voxel is as much darker.
    fullness = np.clip(thickness / max(spacing_mm), 0.0, 1.0)
    weight = np.clip((thickness - depth) / 1.5 + 0.5, 0.0, 1.0) * fullness
    return np.asarray(core + (np.maximum(peak, core) - core) * weight, np.float32)


def _shaft_share(shape: tuple[int, int, int], spacing_mm: Spacing) -> Float32Array:
    """(K, 1, 1) 0 in the upper end of a long bone, 1 in its shaft."""
    below_top_mm = (shape[0] - 1 - np.arange(shape[0])) * spacing_mm[0]
    share = np.clip((below_top_mm - _SHAFT_BELOW_TOP_MM + 30.0) / 30.0, 0.0, 1.0)
    return np.asarray(share[:, None, None], np.float32)
