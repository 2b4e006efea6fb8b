"""`fracseg train-bones`: synthetic CTs, and the two bone networks trained on them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
_NEW_FOLDER = click.Path(file_okay=False, path_type=Path)
_STAGE = click.Choice(["coarse", "fine"])


@click.group()
def train_bones() -> None:
    """Train the networks that find the bones in a CT: first `pool`, then `fit` each stage."""


@train_bones.command()
@click.argument("pool_dir", type=_NEW_FOLDER)
@click.option(
    "--label-map",
    nargs=2,
    multiple=True,
    required=True,
    metavar="LABELS NAMES",
    type=_FILE,
    help="Whole-body label map and the JSON of its structures' names; may be repeated.",
)
@click.option(
    "--bones",
    nargs=2,
    multiple=True,
    metavar="CT BONES",
    type=_FILE,
    help="CT of real bones alone and its bone mask; may be repeated.",
)
@click.option("--phantoms", default=0, show_default=True, help="Analytic pelves to make.")
@click.option("--broken", default=0, show_default=True, help="CTs of broken pelves to make.")
@click.option("--first", default=0, show_default=True, help="Index of the first CT to make.")
@click.option("--count", default=40, show_default=True, help="How many CTs to make.")
@click.option("--seed", default=0, show_default=True, type=int)
def pool(
    pool_dir: Path,
    label_map: tuple[tuple[Path, Path], ...],
    bones: tuple[tuple[Path, Path], ...],
    phantoms: int,
    broken: int,
    first: int,
    count: int,
    seed: int,
) -> None:
    """Fill POOL_DIR with synthetic CTs; what is there already is kept."""
    from fracseg_training.bones.bodies import SPACING_MM, BodySource, BrokenSource, PhantomSource
    from fracseg_training.bones.pool import fill_pool
    from fracseg_training.bones.sources import read_bare_bones
    from fracseg_training.synthesis.label_map import read_label_map

    hosts = [read_label_map(labels, names) for labels, names in label_map]
    source = BodySource(
        hosts=hosts,
        bare_bones=[read_bare_bones(ct, mask, SPACING_MM) for ct, mask in bones],
    )
    fill_pool(source, pool_dir, range(first, first + count), seed)
    fill_pool(PhantomSource(), pool_dir, range(phantoms), seed, prefix="phantom_")
    fill_pool(BrokenSource(hosts=hosts), pool_dir, range(broken), seed, prefix="broken_")
    click.echo(f"{count} synthetic CTs, {broken} broken ones and {phantoms} phantoms in the pool")


@train_bones.command()
@click.argument("stage", type=_STAGE)
@click.argument("pool_dir", type=_FOLDER)
@click.argument("run_dir", type=_NEW_FOLDER)
@click.option("--steps", type=click.IntRange(1), help="Optimiser steps of the whole run.")
@click.option("--learning-rate", type=float, help="Peak learning rate.")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--initial", type=_FOLDER, help="Model folder to start from.")
@click.option("--threads", type=click.IntRange(1), help="Processor threads.")
def fit(
    stage: str,
    pool_dir: Path,
    run_dir: Path,
    steps: int | None,
    learning_rate: float | None,
    seed: int,
    initial: Path | None,
    threads: int | None,
) -> None:
    """Train STAGE on the CTs in POOL_DIR; RUN_DIR keeps checkpoint, log and, at the end, the model.

    A run that is found in RUN_DIR goes on exactly where its last checkpoint was written.
    """
    import torch

    from fracseg_training.bones.config import STAGES
    from fracseg_training.bones.export import write_bone_model
    from fracseg_training.bones.pool import read_pool
    from fracseg_training.bones.train import BoneTrainer
    from fracseg_training.training.initial import initial_weights

    if threads is not None:
        torch.set_num_threads(threads)
    config = replace(STAGES[stage], seed=seed)
    if steps is not None:
        config = replace(config, steps=steps)
    if learning_rate is not None:
        config = replace(config, learning_rate=learning_rate)
    volumes = read_pool(pool_dir, stage)
    click.echo(f"{len(volumes)} synthetic CTs")
    trainer = BoneTrainer(volumes, config, run_dir, initial_weights(initial))
    trainer.train(on_step=_report)
    write_bone_model(run_dir / "model", config, trainer.averaged, trainer.step)
    click.echo(f"wrote {run_dir / 'model'}")


@train_bones.command()
@click.argument("stage", type=_STAGE)
@click.argument("run_dir", type=_FOLDER)
@click.argument("model_dir", type=_NEW_FOLDER)
def export(stage: str, run_dir: Path, model_dir: Path) -> None:
    """Write the model of a run's last checkpoint, finished or not, to MODEL_DIR."""
    from fracseg_training.bones.config import STAGES
    from fracseg_training.bones.export import averaged_network, write_bone_model

    config = STAGES[stage]
    network, step = averaged_network(run_dir, config)
    write_bone_model(model_dir, config, network, step)
    click.echo(f"wrote {model_dir} (step {step})")


@train_bones.command()
@click.argument("coarse_model", type=_FOLDER)
@click.argument("ct_path", metavar="CT", type=_FILE)
@click.argument("bones_path", metavar="BONES", type=_FILE)
@click.option("--fine", "fine_model", type=_FOLDER, help="Also run the fine stage of this model.")
def score(coarse_model: Path, ct_path: Path, bones_path: Path, fine_model: Path | None) -> None:
    """Print the Dice of every bone in BONES, the truth of CT, found by the model or models."""
    from fracseg_training.bones.config import COARSE, FINE
    from fracseg_training.bones.score import bone_dice, cascade_bones, coarse_bones
    from FractureSegmentationLib.io.read import read_ct, read_labels
    from FractureSegmentationLib.networks.weights import load_model

    ct, truth = read_ct(ct_path).volume, read_labels(bones_path)
    _, coarse = load_model(coarse_model)
    found = {"coarse": coarse_bones(ct, coarse, COARSE)}
    if fine_model is not None:
        _, fine = load_model(fine_model)
        found["cascade"] = cascade_bones(ct, (coarse, COARSE), (fine, FINE))
    for name, labels in found.items():
        scores = bone_dice(labels.voxels, truth.voxels)
        click.echo(f"{name}: " + "  ".join(f"{bone} {dice:.3f}" for bone, dice in scores.items()))


def _report(row: dict[str, float]) -> None:
    if row["step"] % 20 == 0:
        click.echo(
            f"step {row['step']:.0f}  loss {row['loss']:.3f}  "
            f"bone Dice {row['bone_dice']:.3f}  {row['seconds']:.2f} s"
        )
