"""Trees are fitted with scikit-learn and stored as plain arrays, with calibrated probabilities."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold

from FractureSegmentationLib.instances.learned.boosted_trees import BoostedTrees

if TYPE_CHECKING:
    from fracseg_training.merging.examples import Examples

_MIDDLE = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class FitConfig:
    """How trees are fitted.

    Attributes:
        trees: how many.
        depth: of each.
        learning_rate: what each counts for.
        subsample: share of the rows that each sees.
        features: share of the features that each node may choose from.
        least_leaf: share of the rows that a leaf holds at least.
        most_rows: rows beyond these are left out by chance.
        folds: for calibration: bodies are judged by trees that have not seen them.
    """

    trees: int = 160
    depth: int = 4
    learning_rate: float = 0.08
    subsample: float = 0.5
    features: float = 0.35
    least_leaf: float = 0.002
    most_rows: int = 40_000
    folds: int = 3


def fitted_trees(examples: Examples, config: FitConfig, seed: int) -> BoostedTrees:
    """Fit trees whose probabilities are calibrated on bodies that they have not seen.

    The log-odds are stretched and shifted so that they fit the truth of bodies left out, fold by
    fold (Platt, Probabilistic outputs for support vector machines, 1999).

    Args:
        examples: at least one of either truth.
        config: how.
        seed: of the draws.

    Raises:
        ValueError: all examples are of one truth.
    """
    if examples.truth.all() or not examples.truth.any():
        raise ValueError("examples of both kinds are needed to train on")
    rng = np.random.default_rng(seed)
    if len(examples.truth) > config.most_rows:
        chosen = rng.choice(len(examples.truth), config.most_rows, replace=False)
        examples = examples.part(np.sort(chosen))
    trees = _fitted(examples, config, seed)
    groups = min(config.folds, len(np.unique(examples.body)))
    if groups < 2:
        return trees
    odds = np.zeros(len(examples.truth))
    for train, test in GroupKFold(groups).split(examples.rows, groups=examples.body):
        part = examples.part(train)
        if part.truth.all() or not part.truth.any():
            return trees
        odds[test] = _odds(_fitted(part, config, seed).probability(examples.rows[test]))
    return _stretched(trees, odds, examples)


def _fitted(examples: Examples, config: FitConfig, seed: int) -> BoostedTrees:
    model = GradientBoostingClassifier(
        n_estimators=config.trees,
        max_depth=config.depth,
        learning_rate=config.learning_rate,
        subsample=config.subsample,
        max_features=config.features,
        min_weight_fraction_leaf=config.least_leaf,
        random_state=seed,
    )
    model.fit(examples.rows, examples.truth, sample_weight=examples.weight)
    stages = [stage[0].tree_ for stage in model.estimators_]
    nodes = max(tree.node_count for tree in stages)
    shape = (len(stages), nodes)
    feature, left, right = (np.full(shape, -1, np.int32) for _ in range(3))
    threshold, value = (np.zeros(shape, np.float32) for _ in range(2))
    for row, tree in enumerate(stages):
        count = tree.node_count
        is_leaf = tree.children_left < 0
        feature[row, :count] = np.where(is_leaf, -1, tree.feature)
        left[row, :count], right[row, :count] = tree.children_left, tree.children_right
        threshold[row, :count] = np.where(is_leaf, 0.0, tree.threshold)
        leaf = config.learning_rate * tree.value[:, 0, 0]
        value[row, :count] = np.where(is_leaf, leaf, 0.0)
    share = float(np.average(examples.truth, weights=examples.weight))
    return BoostedTrees(
        feature=feature,
        threshold=threshold,
        left=left,
        right=right,
        value=value,
        offset=float(np.log(share / (1.0 - share))),
        columns=examples.rows.shape[1],
    )


def _stretched(
    trees: BoostedTrees, odds: npt.NDArray[np.float64], examples: Examples
) -> BoostedTrees:
    line = LogisticRegression(C=1e6)
    line.fit(odds[:, None], examples.truth, sample_weight=examples.weight)
    slope, shift = float(line.coef_[0, 0]), float(line.intercept_[0])
    if slope <= 0.0:
        return trees
    return replace(
        trees,
        value=(trees.value * slope).astype(np.float32),
        offset=trees.offset * slope + shift,
    )


def _odds(chance: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    inside = np.clip(chance, _MIDDLE, 1.0 - _MIDDLE)
    return np.asarray(np.log(inside / (1.0 - inside)))
