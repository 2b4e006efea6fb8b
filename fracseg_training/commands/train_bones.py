"""`fracseg train-bones`: synthetic CTs, and the two bone networks trained on them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from fracseg_training.commands.loop_options import (
    WEIGHTS,
    configured,
    initial_of,
    loop_options,
    prepare_process,
    train_and_export,
)

if TYPE_CHECKING:
    from fracseg_training.commands.loop_options import LoopOptions

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
@click.option(
    "--validate-share",
    type=click.FloatRange(0.0, 1.0, max_open=True),
    default=0.1,
    show_default=True,
    help="Share of the pool that is held out and scored, rounded down.",
)
@loop_options
@WEIGHTS
def fit(
    stage: str,
    pool_dir: Path,
    run_dir: Path,
    validate_share: float,
    loop: LoopOptions,
    weights: str,
) -> None:
    """Train STAGE on the CTs in POOL_DIR; RUN_DIR keeps checkpoint, log, curves and the model.

    A run that is found in RUN_DIR resumes exactly from its last checkpoint. Ctrl-C writes one.
    """
    from fracseg_training.bones.config import STAGES
    from fracseg_training.bones.pool import read_pool
    from fracseg_training.bones.task import BoneTask
    from fracseg_training.training.split import held_out_share

    prepare_process(loop)
    config = configured(STAGES[stage], run_dir, loop)
    volumes = read_pool(pool_dir, stage)
    held_out = held_out_share([volume.name for volume in volumes], validate_share)
    initial, sha256 = initial_of(loop)
    task = BoneTask(
        [volume for volume in volumes if volume.name not in held_out],
        config,
        validation=[volume for volume in volumes if volume.name in held_out],
        initial=initial,
        initial_sha256=sha256,
    )
    click.echo(f"{len(volumes) - len(held_out)} synthetic CTs, {len(held_out)} for validation")
    train_and_export(task, run_dir, loop, weights)


@train_bones.command()
@click.argument("stage", type=_STAGE)
@click.argument("run_dir", type=_FOLDER)
@click.argument("model_dir", type=_NEW_FOLDER)
@WEIGHTS
def export(stage: str, run_dir: Path, model_dir: Path, weights: str) -> None:
    """Write the model of a run of STAGE, finished or not, to MODEL_DIR."""
    from fracseg_training.training.run_folder import RunFolder
    from FractureSegmentationLib.errors import InputError

    run = RunFolder(run_dir)
    trained = run.record()["settings"].get("stage")
    if trained != stage:
        raise InputError(
            f"The run trained {trained or 'a fragment network'}, not the stage {stage}.",
            "Name the stage of the run.",
        )
    step = run.export(model_dir, "last" if weights == "last" else "best")
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
