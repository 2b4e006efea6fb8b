"""Where to click, and which way to move, so that a picture shows it."""

from __future__ import annotations

from typing import Any

import numpy as np


def a_point_above_and_below(segmentation: Any, segment_id: str) -> list[Any]:
    """Points of a fragment (RAS, mm) in the plane of its middle, a quarter from either end."""
    from FractureSegmentationLib.mrml.segmentation import fragments_of, label_of
    from FractureSegmentationLib.mrml.volume import world_ras_of
    from FractureSegmentationPanel.logic.fragments import middle_of

    labels = fragments_of(segmentation).labels
    voxels = np.argwhere(labels.voxels == label_of(segmentation, segment_id))
    points = np.array(world_ras_of(segmentation, labels.geometry.to_lps(voxels)))
    middle = np.array(middle_of(segmentation, segment_id))
    shown = points[np.abs(points[:, 1] - middle[1]) < 1.0]
    found = []
    for height in np.quantile(shown[:, 2], (0.75, 0.25)):
        layer = shown[np.abs(shown[:, 2] - height) < 2.0]
        found.append(tuple(layer[((layer - layer.mean(axis=0)) ** 2).sum(axis=1).argmin()]))
    return found


def away_from(segmentation: Any, segment_id: str, other_id: str) -> Any:
    """The way from another fragment to this one: a direction in LPS, of length 1."""
    from FractureSegmentationPanel.logic.fragments import middle_of

    way_ras = np.subtract(middle_of(segmentation, segment_id), middle_of(segmentation, other_id))
    return way_ras * (-1.0, -1.0, 1.0) / np.linalg.norm(way_ras)
