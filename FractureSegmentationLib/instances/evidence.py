"""What the network said of one bone, prepared for recovery: probabilities inside the bone only."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from FractureSegmentationLib.instances.windows import window_minimum
from FractureSegmentationLib.types import FloatArray, MaskArray, Spacing

Probability = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Evidence:
    """Class probabilities of the voxels of one bone, all (K, J, I), 0 outside the bone.

    Attributes:
        bone: where the bone is.
        boundary: probability of boundary.
        interior: probability of interior.
        contact: probability of contact.
        spacing_mm: voxel size along (k, j, i), in mm.
    """

    bone: MaskArray
    boundary: Probability
    interior: Probability
    contact: Probability
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
        maps = []
        for name, values in (("boundary", boundary), ("interior", interior), ("contact", contact)):
            if values.shape != bone.shape:
                raise ValueError(f"{name} {values.shape} and bone {bone.shape} must share one grid")
            inside = np.zeros(bone.shape, np.float32)
            np.copyto(inside, values, where=bone, casting="unsafe")
            maps.append(np.nan_to_num(inside, copy=False, nan=0.0, posinf=0.0, neginf=0.0))
        return cls(
            bone=bone,
            boundary=maps[0],
            interior=maps[1],
            contact=maps[2],
            spacing_mm=spacing_mm,
        )

    @property
    def voxel_mm3(self) -> float:
        """Volume of one voxel, in mm³."""
        k, j, i = self.spacing_mm
        return k * j * i

    @property
    def foreground(self) -> Probability:
        """(K, J, I) probability that a voxel is bone at all: the rest of it is background."""
        total: Probability = np.minimum(self.boundary + self.interior + self.contact, 1.0)
        return total

    def interior_mask(self) -> MaskArray:
        """Where interior is the likeliest class, background included; ties go to the others."""
        likeliest = (self.interior > self.boundary) & (self.interior > self.contact)
        return likeliest & (self.interior > 1.0 - self.foreground)

    def contact_class(self) -> MaskArray:
        """Where contact is the likeliest class; ties go to contact, which only ever separates."""
        likeliest = (self.contact >= self.boundary) & (self.contact >= self.interior)
        return self.bone & likeliest & (self.contact >= 1.0 - self.foreground)

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
