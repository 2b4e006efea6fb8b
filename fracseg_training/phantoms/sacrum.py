"""A sacrum and the last lumbar vertebra.

The sacrum has five fused bodies on a curve, alae, canal, four pairs of foramina and a spinous
crest. The vertebra is no bone of the catalogue, but a CT without it would look odd.
"""

from __future__ import annotations

import numpy as np

from fracseg_training.phantoms.shapes import (
    Field,
    Float64Array,
    Knot,
    Sweep,
    around,
    blended,
    capsule,
    curve,
    half_space,
    plate,
)

# Per level S1 to S5: y and z of the body's centre, half width of the plate, half thickness in the
# middle and at the sides; all in mm.
_LEVELS = (
    (38.0, 84.0, 46.0, 15.0, 12.0),
    (55.0, 61.0, 41.0, 13.0, 12.5),
    (69.0, 39.0, 30.0, 10.5, 9.5),
    (76.0, 18.0, 22.0, 8.0, 7.0),
    (75.0, -1.0, 13.0, 6.0, 5.0),
)
_CANAL_DEPTH = (15.0, 13.0, 10.0, 7.0, 4.0)
_LAMINA_HALF_WIDTH = (22.0, 20.0, 16.0, 12.0, 8.0)
_COCCYX: tuple[Knot, ...] = (
    (0, 75, -4, 6.0, 0.7, 150), (0, 70, -16, 5.5, 0.7, 150), (0, 61, -28, 4.0, 0.7, 150),
)  # fmt: skip
_ENDPLATE = ((0.0, 33.0, 97.0), (0.0, -0.55, 0.84))
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


def sacrum_sweeps() -> list[Sweep]:
    """The parts a sacrum is blended from."""
    lamina: list[Knot] = []
    crest: list[Knot] = []
    for level in range(len(_LEVELS)):
        centre, back = _frame(level)
        behind = centre + (_LEVELS[level][3] + _CANAL_DEPTH[level]) * back
        lamina.append((0.0, float(behind[1]), float(behind[2]), 4.5, 0.9, 200.0))
        tip = behind + (8.0, 7.0, 5.0, 3.0, 1.0)[level] * back
        crest.append((0.0, float(tip[1]), float(tip[2]), 3.2, 0.9, 200.0))
    wide = [
        [(u * width, y + 2.0 * abs(u), z, r, c, hu) for u in (-1.0, 0.0, 1.0)]
        for (_, y, z, r, c, hu), width in zip(lamina, _LAMINA_HALF_WIDTH, strict=True)
    ]
    centre, back = _frame(0.0)
    joint = centre + 28.0 * back
    facets = [
        curve(
            [
                (19, float(joint[1]), float(joint[2]) - 6, 6.5, 0.9, 200),
                (22, float(joint[1]) - 2, float(joint[2]) + 7, 5.5, 0.9, 200),
            ]
        )
    ]
    facets.append(facets[0].mirrored())
    return [
        plate([_row(level) for level in range(len(_LEVELS))]),
        *_bridges(),
        plate(wide),
        curve(crest),
        curve(_COCCYX),
        *facets,
    ]


def sacrum_field(*, step_mm: float) -> Field:
    """The sacrum on its own lattice, with its canal, foramina and upper end plate.

    Args:
        step_mm: the lattice's step.

    Returns:
        The bone.
    """
    sweeps = sacrum_sweeps()
    lattice = around(sweeps, margin_mm=10.0, step_mm=step_mm)
    bone = blended(sweeps, lattice, blend_mm=6.0)
    nodes = lattice.nodes_lps_mm()
    for level in range(len(_LEVELS) - 1):
        (first, back), (last, next_back) = _frame(level), _frame(level + 1)
        depth = [_LEVELS[i][3] + (6.0, 5.5, 4.5, 3.0, 1.5)[i] for i in (level, level + 1)]
        ends = (first + depth[0] * back, last + depth[1] * next_back)
        if level == 0:
            ends = (ends[0] + (ends[0] - ends[1]), ends[1])
        bone = bone.carved(capsule(nodes, ends, (8.0, 7.0, 5.0, 3.2)[level]), 2.0)
        middle, out = _frame(level + 0.5)
        for side in (-1.0, 1.0):
            hole = middle + np.array([side * (19.0, 17.0, 15.0, 12.5)[level], 3.0, 0.0])
            flare = np.array([side * 4.0, 0.0, 0.0])
            ends = (hole - 24.0 * out + flare, hole + 30.0 * out)
            bone = bone.carved(capsule(nodes, ends, (5.5, 5.2, 4.4, 3.4)[level]), 2.5)
    point, normal = _ENDPLATE
    plane = half_space(nodes, point, normal)
    centre_only = (np.abs(nodes[..., 0]) - 27.0).astype(np.float32)
    ahead = (nodes[..., 1] - 62.0).astype(np.float32)
    return bone.carved(np.maximum(np.maximum(plane, centre_only), ahead), 2.0)


def last_vertebra_field(*, step_mm: float) -> Field:
    """The fifth lumbar vertebra on its own lattice."""
    sweeps = [plate(_BODY)]
    for is_mirrored in (False, True):
        sweeps.append(curve(_ARCH, is_mirrored=is_mirrored))
        sweeps.append(curve(_TRANSVERSE, is_mirrored=is_mirrored))
    return blended(sweeps, around(sweeps, margin_mm=10.0, step_mm=step_mm), blend_mm=5.0)


def _frame(level: float) -> tuple[Float64Array, Float64Array]:
    """Centre and backward normal of the sacrum's curve at a (fractional) level, 0 = S1."""
    steps = np.arange(len(_LEVELS))
    y = np.interp(level, steps, [v[0] for v in _LEVELS])
    z = np.interp(level, steps, [v[1] for v in _LEVELS])
    dy = np.gradient([v[0] for v in _LEVELS])
    dz = np.gradient([v[1] for v in _LEVELS])
    tangent = np.array([0.0, np.interp(level, steps, dy), np.interp(level, steps, dz)])
    tangent /= np.linalg.norm(tangent)
    return np.array([0.0, y, z]), np.array([0.0, -tangent[2], tangent[1]])


def _row(level: int) -> list[Knot]:
    """One level of the fused bodies and their lateral masses, from right to left."""
    y, z, half, middle, side = _LEVELS[level]
    knots: list[Knot] = []
    for u in (-1.0, -0.66, -0.33, 0.0, 0.33, 0.66, 1.0):
        back = (9.0 if level == 0 else 5.0) * u * u
        radius = middle + (side - middle) * u * u
        lift = 4.0 * u * u if level == 0 else 0.0
        knots.append((u * half, y + back, z + lift, radius, 0.6, 160.0 - 60.0 * abs(u)))
    return knots


def _bridges() -> list[Sweep]:
    """Per level and side, the bone beside the canal that joins the body to the lamina."""
    sweeps: list[Sweep] = []
    for level, (wide, thick) in enumerate(zip(_LAMINA_HALF_WIDTH, _CANAL_DEPTH, strict=True)):
        centre, back = _frame(float(level))
        depth = _LEVELS[level][3]
        near, far = centre + 0.5 * depth * back, centre + (depth + thick) * back
        radius = (8.0, 7.0, 6.0, 4.5, 3.5)[level]
        bridge = curve(
            [
                (1.25 * wide, float(near[1]), float(near[2]), radius, 0.6, 120.0),
                (wide, float(far[1]), float(far[2]), 0.8 * radius, 0.9, 160.0),
            ]
        )
        sweeps.extend((bridge, bridge.mirrored()))
    return sweeps
