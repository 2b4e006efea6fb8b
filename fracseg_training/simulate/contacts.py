"""Where fragments of one bone touch: areas, points and normals, and the tree they hang in."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from FractureSegmentationLib.types import LabelArray, Spacing

FloatPoints = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Contact:
    """The common face of two fragments.

    Attributes:
        first: the smaller label.
        second: the larger label.
        points_mm: (F, 3) middles of the voxel faces, in mm from voxel (0, 0, 0).
        normal: (3,) mean unit normal, from `first` to `second`.
        area_mm2: area of the voxel faces projected on that normal.
    """

    first: int
    second: int
    points_mm: FloatPoints
    normal: FloatPoints
    area_mm2: float


def find_contacts(labels: LabelArray, spacing_mm: Spacing) -> list[Contact]:
    """All pairs of labels that share voxel faces.

    Args:
        labels: (K, J, I) fragments.
        spacing_mm: voxel size along (k, j, i), in mm.

    Returns:
        One contact per pair, in the order of their labels.
    """
    spacing = np.asarray(spacing_mm)
    pairs, points, normals = [], [], []
    for axis in range(3):
        low = labels[tuple(slice(None, -1) if a == axis else slice(None) for a in range(3))]
        high = labels[tuple(slice(1, None) if a == axis else slice(None) for a in range(3))]
        faces = np.argwhere((low != high) & (low > 0) & (high > 0))
        a = low[tuple(faces.T)].astype(np.int64)
        b = high[tuple(faces.T)].astype(np.int64)
        middle = faces.astype(float)
        middle[:, axis] += 0.5
        normal = np.zeros((len(faces), 3))
        normal[:, axis] = np.where(a < b, 1.0, -1.0) * spacing.prod() / spacing[axis]
        pairs.append(np.stack([np.minimum(a, b), np.maximum(a, b)], axis=1))
        points.append(middle * spacing)
        normals.append(normal)
    pair, point, normal = (np.concatenate(part) for part in (pairs, points, normals))
    contacts = []
    for first, second in np.unique(pair, axis=0):
        own = (pair[:, 0] == first) & (pair[:, 1] == second)
        total = normal[own].sum(axis=0)
        area = float(np.linalg.norm(total))
        unit = total / area if area > 0 else np.array([1.0, 0.0, 0.0])
        contacts.append(
            Contact(
                first=int(first),
                second=int(second),
                points_mm=point[own],
                normal=unit,
                area_mm2=area,
            )
        )
    return contacts


def contact_tree(
    contacts: list[Contact], volumes: npt.NDArray[np.integer]
) -> list[tuple[int, int, Contact]]:
    """Hang every fragment on the neighbour that holds it best.

    Args:
        contacts: which labels touch.
        volumes: voxels per label, index 0 for the background.

    Returns:
        (parent, child, contact) with every parent placed before its children, from the largest
        fragment outwards. Labels that touch nothing do not occur.
    """
    placed = {int(np.argmax(volumes[1:])) + 1}
    order = []
    remaining = sorted(contacts, key=lambda c: -len(c.points_mm))
    while True:
        for contact in remaining:
            is_first = contact.first in placed
            if is_first != (contact.second in placed):
                parent = contact.first if is_first else contact.second
                child = contact.second if is_first else contact.first
                order.append((parent, child, contact))
                placed.add(child)
                break
        else:
            return order
