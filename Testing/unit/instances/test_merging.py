"""Merging by evidence on graphs small enough to follow."""

from __future__ import annotations

from FractureSegmentationLib.instances.config import RecoveryConfig
from FractureSegmentationLib.instances.merging import join_small_fragments, merge_unsupported
from FractureSegmentationLib.instances.regions import ContactArea, RegionGraph

CONFIG = RecoveryConfig(
    merge_support=0.5, merge_support_small=0.8, small_mm3=500.0, large_mm3=5000.0, min_neck=0.02
)


def area(area_mm2: float, support: float) -> ContactArea:
    return ContactArea(area_mm2, area_mm2 * (support >= 0.5), area_mm2, area_mm2 * support)


def test_neighbours_without_contact_are_merged_and_those_with_contact_are_not() -> None:
    graph = RegionGraph(
        {1: 9e4, 2: 8e4, 3: 7e4}, {(1, 2): area(500.0, 0.1), (2, 3): area(500.0, 0.9)}
    )

    merge_unsupported(graph, CONFIG)

    assert graph.labels == (1, 3)
    assert graph.final_label(2) == 1
    assert graph.volume_mm3(1) == 17e4
    assert graph.neighbours(1)[3].area_mm2 == 500.0


def test_parts_of_one_fragment_join_before_their_noisy_edge_is_judged() -> None:
    """1 and 2 are one fragment (600 mm² of bare bone). 2 meets 3 over 40 mm² with support 0.3, but
    1 meets 3 over 400 with 0.95: together (380 + 12) / 440 = 0.89, so 3 stays apart."""
    graph = RegionGraph(
        {1: 5e4, 2: 6e3, 3: 5e4},
        {(1, 2): area(600.0, 0.05), (2, 3): area(40.0, 0.3), (1, 3): area(400.0, 0.95)},
    )

    merge_unsupported(graph, CONFIG)

    assert graph.labels == (1, 3)


def test_a_stray_face_is_no_bridge_between_large_fragments() -> None:
    """64,000^(2/3) = 1,600 mm²; 2 % of it is 32 mm², and only 5 are bare."""
    graph = RegionGraph({1: 64e3, 2: 64e3}, {(1, 2): area(5.0, 0.0)})

    merge_unsupported(graph, CONFIG)

    assert graph.labels == (1, 2)


def test_a_small_region_needs_more_support_than_a_large_one() -> None:
    large = RegionGraph({1: 9e4, 2: 6e3}, {(1, 2): area(300.0, 0.7)})
    small = RegionGraph({1: 9e4, 2: 4e2}, {(1, 2): area(80.0, 0.7)})

    merge_unsupported(large, CONFIG)
    merge_unsupported(small, CONFIG)

    assert large.labels == (1, 2)
    assert small.labels == (1,)


def test_a_small_fragment_joins_the_neighbour_through_which_most_bone_runs() -> None:
    graph = RegionGraph(
        {1: 9e4, 2: 9e4, 3: 60.0, 4: 50.0},
        {(1, 3): area(30.0, 0.95), (2, 3): area(20.0, 0.85)},
    )

    joins = join_small_fragments(graph, CONFIG)

    assert joins == ((3, 2),)
    assert graph.labels == (1, 2, 4), "4 touches nothing and is not a matter of merging"


def test_merging_keeps_the_label_of_the_larger_region() -> None:
    graph = RegionGraph({1: 10.0, 2: 20.0}, {(1, 2): area(4.0, 0.0)})

    assert graph.merge(1, 2) == 2
    assert graph.final_label(1) == 2
    assert graph.neighbours(2) == {}


def test_parts_of_one_fragment_join_before_a_wider_fracture_is_judged() -> None:
    """Support needed: 0.5 from 5,000 mm³, so 0.5 for all. Parts 2 and 3 lack 0.4 x 500 = 200 mm² of
    contact and join first. 1 and 2, over 3,000 mm² with 0.46, lack 120; 1 and the joined fragment
    have (3,000 x 0.46 + 1,000 x 0.66) / 4,000 = 0.51 and stay apart."""
    graph = RegionGraph(
        {1: 9e4, 2: 2e4, 3: 1e4},
        {(2, 3): area(500.0, 0.1), (1, 2): area(3000.0, 0.46), (1, 3): area(1000.0, 0.66)},
    )

    merge_unsupported(graph, CONFIG)

    assert graph.labels == (1, 2)
    assert graph.final_label(3) == 2


def test_a_small_region_that_hangs_on_by_a_corner_without_contact_is_no_fragment() -> None:
    """0.2 mm² is far below 2 % of 400^(2/3) = 54 mm², but 400 mm³ are small."""
    graph = RegionGraph({1: 9e4, 2: 4e2}, {(1, 2): area(0.2, 0.17)})

    merge_unsupported(graph, CONFIG)

    assert graph.labels == (1,)
