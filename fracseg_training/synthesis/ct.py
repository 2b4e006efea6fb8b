"""A CT from a label map, on one screen: body, tissue, bone, extras, scanner."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from fracseg_training.synthesis.bone import draw_bone_look, paint_bones
from fracseg_training.synthesis.config import SynthesisConfig
from fracseg_training.synthesis.envelope import wrap_body
from fracseg_training.synthesis.extras import add_arm, add_implant, add_table
from fracseg_training.synthesis.label_map import LabelMap
from fracseg_training.synthesis.scanner import draw_scan, scan_body
from fracseg_training.synthesis.soft_tissue import draw_tissue_look, paint_soft_tissue

if TYPE_CHECKING:
    from collections.abc import Callable

    from fracseg_training.synthesis.fields import Float32Array
    from FractureSegmentationLib.types import Spacing

_IMPLANT_BONES = (2, 3, 4, 4, 5, 5)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SyntheticCt:
    """A synthetic CT with its truth, axes k to Superior, j to Posterior, i to Left.

    Attributes:
        hu: (K, J, I) int16 Hounsfield units.
        bones: (K, J, I) uint8 mask values of the catalogue.
        spacing_mm: voxel size along (k, j, i), in mm.
    """

    hu: npt.NDArray[np.int16]
    bones: npt.NDArray[np.uint8]
    spacing_mm: Spacing


def image_body(
    body: LabelMap,
    bones: npt.NDArray[np.uint8],
    rng: np.random.Generator,
    config: SynthesisConfig,
    place_bones: Callable[[Float32Array], None] | None = None,
) -> SyntheticCt:
    """Paint and scan a body; `place_bones` may put bones of its own in before the scan.

    Args:
        body: the structures.
        bones: (K, J, I) the truth to hand out.
        rng: source of every draw.
        config: how much CTs vary.
        place_bones: called with the (K, J, I) HU after the bones of `body` were painted.
    """
    envelope = wrap_body(body, rng, config)
    hu = paint_soft_tissue(body, envelope, rng, draw_tissue_look(rng, config))
    paint_bones(hu, body, rng, draw_bone_look(rng, config))
    if place_bones is not None:
        place_bones(hu)
    if rng.random() < config.table_share:
        add_table(hu, envelope, body.spacing_mm, rng)
    if rng.random() < config.arm_share:
        add_arm(hu, envelope, body.spacing_mm, rng)
    if rng.random() < config.metal_share:
        add_implant(hu, bones == rng.choice(_IMPLANT_BONES), body.spacing_mm, rng)
    image = scan_body(hu, body.spacing_mm, rng, draw_scan(rng, config))
    return SyntheticCt(hu=image, bones=bones, spacing_mm=body.spacing_mm)
