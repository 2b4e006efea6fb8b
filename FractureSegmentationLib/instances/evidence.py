"""The predicted map of one bone, prepared for recovery: probabilities inside the bone only."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from FractureSegmentationLib.types import FloatArray, MaskArray, Spacing
from FractureSegmentationLib.voxels.distance import distance_to_mm
from FractureSegmentationLib.voxels.windows import window_minimum

Probability = npt.NDArray[np.float32]
_Number = TypeVar("_Number", bound=np.generic)
_INTERIOR, _CONTACT = 1, 2


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Evidence:
    """Class probabilities of the voxels of one bone, all (K, J, I), 0 outside the bone.

    Attributes:
        bone: where the bone is.
        boundary: probability of boundary.
        interior: probability of interior.
        contact: probability of contact.
        foreground: probability that a voxel is bone at all: the rest of it is background.
        likeliest: 1 where interior is the likeliest class, 2 where contact is, background included.
            A tie goes to contact, which only ever separates, and never to interior.
        voxels: flat numbers of the bone's voxels; a bone fills a tenth of its box, so that what
            is done with them alone costs a tenth.
        spacing_mm: voxel size along (k, j, i), in mm.
    """

    bone: MaskArray
    boundary: Probability
    interior: Probability
    contact: Probability
    foreground: Probability
    likeliest: npt.NDArray[np.uint8]
    voxels: npt.NDArray[np.int64]
    spacing_mm: Spacing

    @classmethod
    def of(
        cls,
        boundary: FloatArray,
        interior: FloatArray,
        contact: FloatArray,
        bone: MaskArray,
        spacing_mm: Spacing,
    ) -> Evidence:
        """Check and copy the three maps.

        Values that are not finite count as 0: a network that overflowed must not decide.

        Raises:
            ValueError: the grids differ, or `bone` is not boolean.
        """
        if bone.dtype != np.bool_:
            raise ValueError(f"bone must be a boolean mask, got {bone.dtype}")
        voxels = np.flatnonzero(bone)
        picked = []
        for name, values in (("boundary", boundary), ("interior", interior), ("contact", contact)):
            if values.shape != bone.shape:
                raise ValueError(f"{name} {values.shape} and bone {bone.shape} must share one grid")
            inside = values.reshape(-1)[voxels].astype(np.float32)
            inside[~np.isfinite(inside)] = 0.0
            picked.append(inside)
        maps = [_spread(inside, voxels, bone.shape) for inside in picked]
        foreground = np.minimum(picked[0] + picked[1] + picked[2], np.float32(1.0))
        likeliest = _likeliest(picked[0], picked[1], picked[2], foreground)
        return cls(
            bone=bone,
            boundary=maps[0],
            interior=maps[1],
            contact=maps[2],
            foreground=_spread(foreground, voxels, bone.shape),
            likeliest=_spread(likeliest, voxels, bone.shape),
            voxels=voxels,
            spacing_mm=spacing_mm,
        )

    @property
    def voxel_mm3(self) -> float:
        """Volume of one voxel, in mm³."""
        k, j, i = self.spacing_mm
        return k * j * i

    def interior_mask(self) -> MaskArray:
        """Where interior is the likeliest class, background included; ties go to the others."""
        mask: MaskArray = self.likeliest == _INTERIOR
        return mask

    def contact_class(self) -> MaskArray:
        """Where contact is the likeliest class; ties go to contact, which only ever separates."""
        mask: MaskArray = self.likeliest == _CONTACT
        return mask

    def weight(self, marrow_depth_mm: float, marrow_weight: float) -> Probability:
        """(K, J, I) how much each voxel counts where it is judged whether two fragments part.

        That is how surely it is bone; less in the marrow, further than `marrow_depth_mm` from the
        bone's surface.
        """
        reach_mm = marrow_depth_mm + max(self.spacing_mm)
        outside = np.pad(~self.bone, 1, constant_values=True)
        depth_mm = distance_to_mm(outside, self.spacing_mm, reach_mm)[1:-1, 1:-1, 1:-1]
        factor = np.where(depth_mm > marrow_depth_mm, np.float32(marrow_weight), np.float32(1.0))
        return self.foreground * factor

    def separation(self, deep_boundary_mm: float) -> Probability:
        """(K, J, I) probability that two fragments meet here.

        Boundary belongs to the outer shell; boundary with `deep_boundary_mm` of bone on all sides
        is a crack whose contact was missed.
        """
        solid = self.bone & (self.foreground >= 0.5)
        k, j, i = (math.ceil(deep_boundary_mm / s) for s in self.spacing_mm)
        is_deep = window_minimum(np.pad(solid, 1), (k, j, i))[1:-1, 1:-1, 1:-1]
        is_crack = is_deep & (self.boundary > self.contact)
        return np.where(is_crack, self.boundary, self.contact)


def _likeliest(
    boundary: Probability, interior: Probability, contact: Probability, foreground: Probability
) -> npt.NDArray[np.uint8]:
    background = np.float32(1.0) - foreground
    is_interior = (interior > boundary) & (interior > contact) & (interior > background)
    is_contact = (contact >= boundary) & (contact >= interior) & (contact >= background)
    classes = np.zeros(interior.shape, np.uint8)
    classes[is_interior] = _INTERIOR
    classes[is_contact] = _CONTACT
    return classes


def _spread(
    values: npt.NDArray[_Number], voxels: npt.NDArray[np.int64], shape: tuple[int, ...]
) -> npt.NDArray[_Number]:
    """Values of single voxels on the whole grid, 0 elsewhere."""
    whole = np.zeros(shape, values.dtype)
    whole.reshape(-1)[voxels] = values
    return whole
