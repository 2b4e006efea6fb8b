"""The last lumbar vertebra: no bone of the catalogue, but a CT without it would look odd."""

from __future__ import annotations

from fracseg_training.phantoms.shapes import Field, Knot, around, blended, curve, plate

_BODY: tuple[tuple[Knot, ...], ...] = (
    ((-15, 18, 104, 12.0, 1.0, 180), (0, 14, 105, 13.0, 1.0, 180), (15, 18, 104, 12.0, 1.0, 180)),
    ((-15, 30, 113, 12.0, 1.0, 180), (0, 30, 114, 13.0, 1.0, 180), (15, 30, 113, 12.0, 1.0, 180)),
)
_ARCH: tuple[Knot, ...] = (
    (19, 44, 114, 6.0, 1.5, 200), (22, 58, 112, 6.0, 1.5, 200), (12, 68, 110, 4.5, 1.5, 200),
    (0, 74, 107, 4.5, 1.5, 200), (0, 88, 103, 4.5, 1.3, 200),
)  # fmt: skip
_TRANSVERSE: tuple[Knot, ...] = (
    (22, 48, 115, 6.0, 1.5, 180), (38, 52, 118, 4.5, 1.4, 180), (48, 52, 121, 4.0, 1.4, 180),
)  # fmt: skip


def last_vertebra_field(*, step_mm: float) -> Field:
    """The fifth lumbar vertebra on its own lattice."""
    sweeps = [plate(_BODY)]
    for is_mirrored in (False, True):
        sweeps.append(curve(_ARCH, is_mirrored=is_mirrored))
        sweeps.append(curve(_TRANSVERSE, is_mirrored=is_mirrored))
    return blended(sweeps, around(sweeps, margin_mm=10.0, step_mm=step_mm), blend_mm=5.0)
