"""`fracseg train-merging`: train what judges which regions of a bone are one fragment."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from fracseg_training.merging.ground import Ground


@click.command()
@click.argument("model_dir", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("run_dir", type=click.Path(file_okay=False, path_type=Path))
@click.option(
    "--shapes",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder of bone shapes with cases.json.",
)
@click.option(
    "--label-map",
    nargs=2,
    multiple=True,
    metavar="LABELS NAMES",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Whole-body label map and the JSON of its structures' names; may be repeated.",
)
@click.option(
    "--bones",
    default=320,
    show_default=True,
    type=click.IntRange(8),
    help="Simulated bones to train on.",
)
@click.option(
    "--validate",
    default=60,
    show_default=True,
    type=click.IntRange(0),
    help="Simulated bones of bodies held out, which are only reported.",
)
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0))
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda[:N] or mps.")
@click.option("--precision", default="auto", show_default=True, help="auto, fp32, bf16 or fp16.")
def train_merging(
    model_dir: Path,
    run_dir: Path,
    shapes: Path | None,
    label_map: tuple[tuple[Path, Path], ...],
    bones: int,
    validate: int,
    seed: int,
    device: str,
    precision: str,
) -> None:
    """Train the merging model of the fragment network in MODEL_DIR.

    RUN_DIR/maps keeps what the network says of simulated bones, and RUN_DIR/model is the model with
    its merging model. A run that was stopped goes on where it was.
    """
    from fracseg_training.merging.ground import Ground
    from fracseg_training.merging.run import MergingRun, run_training

    ground = Ground(shapes=shapes, label_maps=label_map, seed=seed)
    _refuse_nothing(ground, validate)
    run = MergingRun(
        model=model_dir,
        folder=run_dir,
        ground=ground,
        bones=bones,
        validated=validate,
        device=device,
        precision=precision,
    )
    for line in run_training(run, sys.stderr):
        click.echo(line)


def _refuse_nothing(ground: Ground, validate: int) -> None:
    if not ground.bodies(held_out=False):
        raise click.UsageError(
            "There is nothing to train on: give --shapes or --label-map with a body that is not "
            "held out."
        )
    if validate and not ground.bodies(held_out=True):
        raise click.UsageError(
            "No body is held out to validate on: give more with --shapes, or --validate 0."
        )
