"""A whole CT of a broken pelvis with the exact truth: a body, its bones, and what broke in them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy.ndimage import find_objects, gaussian_filter

from fracseg_training.simulate.config import AppearanceConfig, SimulationConfig
from fracseg_training.simulate.fracture import simulate_fracture
from fracseg_training.synthesis.config import SynthesisConfig
from fracseg_training.synthesis.ct import image_body
from fracseg_training.synthesis.deform import DeformConfig, deform_body
from fracseg_training.synthesis.label_map import LabelMap
from FractureSegmentationLib.anatomy.catalogue import bone_of_mask_value
from FractureSegmentationLib.anatomy.numbering import FRACSEG
from FractureSegmentationLib.bones.totalsegmentator import PELVIC_STRUCTURES
from FractureSegmentationLib.voxels.boxes import grown_box

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fracseg_training.synthesis.fields import Float32Array
    from FractureSegmentationLib.types import LabelArray, Shape, Spacing

_ROOM_MM = 25.0
_SKIN_ROOM_MM = 60.0
_LEAST_BREAKABLE_MM3 = 20_000.0
_STEP_SIGMA_MM = 0.9
_STEP_MARGIN_MM = 3.0
_LOCAL_MARGIN_MM = 20.0
_UNSCANNED = AppearanceConfig(blur_sigma_mm=(0.0, 0.0), noise_hu=(0.0, 0.0))


@dataclass(frozen=True, slots=True, kw_only=True)
class FracturedPelvisConfig:
    """How a broken pelvis is made.

    Attributes:
        spacing_mm: voxel size of the CT along (k, j, i), in mm.
        broken_bones: mask values of the bones to break; drawn if empty.
        broken_count: fewest and most bones that are drawn.
        above_pelvis_mm: how much body there is above the hip bones.
        shape: voxels of the CT; the body is centred, cut or surrounded by air. None holds the body.
        deform: how far the body departs from the label map.
        synthesis: how the CT varies.
        simulation: how bones break; the scanner's part of it is left to `synthesis`.
    """

    spacing_mm: Spacing = (1.0, 0.9, 0.9)
    broken_bones: tuple[int, ...] = ()
    broken_count: tuple[int, int] = (1, 3)
    above_pelvis_mm: float = 60.0
    shape: Shape | None = None
    deform: DeformConfig = field(default_factory=DeformConfig)
    synthesis: SynthesisConfig = field(default_factory=SynthesisConfig)
    simulation: SimulationConfig = field(default_factory=SimulationConfig)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FracturedCt:
    """A synthetic CT with its fragments, axes k to Superior, j to Posterior, i to Left.

    Attributes:
        hu: (K, J, I) int16 Hounsfield units.
        bones: (K, J, I) uint8 mask values of the catalogue.
        fragments: (K, J, I) uint16 in our numbering, index 1 the largest of each bone.
        spacing_mm: voxel size along (k, j, i), in mm.
    """

    hu: npt.NDArray[np.int16]
    bones: npt.NDArray[np.uint8]
    fragments: npt.NDArray[np.uint16]
    spacing_mm: Spacing


def fractured_pelvis(
    labels: LabelArray,
    names: Mapping[int, str],
    spacing_mm: Spacing,
    rng: np.random.Generator,
    config: FracturedPelvisConfig | None = None,
) -> FracturedCt:
    """Make a CT of a label map's pelvis with one to three broken bones.

    Args:
        labels: (K, J, I) uint8 structures, axes k to Superior, j to Posterior, i to Left.
        names: structure of each label value.
        spacing_mm: voxel size along (k, j, i), in mm.
        rng: source of every draw.
        config: how it is made.

    Returns:
        The CT with bones and fragments.
    """
    config = config or FracturedPelvisConfig()
    body = _pelvis(LabelMap(labels=labels, names=names, spacing_mm=spacing_mm), config)
    body = deform_body(body, rng, config.deform, config.spacing_mm).around(_SKIN_ROOM_MM)
    if config.shape is not None:
        body = _of_shape(body, config.shape)
    body = with_smooth_bones(body)
    bones = body.bones()
    truth = Truth(bones, np.where(bones > 0, 1, 0).astype(np.uint16))
    broken = config.broken_bones or _drawn(bones, body.spacing_mm, rng, config.broken_count)

    def break_bones(hu: Float32Array) -> None:
        for value in broken:
            truth.break_bone(hu, value, body.spacing_mm, rng, config.simulation)

    ct = image_body(body, bones, rng, config.synthesis, break_bones)
    return FracturedCt(
        hu=ct.hu, bones=truth.bones, fragments=truth.numbered(), spacing_mm=ct.spacing_mm
    )


class Truth:
    """The bones and fragments of a body while its bones are broken one after the other.

    Args:
        bones: (K, J, I) mask values.
        indices: (K, J, I) fragment index within the bone, 0 outside; 1 all over to begin with.
    """

    def __init__(self, bones: npt.NDArray[np.uint8], indices: npt.NDArray[np.uint16]) -> None:
        self.bones = bones.copy()
        self._indices = indices.copy()

    def break_bone(
        self,
        hu: Float32Array,
        value: int,
        spacing_mm: Spacing,
        rng: np.random.Generator,
        config: SimulationConfig,
    ) -> None:
        """Break the bone of mask value `value` in `hu`, in place, and note its fragments."""
        found = find_objects(self.bones)
        if value > len(found) or found[value - 1] is None:
            raise ValueError(f"the {bone_of_mask_value(value).name.lower()} is not in the body")
        box = grown_box(
            found[value - 1], [round(_LOCAL_MARGIN_MM / step) for step in spacing_mm], hu.shape
        )
        mask = self.bones[box] == value
        simulated = simulate_fracture(
            hu[box],
            mask,
            spacing_mm,
            rng,
            replace(config, appearance=_quiet(config.appearance)),
            slug=bone_of_mask_value(value).slug,
        )
        # Fragments may reach past the box; what lies there is left out.
        hu[box], fragments = simulated.on_input_grid(mask.shape)
        self.bones[box][mask] = 0
        self._indices[box][mask] = 0
        self.bones[box][fragments > 0] = value
        self._indices[box][fragments > 0] = fragments[fragments > 0]

    def numbered(self) -> npt.NDArray[np.uint16]:
        """(K, J, I) fragments in our numbering, the largest of each bone first."""
        numbered = np.zeros(self.bones.shape, np.uint16)
        for value in np.unique(self.bones[self.bones > 0]):
            inside = self.bones == value
            volumes = np.bincount(self._indices[inside])
            ranks = np.argsort(np.argsort(-volumes, kind="stable"), kind="stable") + 1
            first = FRACSEG.label_of(bone_of_mask_value(int(value)), 1)
            numbered[inside] = (first - 1 + ranks)[self._indices[inside]]
        return numbered


def with_smooth_bones(body: LabelMap) -> LabelMap:
    """A body whose bones lost the steps that a coarse label map leaves on a finer grid.

    What a bone gives up becomes unnamed tissue; what it gains it takes from its neighbours.
    """
    labels = np.array(body.labels)
    weights = np.full(labels.shape, 0.5, np.float32)
    is_bone = body.bones() > 0
    boxes = find_objects(body.labels)
    margin = [round(_STEP_MARGIN_MM / step) for step in body.spacing_mm]
    labels[is_bone] = 0
    for value, name in body.names.items():
        if name not in PELVIC_STRUCTURES or value > len(boxes) or boxes[value - 1] is None:
            continue
        box = grown_box(boxes[value - 1], margin, labels.shape)
        same = np.isin(body.labels[box], _fused_values(body, name))
        sigma = [_STEP_SIGMA_MM / s for s in body.spacing_mm]
        smooth = gaussian_filter(same.astype(np.float32), sigma, truncate=3.0)
        # S1 and the rest of the sacrum are smoothed as one, then both keep their own voxels.
        wins = (smooth > weights[box]) & ((body.labels[box] == value) | ~same)
        labels[box][wins] = value
        weights[box][wins] = smooth[wins]
    return replace(body, labels=labels)


def _fused_values(body: LabelMap, name: str) -> list[int]:
    slug = PELVIC_STRUCTURES[name]
    return [value for value, other in body.names.items() if PELVIC_STRUCTURES.get(other) == slug]


def _quiet(appearance: AppearanceConfig) -> AppearanceConfig:
    """The look of fractures without the scanner, which comes later and once for the whole CT."""
    return replace(appearance, blur_sigma_mm=_UNSCANNED.blur_sigma_mm, noise_hu=_UNSCANNED.noise_hu)


def _pelvis(body: LabelMap, config: FracturedPelvisConfig) -> LabelMap:
    """The part of a body up to so far above the hip bones."""
    top = int(np.flatnonzero(body.mask_of("hip_").any(axis=(1, 2)))[-1])
    above = round(config.above_pelvis_mm / body.spacing_mm[0])
    return body.cropped((slice(0, top + above), slice(None), slice(None)))


def _of_shape(body: LabelMap, shape: Shape) -> LabelMap:
    """The body on a grid of a given size: centred, its lowest slice kept."""
    lows = [0, *((n - m) // 2 for n, m in zip(body.labels.shape[1:], shape[1:], strict=True))]
    sides = tuple(
        slice(max(low, 0), min(low + m, n))
        for low, m, n in zip(lows, shape, body.labels.shape, strict=True)
    )
    before = [max(-low, 0) for low in lows]
    cut = body.labels[sides]
    after = [m - n - b for m, n, b in zip(shape, cut.shape, before, strict=True)]
    return replace(body, labels=np.pad(cut, list(zip(before, after, strict=True))))


def _drawn(
    bones: npt.NDArray[np.uint8],
    spacing_mm: Spacing,
    rng: np.random.Generator,
    least_and_most: tuple[int, int],
) -> tuple[int, ...]:
    volumes_mm3 = np.bincount(bones.ravel()) * float(np.prod(spacing_mm))
    large = np.flatnonzero(volumes_mm3 > _LEAST_BREAKABLE_MM3)
    large = large[large > 0]
    least, most = least_and_most
    count = min(int(rng.integers(least, most + 1)), len(large))
    return tuple(int(value) for value in rng.choice(large, count, replace=False))
