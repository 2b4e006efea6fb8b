"""From a finished run to the model folder that ships: weights in half precision and their card."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from fracseg_training.training.class_weights import without_class_weights
from FractureSegmentationLib.methods.fracsegmentator import FRACSEGMENTATOR
from FractureSegmentationLib.networks.model_spec import ModelSpec
from FractureSegmentationLib.networks.weights import save_model

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from fracseg_training.data.cases import Case
    from fracseg_training.fragments.config import TrainConfig
    from fracseg_training.fragments.trainer import Trainer

_LICENCE = "Apache-2.0; some training data is under other terms, see the model card"


def write_trained_model(
    folder: Path,
    name: str,
    trainer: Trainer,
    config: TrainConfig,
    cases: Sequence[Case],
    held_out: Sequence[str],
) -> None:
    """Write the averaged weights of a run as a model folder, whole or not at all.

    Args:
        folder: where to.
        name: name of the model.
        trainer: the finished run.
        config: what it was run with.
        cases: what it was trained on.
        held_out: patients that were left out.
    """
    side = config.patches.spacing_mm
    spec = ModelSpec(
        name=name,
        task="fragments",
        method=FRACSEGMENTATOR.name,
        network="tpc_net",
        config=config.network.to_dict(),
        bones=FRACSEGMENTATOR.bones,
        spacing_mm=(side, side, side),
        normalisation=config.patches.normalisation.to_dict(),
        channels=FRACSEGMENTATOR.channels,
        licence=_LICENCE,
        training_data=describe_cases(cases),
        folds=tuple(held_out),
        results={"steps": trainer.step, "seed": config.seed},
    )
    save_model(folder, spec, without_class_weights(trainer.averaged, config.class_weights))


def describe_cases(cases: Sequence[Case]) -> str:
    """What a network was trained on, in one sentence."""
    kinds = Counter(
        (case.info.source, "simulated" if case.info.is_simulated else "true") for case in cases
    )
    parts = [
        f"{count} bones of source {source} with {truth} fragments"
        for (source, truth), count in sorted(kinds.items())
    ]
    return f"{'; '.join(parts)}; {len({case.info.patient for case in cases})} anatomies."
