"""Training of merging on blocks whose regions, truth and maps are made by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from phantom_cases import a_case

from fracseg_training.merging.evaluate import best_level, calibration_error, figures_of
from fracseg_training.merging.examples import merged_by
from fracseg_training.merging.fit import FitConfig, fitted_trees
from fracseg_training.merging.graphs import BoneGraph, best_groups, bone_graph, score_groups
from fracseg_training.merging.maps import BoneMap, View
from fracseg_training.merging.train import MergeTrainConfig, train_merging
from FractureSegmentationLib.instances.learned.judge import ContactJudge
from FractureSegmentationLib.instances.merge_tree import MergeTree

QUICK = FitConfig(trees=20, depth=2, least_leaf=0.01, most_rows=2000, folds=2)


def a_map(
    *, fragments: int, patient: str, faint: float = 1.0, false_sheet: float = 0.0, seed: int = 0
) -> BoneMap:
    """A block cut across k whose contact is seen with a probability, and one more sheet that is
    none; noise below the level of contact."""
    case = a_case(fragments=fragments, patient=patient)
    rng = np.random.default_rng(seed)
    contact = np.where(case.classes == 3, faint, rng.uniform(0.0, 0.01, case.hu.shape))
    contact[:, :, 9:11] = np.maximum(contact[:, :, 9:11], false_sheet)
    bone = case.fragments > 0
    shares = np.stack([np.zeros_like(contact), np.zeros_like(contact), 1.0 - contact, contact])
    return BoneMap(
        info=case.info,
        view="exact",
        hu=np.asarray(case.hu, np.int16),
        mask=bone,
        fragments=case.fragments,
        probabilities=np.rint(255.0 * shares * bone).astype(np.uint8),
    )


def some_bones(count: int) -> list[BoneGraph]:
    """Blocks in one to three pieces whose contact is at 0.6, and false sheets at 0.3."""
    return [
        bone_graph(
            a_map(
                fragments=1 + number % 3,
                patient=f"p{number % 5}",
                faint=0.6,
                false_sheet=0.3 if number % 2 else 0.0,
                seed=number,
            )
        )
        for number in range(count)
    ]


def test_a_graph_knows_what_each_region_holds_of_each_fragment() -> None:
    """24 x 20 x 16 mm in two halves: 3840 mm³ each, and the contact is seen."""
    bone = bone_graph(a_map(fragments=2, patient="one"))

    assert bone.shared_mm3.sum() == pytest.approx(24 * 20 * 16)
    assert bone.shared_mm3.sum(axis=0).tolist() == [0.0, 3840.0, 3840.0]
    assert not bone.is_whole
    assert score_groups(bone, best_groups(bone)).iou == pytest.approx(1.0)


def test_one_group_for_two_halves_is_a_merge_and_a_miss() -> None:
    bone = bone_graph(a_map(fragments=2, patient="one"))
    groups = np.minimum(np.arange(len(bone.shared_mm3)), 1)

    score = score_groups(bone, groups)

    assert score.iou == pytest.approx(0.25)
    assert (score.counts.detected, score.counts.missed, score.counts.merges) == (1, 1, 1)


def test_every_area_that_was_judged_is_an_example_and_tells_the_truth() -> None:
    """Three pieces in a row: two areas, both between two fragments, then one more after a merge."""
    bone = bone_graph(a_map(fragments=3, patient="one"))

    merged = merged_by(bone, ContactJudge(), 150.0)

    assert len(merged.edges.truth) == 3
    assert not merged.edges.truth.any()
    assert merged.edges.weight[:2] == pytest.approx(1.02)
    assert not merged.bone.truth[0]
    assert bone.graph.pairs == bone_graph(a_map(fragments=3, patient="one")).graph.pairs


def test_trees_say_what_scikit_learn_says() -> None:
    from sklearn.ensemble import GradientBoostingClassifier

    bones = some_bones(20)
    examples = merged_by(bones[1], ContactJudge(), 150.0).edges
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(400, examples.rows.shape[1])).astype(np.float32)
    truth = rows[:, 0] + 0.5 * rows[:, 1] > 0.2
    one_body = replace(
        examples,
        rows=rows,
        truth=truth,
        weight=np.ones(400, np.float32),
        body=np.full(400, "one"),
    )

    ours = fitted_trees(one_body, QUICK, seed=3)
    peer = GradientBoostingClassifier(
        n_estimators=QUICK.trees,
        max_depth=QUICK.depth,
        learning_rate=QUICK.learning_rate,
        subsample=QUICK.subsample,
        max_features=QUICK.features,
        min_weight_fraction_leaf=QUICK.least_leaf,
        random_state=3,
    ).fit(rows, truth)

    assert ours.probability(rows) == pytest.approx(peer.predict_proba(rows)[:, 1], abs=1e-5)


def test_a_trained_model_keeps_apart_what_contact_alone_would_merge() -> None:
    """Contact at 0.45 is too faint for the rule, and is a fracture all the same."""
    bones = [
        bone_graph(
            a_map(fragments=1 + n % 3, patient=f"p{n % 5}", faint=0.45, false_sheet=0.2, seed=n)
        )
        for n in range(45)
    ]
    config = MergeTrainConfig(rounds=1, edges=QUICK, bones=QUICK)

    model = train_merging(bones[:30], "0" * 64, config)

    rule = figures_of(bones[30:], ContactJudge(), 150.0)
    learnt = figures_of(bones[30:], model, 150.0)
    assert rule.iou < 0.6
    assert learnt.iou > 0.9
    assert learnt.whole_kept == learnt.whole == 5
    assert learnt.ece < 0.1


def test_broken_bones_alone_are_not_enough_to_train_on() -> None:
    bones = [bone for bone in some_bones(6) if not bone.is_whole]

    with pytest.raises(ValueError, match="whole"):
        train_merging(bones, "0" * 64, MergeTrainConfig())


def test_the_best_level_is_what_a_slider_can_reach() -> None:
    bone = bone_graph(a_map(fragments=3, patient="one", faint=0.45))
    tree = merged_by(bone, ContactJudge(), 150.0).agglomeration.tree(ContactJudge())

    assert score_groups(bone, tree.groups()).iou < 0.5
    assert best_level(bone, tree).iou == pytest.approx(1.0)
    assert isinstance(tree, MergeTree)


def test_calibration_error_is_the_mean_distance_of_what_is_said_from_what_is_true() -> None:
    """Ten at 0.25, of which 5 are true; ten at 0.95, all true: (0.25 + 0.05) / 2."""
    chances = np.array([0.25] * 10 + [0.95] * 10)
    truth = np.array([True] * 5 + [False] * 5 + [True] * 10)

    assert calibration_error(chances, truth) == pytest.approx(0.15)


@pytest.mark.parametrize("view", ["exact", "flips", "eroded", "dilated", "perturbed"])
def test_a_map_on_disk_is_the_map(tmp_path, view: View) -> None:  # noqa: ANN001
    from fracseg_training.merging.maps import load_map, save_map

    bone = replace(a_map(fragments=2, patient="one"), view=view)

    again = load_map(save_map(tmp_path, bone))

    assert again.info == bone.info
    assert again.view == view
    for name in ("hu", "mask", "fragments", "probabilities"):
        assert np.array_equal(getattr(again, name), getattr(bone, name))
