"""A femur: head, neck, both trochanters, a bowed shaft with its medullary canal, condyles."""

from __future__ import annotations

from fracseg_training.phantoms.hip import HIP_CENTRE_LPS_MM
from fracseg_training.phantoms.shapes import Field, Knot, Sweep, around, blended, curve

HEAD_RADIUS_MM = 23.5
_X, _Y, _Z = HIP_CENTRE_LPS_MM
_HEAD: tuple[Knot, ...] = (
    (_X, _Y, _Z, HEAD_RADIUS_MM, 1.2, 320), (_X + 1, _Y, _Z - 1, HEAD_RADIUS_MM, 1.2, 320),
)  # fmt: skip
_NECK: tuple[Knot, ...] = (
    (_X + 6, 1, -5, 17.5, 1.6, 260), (_X + 19, 4, -14, 15.0, 2.4, 160),
    (_X + 32, 7, -26, 17.5, 2.6, 100), (_X + 37, 8, -42, 18.0, 3.0, 60),
)  # fmt: skip
_GREATER_TROCHANTER: tuple[Knot, ...] = (
    (_X + 44, 14, 0, 10.0, 1.4, 80), (_X + 47, 11, -14, 12.0, 1.5, 60),
    (_X + 44, 9, -32, 14.5, 2.0, 50),
)  # fmt: skip
_LESSER_TROCHANTER: tuple[Knot, ...] = (
    (_X + 28, 14, -50, 10.0, 2.0, 80), (_X + 20, 20, -52, 7.0, 1.8, 100),
)  # fmt: skip
_SHAFT: tuple[Knot, ...] = (
    (_X + 37, 8, -44, 17.5, 3.2, 40), (_X + 35, 6, -66, 15.5, 4.6, -20),
    (_X + 32, 2, -100, 14.2, 6.0, -60), (_X + 27, -4, -160, 13.6, 6.6, -70),
    (_X + 20, -6, -230, 13.6, 6.2, -70), (_X + 12, -2, -300, 14.5, 4.8, -60),
    (_X + 6, 4, -350, 18.5, 3.0, 0),
)  # fmt: skip
_CONDYLES: tuple[tuple[Knot, ...], ...] = (
    ((_X + 6, 4, -352, 19.0, 2.0, 60), (_X - 12, 8, -385, 20.0, 1.5, 180),
     (_X - 19, 16, -402, 17.0, 1.3, 220)),
    ((_X + 6, 4, -352, 19.0, 2.0, 60), (_X + 20, 6, -385, 19.0, 1.5, 180),
     (_X + 25, 15, -401, 17.0, 1.3, 220)),
)  # fmt: skip


def femur_sweeps(*, is_left: bool, length_mm: float) -> list[Sweep]:
    """The parts a femur is blended from, cut off `length_mm` below the hip joint."""
    parts = [_HEAD, _NECK, _GREATER_TROCHANTER, _LESSER_TROCHANTER, _SHAFT, *_CONDYLES]
    sweeps = []
    for knots in parts:
        sweep = curve(knots, is_mirrored=not is_left)
        keep = sweep.centres_lps_mm[:, 2] > -length_mm
        if keep.any():
            sweeps.append(
                Sweep(
                    centres_lps_mm=sweep.centres_lps_mm[keep],
                    radius_mm=sweep.radius_mm[keep],
                    cortex_mm=sweep.cortex_mm[keep],
                    marrow_hu=sweep.marrow_hu[keep],
                )
            )
    return sweeps


def femur_field(*, is_left: bool, length_mm: float, step_mm: float) -> Field:
    """One femur on its own lattice.

    Args:
        is_left: which side.
        length_mm: how far below the hip joint it reaches.
        step_mm: the lattice's step.

    Returns:
        The bone.
    """
    sweeps = femur_sweeps(is_left=is_left, length_mm=length_mm)
    lattice = around(sweeps, margin_mm=10.0, step_mm=step_mm)
    return blended(sweeps, lattice, blend_mm=6.0)
