"""One row of an ablation: train without a patient, judge on that patient."""

from __future__ import annotations

import csv
from dataclasses import asdict, fields
from typing import TYPE_CHECKING

from fracseg_training.data.cases import load_cases
from fracseg_training.fragments.score import Summary, judge, predicted_map, summarise, window_plan
from fracseg_training.fragments.task import FragmentTask, Origin
from fracseg_training.training.loop import TrainingRun
from fracseg_training.training.run_folder import resumed_config
from FractureSegmentationLib.errors import InputError
from FractureSegmentationLib.inference.predictor import Predictor
from FractureSegmentationLib.instances.config import RecoveryConfig

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from fracseg_training.fragments.config import TrainConfig


COLUMNS = ("preset", *(entry.name for entry in fields(Summary)))


def train_and_judge(
    cases_dir: Path, run: Path, config: TrainConfig, held_out: str, *, device: str = "auto"
) -> Summary:
    """Train one configuration and score it on the real bones of the patient it never saw.

    Args:
        cases_dir: folder of cases, see `fracseg prepare`.
        run: folder of the run; a run found there resumes.
        config: what is trained.
        held_out: the patient.
        device: where it trains and predicts.

    Raises:
        InputError: the folder holds no real case of that patient.
    """
    cases = load_cases(cases_dir)
    judged = [
        case for case in cases if case.info.patient == held_out and not case.info.is_simulated
    ]
    if not judged:
        raise InputError(
            f"There is no real case of patient {held_out} in the folder.",
            "Name a patient that was prepared with `fracseg prepare --real`.",
        )
    others = [case for case in cases if case.info.patient != held_out]
    if not others:
        raise InputError(
            f"Every case in the folder is of patient {held_out}.", "Prepare other patients too."
        )
    config = resumed_config(run, config, steps=config.steps, extend_schedule=False)
    task = FragmentTask(others, config, origin=Origin(excluded=(held_out,)))
    training = TrainingRun(task, run, device=device)
    training.train()
    predictor = Predictor(training.averaged, window_plan(config.patches.size), device=device)
    results = []
    for case in judged:
        bone = case.fragments > 0
        results.append(judge(case, bone, predicted_map(case, bone, predictor), RecoveryConfig()))
    return summarise(results)


def write_table(path: Path, rows: Mapping[str, Summary]) -> None:
    """Write the figures of every preset as CSV, whole or not at all.

    Args:
        path: the file.
        rows: by name of the preset.
    """
    partial = path.with_name(f".{path.name}.partial")
    with partial.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, COLUMNS)
        writer.writeheader()
        writer.writerows({"preset": name, **asdict(summary)} for name, summary in rows.items())
    partial.replace(path)
