"""A hip bone and a femur.

The hip bone has its iliac wing, acetabulum, ischium, and pubis with its rami around the obturator
foramen; the femur its head, neck, both trochanters, a bowed shaft with medullary canal, and
condyles.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from fracseg_training.phantoms.shapes import (
    Field,
    Knot,
    Sweep,
    around,
    ball,
    blended,
    curve,
    half_space,
    plate,
    smooth_union,
)

HIP_CENTRE_LPS_MM = (88.0, 0.0, 0.0)
"""Centre of the left hip joint; the phantom is measured from midway between both."""
SOCKET_RADIUS_MM = 26.5

_SOCKET_OPENING = (0.70, -0.30, -0.65)
_WING: tuple[tuple[Knot, ...], ...] = (
    (  # the crest, from the anterior superior to the posterior superior iliac spine
        (117, -38, 84, 6.5, 1.0, 220), (133, -24, 106, 5.5, 1.0, 220),
        (138, 2, 122, 6.5, 1.0, 220), (122, 34, 128, 5.5, 1.0, 200),
        (84, 64, 112, 6.5, 1.0, 200), (51, 84, 82, 8.5, 1.0, 200),
    ),
    (
        (110, -36, 66, 5.5, 1.0, 200), (122, -18, 82, 2.6, 0.8, 200),
        (121, 6, 92, 2.4, 0.8, 200), (105, 34, 96, 2.7, 0.8, 180),
        (71, 57, 89, 6.5, 0.9, 160), (54, 78, 68, 9.0, 1.0, 160),
    ),
    (
        (100, -33, 46, 6.0, 1.0, 220), (108, -14, 56, 3.6, 0.8, 200),
        (106, 6, 64, 2.6, 0.8, 180), (92, 30, 68, 3.2, 0.8, 170),
        (68, 51, 65, 8.0, 1.0, 150), (56, 70, 54, 9.0, 1.0, 150),
    ),
    (
        (92, -27, 27, 8.0, 1.2, 250), (96, -12, 32, 8.0, 1.2, 250),
        (92, 6, 36, 7.5, 1.3, 250), (80, 24, 38, 7.5, 1.4, 220),
        (66, 42, 41, 8.5, 1.4, 180), (57, 57, 44, 8.0, 1.0, 150),
    ),
)  # fmt: skip
_POSTERIOR_COLUMN: tuple[Knot, ...] = (
    (72, 36, 32, 9.0, 1.4, 200), (75, 33, 14, 9.5, 1.3, 200), (76, 31, -6, 10.0, 1.3, 200),
    (73, 30, -26, 11.5, 1.2, 180), (66, 30, -46, 13.0, 1.0, 180), (60, 27, -58, 12.0, 1.0, 180),
)  # fmt: skip
_ISCHIAL_SPINE: tuple[Knot, ...] = (
    (72, 38, 2, 7.0, 1.0, 180), (63, 45, -3, 4.5, 1.0, 180), (56, 48, -6, 2.8, 1.0, 180),
)  # fmt: skip
_INFERIOR_RAMUS: tuple[Knot, ...] = (
    (61, 20, -60, 10.5, 1.0, 180), (49, 4, -60, 7.6, 1.0, 160), (35, -13, -53, 6.4, 1.0, 160),
    (22, -27, -43, 6.4, 1.0, 160), (13, -36, -34, 7.5, 1.0, 180),
)  # fmt: skip
_PUBIC_BODY: tuple[Knot, ...] = (
    (11, -38, -34, 7.5, 1.0, 200), (12, -41, -22, 9.0, 1.0, 200), (14, -42, -8, 9.0, 1.0, 200),
)  # fmt: skip
_SUPERIOR_RAMUS: tuple[Knot, ...] = (
    (15, -42, -6, 8.5, 1.0, 200), (30, -41, 1, 7.0, 1.1, 180), (46, -36, 7, 7.2, 1.2, 180),
    (60, -28, 12, 8.8, 1.2, 200), (76, -20, 16, 10.5, 1.2, 220),
)  # fmt: skip


def hip_sweeps(*, is_left: bool) -> list[Sweep]:
    """The parts a hip bone is blended from."""
    other = not is_left
    return [
        plate(_WING, is_mirrored=other),
        curve(_POSTERIOR_COLUMN, is_mirrored=other),
        curve(_ISCHIAL_SPINE, is_mirrored=other),
        curve(_INFERIOR_RAMUS, is_mirrored=other),
        curve(_PUBIC_BODY, is_mirrored=other),
        curve(_SUPERIOR_RAMUS, is_mirrored=other),
    ]


def hip_field(*, is_left: bool, step_mm: float) -> Field:
    """One hip bone on its own lattice, with its socket carved out.

    Args:
        is_left: which side.
        step_mm: the lattice's step.

    Returns:
        The bone, not yet cleared of the sacrum.
    """
    sweeps = hip_sweeps(is_left=is_left)
    lattice = around(sweeps, margin_mm=10.0, step_mm=step_mm)
    bone = blended(sweeps, lattice, blend_mm=7.0)
    nodes = lattice.nodes_lps_mm()
    side = np.array([1.0 if is_left else -1.0, 1.0, 1.0])
    centre = np.array(HIP_CENTRE_LPS_MM) * side
    opening = np.array(_SOCKET_OPENING) * side
    rim = -half_space(nodes, centre + 3.0 * opening, opening)
    cup = np.maximum(ball(nodes, centre, SOCKET_RADIUS_MM + 6.0), rim)
    joined = smooth_union(bone.distance_mm, cup, 5.0)
    bone = replace(bone, distance_mm=joined).carved(ball(nodes, centre, SOCKET_RADIUS_MM), 1.5)
    notch = centre + np.array([-6.0, -8.0, -30.0]) * side
    bone = bone.carved(ball(nodes, notch, 13.0), 3.0)
    symphysis = half_space(nodes, (0.0, 0.0, 0.0), -side * np.array([1.0, 0.0, 0.0]))
    return bone.carved((symphysis - 3.0).astype(np.float32), 1.5)


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
