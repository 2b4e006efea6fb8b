"""One row of an ablation: train without a patient, judge on that patient."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fracseg_training.benchmarks.folds import window_plan
from fracseg_training.benchmarks.given_masks import judge, predicted_map, summarise
from fracseg_training.data.cases import load_cases
from fracseg_training.fragments.trainer import Trainer
from FractureSegmentationLib.errors import InputError
from FractureSegmentationLib.inference.predictor import Predictor
from FractureSegmentationLib.instances.config import RecoveryConfig

if TYPE_CHECKING:
    from pathlib import Path

    from fracseg_training.benchmarks.given_masks import Summary
    from fracseg_training.fragments.config import TrainConfig


def train_and_judge(cases_dir: Path, run: Path, config: TrainConfig, held_out: str) -> Summary:
    """Train one configuration and score it on the real bones of the patient it never saw.

    Args:
        cases_dir: folder of cases, see `fracseg prepare`.
        run: folder of the run; a run found there goes on.
        config: what is trained.
        held_out: the patient.

    Raises:
        InputError: the folder holds no real case of that patient.
    """
    judged = [
        case
        for case in load_cases(cases_dir)
        if case.info.patient == held_out and not case.info.is_simulated
    ]
    if not judged:
        raise InputError(
            f"There is no real case of patient {held_out} in the folder.",
            "Name a patient that was prepared with `fracseg prepare --real`.",
        )
    trainer = Trainer(load_cases(cases_dir, exclude_patients=[held_out]), config, run)
    trainer.train()
    predictor = Predictor(trainer.averaged, window_plan(config.patches.size))
    results = []
    for case in judged:
        bone = case.fragments > 0
        found = predicted_map(case, bone, predictor)
        results.append(judge(case, bone, found, RecoveryConfig()))
    return summarise(results)
