"""Connected components and their tables."""

from __future__ import annotations

import numpy as np
import pytest

from FractureSegmentationLib.voxels.components import connected_components, label_components


def test_components_carry_sizes_boxes_and_centres() -> None:
    mask = np.zeros((3, 4, 5), bool)
    mask[0, 0, 0:2] = True
    mask[2, 3, 4] = True

    found = connected_components(mask, 6)

    assert found.count == 2
    assert found.sizes.tolist() == [57, 2, 1]
    assert found.boxes[1] == (slice(0, 1), slice(0, 1), slice(0, 2))
    np.testing.assert_allclose(found.centroids()[1], (0.0, 0.0, 0.5))
    np.testing.assert_allclose(found.centroids()[2], (2.0, 3.0, 4.0))


@pytest.mark.parametrize(
    ("connectivity", "edge_count", "corner_count"), [(6, 2, 2), (18, 1, 2), (26, 1, 1)]
)
def test_connectivity_decides_whether_edges_and_corners_connect(
    connectivity: int, edge_count: int, corner_count: int
) -> None:
    edge, corner = np.zeros((2, 2, 2), bool), np.zeros((2, 2, 2), bool)
    edge[0, 0, 0] = edge[0, 1, 1] = True
    corner[0, 0, 0] = corner[1, 1, 1] = True

    assert label_components(edge, connectivity).max() == edge_count
    assert label_components(corner, connectivity).max() == corner_count


def test_an_empty_mask_has_no_component() -> None:
    assert connected_components(np.zeros((2, 2, 2), bool), 26).count == 0
