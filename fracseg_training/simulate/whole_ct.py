"""Break bones of a whole CT, one after the other, and keep the truth on its grid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
from scipy.ndimage import find_objects

from fracseg_training.simulate.config import Mode, SimulationConfig
from fracseg_training.simulate.fracture import as_int16, simulate_fracture
from fracseg_training.simulate.pattern import by_volume
from FractureSegmentationLib.anatomy.catalogue import bone_of_mask_value
from FractureSegmentationLib.anatomy.numbering import FRACSEG
from FractureSegmentationLib.types import HuArray, LabelArray, Spacing
from FractureSegmentationLib.voxels.boxes import grown_box

_ROOM_MM = 20.0


@dataclass(slots=True, kw_only=True, eq=False)
class BrokenCt:
    """A CT in which bones were broken.

    Attributes:
        hu: (K, J, I) int16 Hounsfield units.
        bones: (K, J, I) uint8 catalogue mask values; they follow the fragments.
        fragments: (K, J, I) uint16 in the project's own numbering; a whole bone is fragment 1.
        modes: per broken bone's mask value, the mode of each of its fractures.
    """

    hu: npt.NDArray[np.int16]
    bones: npt.NDArray[np.uint8]
    fragments: npt.NDArray[np.uint16]
    modes: dict[int, tuple[Mode, ...]] = field(default_factory=dict)


def break_bones(
    hu: HuArray,
    bones: LabelArray,
    spacing_mm: Spacing,
    rng: np.random.Generator,
    config: SimulationConfig | None = None,
    broken: Sequence[int] = (),
) -> BrokenCt:
    """Break some bones of a CT.

    Fragments keep out of the other bones; what would still enter one, or leave the grid, is cut
    off. The scanner's blur and noise are left out: only a box around each bone would get them.

    Args:
        hu: (K, J, I) CT of unbroken bones.
        bones: (K, J, I) catalogue mask values.
        spacing_mm: voxel size along (k, j, i), in mm.
        rng: source of all randomness.
        config: how bones break.
        broken: mask values of the bones to break; drawn, one to three, if empty.

    Returns:
        The CT and its truth on the same grid.

    Raises:
        ValueError: the grids differ, or a bone to break is not there.
    """
    if hu.shape != bones.shape:
        raise ValueError(f"hu {hu.shape} and bones {bones.shape} must share one grid")
    there = [int(v) for v in np.unique(bones) if v]
    chosen = list(broken) or _draw_bones(there, rng)
    missing = [bone_of_mask_value(v).slug for v in chosen if v not in there]
    if missing or not chosen:
        raise ValueError(f"the CT does not hold these bones: {', '.join(missing) or 'any'}")
    result = BrokenCt(
        hu=as_int16(hu).copy(),
        bones=bones.astype(np.uint8),
        fragments=np.zeros(bones.shape, np.uint16),
    )
    for value in there:
        first = FRACSEG.label_of(bone_of_mask_value(value), 1)
        result.fragments[result.bones == value] = first
    quiet = _without_scanner(config or SimulationConfig())
    for value in chosen:
        _break_one(result, value, spacing_mm, rng, quiet)
    return result


def _draw_bones(there: list[int], rng: np.random.Generator) -> list[int]:
    count = min(len(there), int(rng.integers(1, 4)))
    return [int(v) for v in rng.choice(there, count, replace=False)] if there else []


def _without_scanner(config: SimulationConfig) -> SimulationConfig:
    look = replace(config.appearance, blur_sigma_mm=(0.0, 0.0), noise_hu=(0.0, 0.0))
    return replace(config, appearance=look)


def _break_one(
    ct: BrokenCt,
    value: int,
    spacing_mm: Spacing,
    rng: np.random.Generator,
    config: SimulationConfig,
) -> None:
    """Break one bone; changes `ct`."""
    (inner,) = find_objects((ct.bones == value).view(np.uint8))
    box = grown_box(inner, [round(_ROOM_MM / step) for step in spacing_mm], ct.bones.shape)
    others = (ct.bones[box] > 0) & (ct.bones[box] != value)
    bone = simulate_fracture(
        ct.hu[box], ct.bones[box] == value, spacing_mm, rng, config, blocked=others
    )
    hu, fragments = bone.on_input_grid(others.shape)
    ct.hu[box] = np.where(others, ct.hu[box], hu)
    kept = by_volume(np.where(others, 0, fragments))
    first = FRACSEG.label_of(bone_of_mask_value(value), 1)
    gone = ct.bones[box] == value
    ct.bones[box][gone] = 0
    ct.fragments[box][gone] = 0
    ct.bones[box][kept > 0] = value
    ct.fragments[box][kept > 0] = first - 1 + kept[kept > 0]
    ct.modes[value] = bone.modes
