"""Training of a merging model: merge, look what was right, fit, merge again with what came out."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from fracseg_training.merging.examples import merged_by, together
from fracseg_training.merging.fit import FitConfig, fitted_trees
from FractureSegmentationLib.instances.config import RecoveryConfig
from FractureSegmentationLib.instances.learned.features import EDGE_FEATURES
from FractureSegmentationLib.instances.learned.judge import (
    WHOLE_FEATURES,
    ContactJudge,
    Judge,
    MergeModel,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from fracseg_training.merging.examples import Examples, Merged
    from fracseg_training.merging.graphs import BoneGraph


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeTrainConfig:
    """How a merging model is trained.

    Attributes:
        rounds: how often the bones are merged with what was learnt so far.
        edges: trees for contact areas.
        bones: trees for whole bones, of which there are far fewer examples.
        seed: of every draw.
        workers: processes that merge.
    """

    rounds: int = 2
    edges: FitConfig = field(default_factory=FitConfig)
    bones: FitConfig = field(
        default_factory=lambda: FitConfig(trees=60, depth=2, subsample=0.7, least_leaf=0.03)
    )
    seed: int = 0
    workers: int = 1


def train_merging(
    bones: Sequence[BoneGraph],
    network_sha256: str,
    config: MergeTrainConfig,
    notify: Callable[[int, MergeModel], None] | None = None,
) -> MergeModel:
    """Train a merging model.

    Args:
        bones: graphs with their truth, broken ones and whole ones.
        network_sha256: of the weights whose maps they are.
        config: how.
        notify: told of the model after each round, which is numbered from 1.

    Raises:
        ValueError: no bone is broken, or none is whole.
    """
    if all(bone.is_whole for bone in bones) or not any(bone.is_whole for bone in bones):
        raise ValueError("broken bones and whole ones are needed to train merging")
    judge: Judge = ContactJudge()
    edges: list[Examples] = []
    for number in range(1, config.rounds + 1):
        merged = _all_merged(bones, judge, config.workers)
        edges.extend(one.edges for one in merged)
        whole = together([one.bone for one in merged], len(WHOLE_FEATURES))
        model = MergeModel(
            edges=fitted_trees(
                together(edges, len(EDGE_FEATURES)), config.edges, config.seed + number
            ),
            bones=fitted_trees(whole, config.bones, config.seed + number),
            network_sha256=network_sha256,
        )
        judge = model
        if notify is not None:
            notify(number, model)
    return model


def _all_merged(bones: Sequence[BoneGraph], judge: Judge, workers: int) -> list[Merged]:
    merge = partial(merged_by, judge=judge, min_fragment_mm3=RecoveryConfig().min_fragment_mm3)
    if workers == 1:
        return [merge(bone) for bone in bones]
    with ProcessPoolExecutor(workers) as pool:
        return list(pool.map(merge, bones, chunksize=8))
