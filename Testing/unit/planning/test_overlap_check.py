"""Overlaps of moved fragments, counted by hand."""

from __future__ import annotations

import numpy as np
import pytest

from FractureSegmentationLib.export.poses import move_labels
from FractureSegmentationLib.geometry import Geometry
from FractureSegmentationLib.planning import overlap
from FractureSegmentationLib.planning.overlap import Overlap, OverlapCheck
from FractureSegmentationLib.planning.pose import turn_about
from FractureSegmentationLib.results.layers import one_layer
from FractureSegmentationLib.results.naming import label_segments
from FractureSegmentationLib.volume import LabelVolume
from Testing.unit.planning.poses import shift_by


@pytest.fixture
def bars() -> LabelVolume:
    """Voxels of 0.5 mm³. Bars of 4, 6 and 2 voxels along i in rows 1, 3 and 7: 5, 6 and 401."""
    voxels = np.zeros((3, 9, 12), np.uint16)
    voxels[1, 1, 2:6] = 5
    voxels[1, 3, 2:8] = 6
    voxels[1, 7, 2:4] = 401
    grid = Geometry(shape=voxels.shape, spacing_mm=(1.0, 1.0, 0.5), origin_lps_mm=(7.0, 8.0, 9.0))
    return LabelVolume(voxels=voxels, geometry=grid)


def test_nothing_overlaps_where_the_ct_shows_it(bars: LabelVolume) -> None:
    check = OverlapCheck(bars)

    assert check.overlaps({}) == ()
    assert check.overlaps({5: np.eye(4)}) == ()


def test_a_bar_on_another_shares_what_both_cover(bars: LabelVolume) -> None:
    """Two rows down and one voxel (0.5 mm) along: 4 of 4 voxels on those of 6, 2 mm³."""
    found = OverlapCheck(bars).overlaps({5: shift_by((0.5, 2.0, 0.0))})

    assert found == (Overlap(labels=(5, 6), volume_mm3=2.0),)


def test_the_larger_one_moved_onto_the_smaller_shares_as_much(bars: LabelVolume) -> None:
    """6 moves up and two voxels along: it covers i = 4 to 9 of row 1, so 2 voxels, 1 mm³."""
    found = OverlapCheck(bars).overlaps({6: shift_by((1.0, -2.0, 0.0))})

    assert found == (Overlap(labels=(5, 6), volume_mm3=1.0),)


def test_fragments_that_move_together_do_not_overlap(bars: LabelVolume) -> None:
    pose = turn_about((0.0, 1.0, 3.0), 200.0, (0.0, 0.0, 0.0))

    assert OverlapCheck(bars).overlaps(dict.fromkeys((5, 6, 401), pose)) == ()


def test_all_pairs_are_told_the_worst_first(bars: LabelVolume) -> None:
    poses = {5: shift_by((0.0, 2.0, 0.0)), 401: shift_by((0.0, -4.0, 0.0))}

    found = OverlapCheck(bars).overlaps(poses)

    assert [(one.labels, one.volume_mm3) for one in found] == [
        ((5, 6), 2.0),
        ((5, 401), 1.0),
        ((6, 401), 1.0),
    ]


def test_after_one_fragment_moved_only_its_pairs_are_counted_again(
    bars: LabelVolume, monkeypatch: pytest.MonkeyPatch
) -> None:
    check = OverlapCheck(bars)
    first = {5: shift_by((0.0, 2.0, 0.0)), 401: shift_by((0.0, -4.0, 0.0))}
    check.overlaps(first)
    counted = []
    monkeypatch.setattr(overlap, "_shared_voxels", lambda *parts: counted.append(parts) or 0)

    again = check.overlaps(first)
    later = check.overlaps({**first, 401: shift_by((0.0, -5.0, 0.0))})

    assert len(again) == 3
    assert len(counted) == 2
    assert [one.labels for one in later] == [(5, 6)]


def test_a_pose_for_a_label_that_is_not_there_is_a_bug(bars: LabelVolume) -> None:
    with pytest.raises(ValueError, match="7"):
        OverlapCheck(bars).overlaps({7: np.eye(4)})


def test_a_turned_fragment_overlaps_as_the_exported_labels_do() -> None:
    """Two blocks on an oblique grid, one turned into the other; the export counts otherwise."""
    grid = Geometry(
        shape=(30, 40, 36),
        spacing_mm=(2.0, 0.8, 1.0),
        origin_lps_mm=(10.0, -20.0, 30.0),
        direction=((0.0, 0.0, 1.0), (-0.8, 0.6, 0.0), (0.6, 0.8, 0.0)),
    )
    voxels = np.zeros(grid.shape, np.uint16)
    voxels[5:25, 4:20, 4:30] = 1
    voxels[8:22, 20:36, 6:30] = 2
    volume = LabelVolume(voxels=voxels, geometry=grid)
    x, y, z = (float(value) for value in grid.to_lps(np.array([15.0, 20.0, 17.0])))
    pose = turn_about((0.2, 0.1, 1.0), 15.0, (x, y, z)) @ shift_by((1.0, -2.0, 3.0))

    (found,) = OverlapCheck(volume).overlaps({2: pose})
    segments = label_segments((1, 2), None)
    moved = move_labels(one_layer(volume, segments), {"Label_2": pose})
    first, second = (moved.labels.mask(one) for one in moved.labels.segments)

    exported_mm3 = np.count_nonzero(first & second) * grid.voxel_volume_mm3
    assert found.labels == (1, 2)
    assert exported_mm3 > 500.0
    assert found.volume_mm3 == pytest.approx(exported_mm3, rel=0.03)
