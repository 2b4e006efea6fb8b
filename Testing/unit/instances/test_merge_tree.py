"""The tree of merges: levels, groups, what is sure."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from FractureSegmentationLib.instances.merge_tree import Merge, MergeTree

# 1 and 2 surely belong together, 3 and 4 likely, both pairs hardly; 5 touches nothing.
TREE = MergeTree(
    count=5,
    merges=(
        Merge(a=1, b=2, probability=0.9),
        Merge(a=3, b=4, probability=0.6),
        Merge(a=2, b=4, probability=0.2),
    ),
)


@st.composite
def trees(draw: st.DrawFn) -> MergeTree:
    """Any tree over up to nine regions."""
    count = draw(st.integers(1, 9))
    order = draw(st.permutations(range(2, count + 1)))
    kept = order[: draw(st.integers(0, len(order)))]
    chances = sorted(
        draw(st.lists(st.floats(0.0, 1.0), min_size=len(kept), max_size=len(kept))), reverse=True
    )
    merges = tuple(
        Merge(a=draw(st.integers(1, b - 1)), b=b, probability=chance)
        for b, chance in zip(kept, chances, strict=True)
    )
    return MergeTree(count=count, merges=merges)


@pytest.mark.parametrize(
    ("level", "groups"),
    [
        (None, [0, 1, 1, 3, 3, 5]),
        (0.95, [0, 1, 2, 3, 4, 5]),
        (0.9, [0, 1, 1, 3, 4, 5]),
        (0.1, [0, 1, 1, 1, 1, 5]),
    ],
)
def test_a_level_carries_out_the_merges_that_are_at_least_as_likely(
    level: float | None, groups: list[int]
) -> None:
    assert TREE.groups(level).tolist() == groups


def test_levels_lead_from_the_fewest_fragments_to_the_most() -> None:
    counts = [TREE.fragment_count(level) for level in TREE.levels()]

    assert counts == [2, 3, 4, 5]


@given(trees())
def test_finer_levels_only_divide(tree: MergeTree) -> None:
    levels = tree.levels()
    counts = [tree.fragment_count(level) for level in levels]

    assert counts == sorted(counts)
    for coarse, fine in itertools.pairwise(levels):
        pairs = set(zip(tree.groups(fine).tolist(), tree.groups(coarse).tolist(), strict=True))
        assert len(pairs) == len({one for one, _ in pairs})


def test_two_fragments_are_one_as_likely_as_the_merge_that_joins_them() -> None:
    assert TREE.join_probabilities() == {(1, 3): 0.2}
    assert TREE.join_probabilities(0.95) == {(1, 2): 0.9, (3, 4): 0.6} | dict.fromkeys(
        [(1, 3), (1, 4), (2, 3), (2, 4)], 0.2
    )


def test_a_fragment_is_as_sure_as_its_least_sure_merge() -> None:
    assert TREE.weakest_inside() == {1: 0.9, 3: 0.6, 5: 1.0}


@pytest.mark.parametrize(
    "merges",
    [
        (Merge(a=1, b=3, probability=0.5),),
        (Merge(a=1, b=2, probability=0.5), Merge(a=2, b=1, probability=0.4)),
        (Merge(a=1, b=2, probability=1.5),),
    ],
)
def test_what_is_no_tree_is_refused(merges: tuple[Merge, ...]) -> None:
    with pytest.raises(ValueError, match=r"Merge|probabilities"):
        MergeTree(count=2, merges=merges)


def test_probabilities_that_rise_are_refused() -> None:
    with pytest.raises(ValueError, match="fall"):
        MergeTree(
            count=3,
            merges=(Merge(a=1, b=2, probability=0.5), Merge(a=1, b=3, probability=0.6)),
        )
