"""What holds for every fragment, click and plane, on an oblique grid of anisotropic voxels."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from hypothesis import assume, given
from hypothesis import strategies as st

from FractureSegmentationLib.editing.edit import (
    Edit,
    apply_edit,
    assign_piece,
    make_edit,
    merge_fragments,
    renumber_by_volume,
)
from FractureSegmentationLib.editing.evidence import CutEvidence
from FractureSegmentationLib.editing.fragments import Fragments, ReviewStatus
from FractureSegmentationLib.editing.split import split_at_points, split_by_plane
from FractureSegmentationLib.errors import InputError
from FractureSegmentationLib.geometry import Geometry
from FractureSegmentationLib.types import PointLps
from FractureSegmentationLib.volume import LabelVolume, Volume

SHAPE = (6, 8, 7)
GEOMETRY = Geometry(
    shape=SHAPE,
    spacing_mm=(2.0, 0.7, 1.1),
    origin_lps_mm=(-31.0, 12.5, 400.0),
    direction=((0.0, -0.6, 0.8), (0.0, 0.8, 0.6), (-1.0, 0.0, 0.0)),
)
SEEDS = st.integers(0, 10_000)
WHOLE = (slice(0, 6), slice(0, 8), slice(0, 7))


def random_fragments(rng: np.random.Generator) -> Fragments:
    """Blocks of 51 to 53 and some of the sacrum, with holes and stray voxels."""
    labels = np.repeat(np.repeat(rng.integers(51, 54, (3, 4, 7)), 2, axis=0), 2, axis=1)
    labels[rng.random(SHAPE) < 0.15] = 0
    labels[rng.random(SHAPE) < 0.05] = 1
    return Fragments.of(LabelVolume(voxels=labels.astype(np.uint16), geometry=GEOMETRY))


def centre_of(voxel: np.ndarray) -> PointLps:
    x, y, z = (float(v) for v in GEOMETRY.to_lps(voxel))
    return (x, y, z)


def is_same(a: Fragments, b: Fragments) -> bool:
    return (
        np.array_equal(a.labels.voxels, b.labels.voxels)
        and a.records == b.records
        and a.retired == b.retired
    )


def random_edit(fragments: Fragments, rng: np.random.Generator) -> Edit | None:
    """One of everything a user can do; None where it is refused or changes nothing."""
    labels = [record.label for record in fragments.records]
    voxels = fragments.labels.voxels
    label = int(rng.choice(labels))
    places = np.argwhere(voxels == label)
    clicks = [(centre_of(p),) for p in places[rng.permutation(len(places))[:2]]]
    x, y, z = rng.normal(size=3).tolist()
    centre = centre_of(places.mean(axis=0))
    painted = np.where(rng.random(SHAPE) < 0.1, rng.choice([0, *labels]), voxels)
    is_painted = not np.array_equal(painted, voxels)
    chosen = rng.integers(6)
    actions: tuple[Callable[[], Edit | None], ...] = (
        lambda: merge_fragments(fragments, rng.choice(labels, 2).tolist()),
        lambda: split_at_points(fragments, label, clicks, CutEvidence()),
        lambda: split_by_plane(fragments, label, centre, (x, y, z)),
        lambda: assign_piece(fragments, clicks[0][0], int(rng.choice(labels))),
        lambda: renumber_by_volume(fragments),
        lambda: make_edit(fragments, WHOLE, painted, "paint") if is_painted else None,
    )
    try:
        return actions[chosen]()
    except InputError:
        return None


@given(seed=SEEDS)
def test_edits_and_their_inverses_walk_exactly_through_every_state(seed: int) -> None:
    rng = np.random.default_rng(seed)
    state = random_fragments(rng)
    states: list[Fragments] = [state]
    edits: list[Edit] = []
    for _ in range(6):
        edit = random_edit(state, rng) if state.records else None
        if edit is not None:
            edits.append(edit)
            state = apply_edit(state, edit)
            states.append(state)
    for edit, expected in zip(reversed(edits), reversed(states[:-1]), strict=True):
        state = apply_edit(state, edit.inverse())
        assert is_same(state, expected)
    for edit, expected in zip(edits, states[1:], strict=True):
        state = apply_edit(state, edit)
        assert is_same(state, expected)


@given(seed=SEEDS)
def test_the_records_after_any_edit_are_those_of_the_new_labels(seed: int) -> None:
    rng = np.random.default_rng(seed)
    state = random_fragments(rng)
    state = state.with_review([r.label for r in state.records], ReviewStatus.ACCEPTED)
    edit = random_edit(state, rng)
    assume(edit is not None)
    before = state.labels.voxels.copy()

    after = apply_edit(state, edit)

    fresh = Fragments.of(after.labels)
    measured = [(r.label, r.bone, r.index, r.voxels, r.box) for r in after.records]
    assert measured == [(r.label, r.bone, r.index, r.voxels, r.box) for r in fresh.records]
    assert np.array_equal(state.labels.voxels, before)
    if not edit.renumbered:
        for record in after.records:
            was, now = before == record.label, after.labels.voxels == record.label
            is_untouched = np.array_equal(was, now)
            assert (record.review is ReviewStatus.ACCEPTED) == is_untouched


@given(seed=SEEDS, count=st.integers(2, 4), has_map=st.booleans())
def test_a_split_stays_in_its_fragment_and_every_piece_holds_its_point(
    seed: int, count: int, has_map: bool
) -> None:
    rng = np.random.default_rng(seed)
    fragments = random_fragments(rng)
    places = np.argwhere(fragments.labels.voxels == 51)
    assume(len(places) >= count)
    clicked = places[rng.permutation(len(places))[:count]]
    contact = Volume(voxels=rng.random(SHAPE).astype(np.float32), geometry=GEOMETRY)
    evidence = CutEvidence(contact=contact if has_map else None)

    edit = split_at_points(fragments, 51, [(centre_of(p),) for p in clicked], evidence)

    before, after = fragments.labels.voxels, apply_edit(fragments, edit).labels.voxels
    assert np.array_equal(before[before != 51], after[before != 51])
    assert (after[before == 51] != 0).all()
    owners = [int(after[tuple(p)]) for p in clicked]
    assert len(set(owners)) == count
    assert set(np.unique(after[before == 51]).tolist()) == set(owners)
    sizes = {owner: int((after == owner).sum()) for owner in owners}
    assert sizes[51] == max(sizes.values())


@given(seed=SEEDS)
def test_a_plane_cut_lies_on_the_plane(seed: int) -> None:
    rng = np.random.default_rng(seed)
    fragments = random_fragments(rng)
    places = np.argwhere(fragments.labels.voxels == 51)
    assume(len(places) > 1)
    point = np.array(centre_of(places.mean(axis=0)))
    normal = rng.normal(size=3)
    x, y, z = (7.0 * normal).tolist()

    edit = split_by_plane(fragments, 51, centre_of(places.mean(axis=0)), (x, y, z))

    after = apply_edit(fragments, edit).labels.voxels
    heights = (GEOMETRY.to_lps(places) - point) @ normal
    sides = {int(after[tuple(p)]) for p, h in zip(places, heights, strict=True) if h > 1e-5}
    others = {int(after[tuple(p)]) for p, h in zip(places, heights, strict=True) if h < -1e-5}
    assert len(sides) == len(others) == 1
    assert sides != others
