"""CTs of analytic bones: a whole pelvis with both proximal femora, and a single femur."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter

from fracseg_training.phantoms.body import MUSCLE_HU, soft_tissue
from fracseg_training.phantoms.hip import femur_field, hip_field
from fracseg_training.phantoms.sacrum import last_vertebra_field, sacrum_field
from fracseg_training.phantoms.shapes import Field, Lattice
from fracseg_training.phantoms.tissue import BoneOnGrid, BoneQuality, coverage, on_grid
from fracseg_training.simulate.noise import fractal_noise
from fracseg_training.simulate.truth_case import TruthCase
from FractureSegmentationLib.anatomy.catalogue import bone_named
from FractureSegmentationLib.geometry import Geometry
from FractureSegmentationLib.types import Shape, Spacing

Float32Array = npt.NDArray[np.float32]
PELVIS_BONES = ("sacrum", "left_hip", "right_hip", "left_femur", "right_femur")
"""Slugs of the bones that `pelvis_phantom` draws."""

_STEP_MM = 2.0
_SACROILIAC_GAP_MM = 2.2
_PSF_MM = 0.45
_LOW_LPS_MM = np.array([-178.0, -112.0, -150.0])
_HIGH_LPS_MM = np.array([178.0, 128.0, 148.0])


def pelvis_phantom(rng: np.random.Generator, spacing_mm: Spacing = (1.0, 0.9, 0.9)) -> TruthCase:
    """A whole pelvis with soft tissue, unbroken.

    Args:
        rng: source of all randomness: size, density, soft tissue, texture, noise.
        spacing_mm: voxel size along (k, j, i), in mm.

    Returns:
        Sacrum, hip bones and femora down to the CT's lower end; the grid's axes run to Superior,
        Posterior and Left.
    """
    scale = float(np.clip(rng.normal(1.0, 0.04), 0.9, 1.1))
    geometry = _grid(_LOW_LPS_MM * scale, _HIGH_LPS_MM * scale, spacing_mm)
    scaled = {name: _scaled(field, scale) for name, field in _pelvis_fields().items()}
    return _image(scaled, soft_tissue(geometry, rng), geometry, rng)


def femur_phantom(
    rng: np.random.Generator, spacing_mm: Spacing = (1.0, 0.8, 0.8), length_mm: float = 420.0
) -> TruthCase:
    """A left femur in muscle, unbroken.

    Args:
        rng: source of all randomness.
        spacing_mm: voxel size along (k, j, i), in mm.
        length_mm: how much of it, from the hip joint down; 420 mm is all of it.

    Returns:
        The femur.
    """
    scale = float(np.clip(rng.normal(1.0, 0.04), 0.9, 1.1))
    low, high = np.array([42.0, -45.0, -length_mm + 12.0]), np.array([158.0, 55.0, 40.0])
    geometry = _grid(low * scale, high * scale, spacing_mm)
    field = femur_field(is_left=True, length_mm=length_mm, step_mm=_STEP_MM)
    muscle = np.full(geometry.shape, MUSCLE_HU, np.float32)
    return _image({"left_femur": _scaled(field, scale)}, muscle, geometry, rng)


@cache
def _pelvis_fields() -> dict[str, Field]:
    """The bones of a pelvis of mean size, and of no name the vertebra above; drawn once."""
    sacrum = sacrum_field(step_mm=_STEP_MM)
    return {
        "sacrum": sacrum,
        "left_hip": _cleared(hip_field(is_left=True, step_mm=_STEP_MM), sacrum),
        "right_hip": _cleared(hip_field(is_left=False, step_mm=_STEP_MM), sacrum),
        "left_femur": femur_field(is_left=True, length_mm=175.0, step_mm=_STEP_MM),
        "right_femur": femur_field(is_left=False, length_mm=175.0, step_mm=_STEP_MM),
        "": last_vertebra_field(step_mm=_STEP_MM),
    }


def _grid(
    low: npt.NDArray[np.float64], high: npt.NDArray[np.float64], spacing_mm: Spacing
) -> Geometry:
    count = np.ceil((high - low)[::-1] / np.asarray(spacing_mm)).astype(int)
    shape: Shape = (int(count[0]), int(count[1]), int(count[2]))
    origin = (float(low[0]), float(low[1]), float(low[2]))
    return Geometry(shape=shape, spacing_mm=spacing_mm, origin_lps_mm=origin)


def _scaled(field: Field, scale: float) -> Field:
    """The same bone of a larger or smaller person."""
    lattice = Lattice(
        origin_lps_mm=field.lattice.origin_lps_mm * scale,
        shape=field.lattice.shape,
        step_mm=field.lattice.step_mm * scale,
    )
    return replace(field, lattice=lattice, distance_mm=field.distance_mm * np.float32(scale))


def _cleared(hip: Field, sacrum: Field) -> Field:
    """A hip bone without what the sacrum and the joint between them take."""
    between = sacrum.lattice.origin_lps_mm - hip.lattice.origin_lps_mm
    offset = [round(float(gap) / _STEP_MM) for gap in between[::-1]]
    shape = hip.lattice.shape
    blocked = np.full(shape, 15.0, np.float32)
    here = tuple(
        slice(max(o, 0), min(o + n, m))
        for o, n, m in zip(offset, sacrum.lattice.shape, shape, strict=True)
    )
    there = tuple(slice(s.start - o, s.stop - o) for s, o in zip(here, offset, strict=True))
    blocked[here] = sacrum.distance_mm[there]
    return hip.carved((blocked - _SACROILIAC_GAP_MM).astype(np.float32), 1.5)


def _image(
    fields: dict[str, Field],
    surroundings: Float32Array,
    geometry: Geometry,
    rng: np.random.Generator,
) -> TruthCase:
    """Draw bones into their surroundings and scan them."""
    quality = BoneQuality(
        cortex_hu=float(rng.uniform(1000.0, 1350.0)),
        cortex_scale=float(rng.uniform(0.85, 1.2)),
        marrow_scale=float(rng.uniform(0.75, 1.25)),
        texture_hu=float(rng.uniform(30.0, 60.0)),
    )
    texture = fractal_noise(rng, longest_mm=14.0, shortest_mm=1.6, hurst=0.2)
    hu = surroundings
    bones = np.zeros(geometry.shape, np.uint8)
    for name, field in fields.items():
        bone = on_grid(field, geometry, quality, texture)
        _draw(hu, bone, geometry)
        if name:
            inside = (bone.distance_mm < 0.0) & (bones[bone.box] == 0)
            bones[bone.box][inside] = bone_named(name).mask_value
    spacing = np.asarray(geometry.spacing_mm)
    hu = gaussian_filter(hu, _PSF_MM / spacing, truncate=3.0)
    hu += _noise(geometry, rng)
    image = np.clip(np.round(hu), -1024, 3071).astype(np.int16)
    first = np.where(bones > 0, 50 * (bones.astype(np.int32) - 1) + 1, 0).astype(np.uint16)
    return TruthCase(hu=image, bones=bones, fragments=first, geometry=geometry)


def _draw(hu: Float32Array, bone: BoneOnGrid, geometry: Geometry) -> None:
    share = coverage(bone.distance_mm, float(np.mean(geometry.spacing_mm)))
    hu[bone.box] += share * (bone.hu - hu[bone.box])


def _noise(geometry: Geometry, rng: np.random.Generator) -> Float32Array:
    """Correlated noise of 10 to 22 HU."""
    white = rng.standard_normal(geometry.shape, dtype=np.float32)
    noise: Float32Array = gaussian_filter(
        white, 0.6 / np.asarray(geometry.spacing_mm), mode="wrap", truncate=3.0
    )
    noise *= np.float32(rng.uniform(10.0, 22.0) / max(float(noise.std()), 1e-6))
    return noise
