"""`fracseg train`: train TPC-Net on a folder of cases and write a model folder."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from fracseg_training.fragments.config import TrainConfig


@click.command()
@click.argument("cases_dir", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("run_dir", type=click.Path(file_okay=False, path_type=Path))
@click.option("--preset", default="small", show_default=True, help="See `fracseg ablate --list`.")
@click.option("--exclude-patient", multiple=True, help="Hold a patient out; may be repeated.")
@click.option("--only-source", multiple=True, help="Train on real, phantom or 'label map' alone.")
@click.option("--steps", type=click.IntRange(1), help="Optimiser steps of the whole run.")
@click.option("--learning-rate", type=float, help="Peak learning rate.")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option(
    "--initial",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Model folder to start from.",
)
@click.option("--threads", type=click.IntRange(1), help="Processor threads.")
@click.option("--name", default="fracsegmentator", show_default=True, help="Name of the model.")
def train(
    cases_dir: Path,
    run_dir: Path,
    preset: str,
    exclude_patient: tuple[str, ...],
    only_source: tuple[str, ...],
    steps: int | None,
    learning_rate: float | None,
    seed: int,
    initial: Path | None,
    threads: int | None,
    name: str,
) -> None:
    """Train TPC-Net on the cases in CASES_DIR; RUN_DIR keeps checkpoint, log and model.

    A run that is found in RUN_DIR goes on exactly where its last checkpoint was written.
    """
    import torch

    from fracseg_training.data.cases import load_cases
    from fracseg_training.fragments.trainer import Trainer
    from fracseg_training.training.initial import initial_weights
    from fracseg_training.training.model_card import write_trained_model

    if threads is not None:
        torch.set_num_threads(threads)
    config = _config(preset, steps, learning_rate, seed)
    cases = [
        case
        for case in load_cases(cases_dir, exclude_patients=exclude_patient)
        if not only_source or case.info.source in only_source
    ]
    click.echo(f"{len(cases)} cases of {len({c.info.patient for c in cases})} anatomies")
    trainer = Trainer(cases, config, run_dir, initial_weights(initial))
    trainer.train(on_step=_report)
    write_trained_model(run_dir / "model", name, trainer, config, cases, exclude_patient)
    click.echo(f"wrote {run_dir / 'model'}")


def _config(preset: str, steps: int | None, learning_rate: float | None, seed: int) -> TrainConfig:
    from fracseg_training.fragments.config import PRESETS

    if preset not in PRESETS:
        raise click.BadParameter(f"choose one of {', '.join(PRESETS)}", param_hint="--preset")
    config = replace(PRESETS[preset], seed=seed)
    if steps is not None:
        config = replace(config, steps=steps)
    if learning_rate is not None:
        config = replace(config, learning_rate=learning_rate)
    return config


def _report(row: dict[str, float]) -> None:
    if row["step"] % 20 == 0:
        click.echo(
            f"step {row['step']:.0f}  loss {row['loss']:.3f}  "
            f"contact Dice {row['contact_dice']:.3f}  {row['seconds']:.2f} s"
        )
