"""`fracseg benchmark`: every figure the project reports, each by one command."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, get_args

import click

if TYPE_CHECKING:
    from fracseg_training.benchmarks.clicks.evidence import MapKind

_PATIENT = click.Path(exists=True, file_okay=False, path_type=Path)
_MODEL = click.option(
    "--model",
    type=_PATIENT,
    help="Model folder that judges all PATIENTS, or a folder with a model fold_PATIENT for each.",
)
SPEED_PARTS = ("recovery", "encoding", "growth", "predictor", "padding", "avx2")


@click.group()
def benchmark() -> None:
    """Measure accuracy on cases the weights have not seen."""


@benchmark.command()
@click.argument("data_dir", type=_PATIENT)
def oracle(data_dir: Path) -> None:
    """Recover fragments from perfect maps of the patients in DATA_DIR: the ceiling of recovery."""
    from fracseg_training.benchmarks.oracle import main

    main([str(data_dir)])


@benchmark.command()
@click.argument("patients", nargs=-1, required=True, type=_PATIENT)
@click.option(
    "--mask",
    type=click.Choice(["exact", "eroded", "dilated"]),
    default="exact",
    show_default=True,
    help="What is done to the ground-truth masks, by one voxel.",
)
@_MODEL
@click.option("--device", default="auto", show_default=True)
def real(patients: tuple[Path, ...], mask: str, model: Path | None, device: str) -> None:
    """Real PATIENTS with reference masks, each judged by weights of --model that left it out."""
    from fracseg_training.benchmarks.folds import (
        folds_wanted,
        real_maps,
        real_results,
        seen_warning,
    )
    from fracseg_training.fragments.score import MaskChange, summarise
    from FractureSegmentationLib.instances.config import RecoveryConfig

    changes: dict[str, MaskChange] = {name: name for name in get_args(MaskChange)}
    change = changes[mask]
    if model is None:
        raise folds_wanted()
    for patient in patients:
        if warning := seen_warning(patient.name, model):
            click.echo(f"Warning: {warning}.", err=True)
    maps = list(real_maps(patients, model, change, device=device))
    recoveries = {"default": RecoveryConfig(), "paper": RecoveryConfig(mode="paper")}
    for name, results in real_results(maps, change, recoveries, model).items():
        click.echo(f"{name} recovery, {mask} masks")
        for row in results:
            click.echo(
                f"  {row.case:24s} true {row.true_fragments}  predicted {row.predicted_fragments}  "
                f"IoU {row.score.headline.iou:.3f}  spurious {row.score.spurious}"
            )
        click.echo(f"  {summarise(results).line()}")


@benchmark.command()
@click.argument("shapes", type=_PATIENT)
@click.option("--count", default=60, show_default=True, type=click.IntRange(1), help="Bones.")
@click.option(
    "--mask",
    type=click.Choice(["exact", "eroded", "dilated"]),
    default="exact",
    show_default=True,
    help="What is done to the true masks, by one voxel.",
)
@click.option("--flips", is_flag=True, help="Average the maps of four flips.")
@click.option("--model", type=_PATIENT, help="Model folder; the shipped model unless given.")
@click.option("--seed", default=1, show_default=True, type=click.IntRange(0))
@click.option("--device", default="auto", show_default=True)
def comminuted(
    shapes: Path, count: int, mask: str, flips: bool, model: Path | None, seed: int, device: str
) -> None:
    """Simulated broken bones of the bodies in SHAPES that are held out of all training."""
    from fracseg_training.benchmarks.comminuted import comminuted_results
    from fracseg_training.fragments.score import MaskChange, summarise
    from fracseg_training.merging.ground import Ground

    changes: dict[str, MaskChange] = {name: name for name in get_args(MaskChange)}
    ground = Ground(shapes=shapes, seed=seed, intact_share=0.0)
    if not ground.bodies(held_out=True):
        raise click.UsageError("No body of SHAPES is held out.")
    done = []
    for result in comminuted_results(
        ground, count, model, changes[mask], averages_flips=flips, device=device
    ):
        done.append(result)
        click.echo(
            f"{len(done):3d} {result.case:44s} true {result.true_fragments:2d}  predicted "
            f"{result.predicted_fragments:2d}  IoU {result.score.headline.iou:.3f}"
        )
    click.echo(summarise(done).line())


@benchmark.command()
@click.argument("maps", type=_PATIENT)
@click.argument("model", type=_PATIENT)
def calibration(maps: Path, model: Path) -> None:
    """Whether the confidence of MODEL holds on MAPS, the maps/validate of its train-merging run."""
    from fracseg_training.benchmarks.calibration import calibration_of, checked_fragments
    from FractureSegmentationLib.networks.merging_file import load_judge
    from FractureSegmentationLib.networks.model_spec import read_spec

    checks = list(checked_fragments(maps, load_judge(model, read_spec(model))))
    if not checks:
        raise click.UsageError("MAPS holds no bone under both views, exact and flips.")
    for line in calibration_of(checks).lines():
        click.echo(line)


@benchmark.command()
@click.argument("label_map", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("names", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--count", default=40, show_default=True, type=click.IntRange(1), help="Bones.")
@click.option("--seed", default=0, show_default=True, type=int)
@click.option("--device", default="auto", show_default=True)
def intact(label_map: Path, names: Path, count: int, seed: int, device: str) -> None:
    """Simulated intact bones of a whole-body LABEL_MAP: how many come out as one piece."""
    from fracseg_training.benchmarks.intact import intact_bones_kept

    kept = 0
    for number, name, pieces in intact_bones_kept(label_map, names, count, seed, device):
        kept += pieces == 1
        click.echo(f"{number:3d} {name:32s} {pieces} piece(s)")
    click.echo(f"{kept} of {count} intact bones came out as one piece")


@benchmark.command()
@click.argument("label_map", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("names", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--count", default=10, show_default=True, type=click.IntRange(1), help="CTs.")
@click.option("--seed", default=0, show_default=True, type=int)
@click.option("--device", default="auto", show_default=True)
def auto(label_map: Path, names: Path, count: int, seed: int, device: str) -> None:
    """Whole-pelvis fracture CTs made from LABEL_MAP, segmented with bones found by the cascade."""
    from fracseg_training.benchmarks.whole_pelvis import whole_pelvis_scores

    rows = []
    for number, bone_dice, fragment_iou in whole_pelvis_scores(
        label_map, names, count, seed, device
    ):
        rows.append((bone_dice, fragment_iou))
        click.echo(f"{number:3d} bone Dice {bone_dice:.3f}  fragment IoU {fragment_iou:.3f}")
    bone = sum(row[0] for row in rows) / len(rows)
    fragment = sum(row[1] for row in rows) / len(rows)
    click.echo(f"mean bone Dice {bone:.3f}, mean fragment IoU {fragment:.3f} over {len(rows)} CTs")


@benchmark.command()
@click.argument("patients", nargs=-1, required=True, type=_PATIENT)
@click.option(
    "--map",
    "kind",
    type=click.Choice(["folds", "oracle", "none"]),
    default="folds",
    show_default=True,
    help="Contact map that splits go by: from --model, a perfect one, or none (the CT alone).",
)
@_MODEL
@click.option("--seed", default=0, show_default=True, type=int)
@click.option("--device", default="auto", show_default=True)
def clicks(
    patients: tuple[Path, ...], kind: MapKind, model: Path | None, seed: int, device: str
) -> None:
    """Simulate merge and split clicks on errors in the bones of real PATIENTS."""
    from fracseg_training.benchmarks.clicks.table import click_lines

    for line in click_lines(patients, kind, model=model, seed=seed, device=device):
        click.echo(line)


@benchmark.command()
@click.argument("data_dir", type=_PATIENT)
@click.option("--part", "parts", multiple=True, type=click.Choice(SPEED_PARTS), help="Only this.")
@click.option("--threads", default=1, show_default=True, type=click.IntRange(1))
@click.option("--repeats", default=3, show_default=True, type=click.IntRange(1), help="Pairs.")
@click.option("--network-maps", is_flag=True, help="Recover from maps of the shipped weights.")
def speed(
    data_dir: Path, parts: tuple[str, ...], threads: int, repeats: int, network_maps: bool
) -> None:
    """Speed on the patients in DATA_DIR, as ratios that are measured in pairs.

    With one thread, processor time is measured, in which other programs do not count.
    """
    from fracseg_training.benchmarks.speed.measure import SpeedSettings
    from fracseg_training.benchmarks.speed.table import speed_rows

    settings = SpeedSettings(
        data=data_dir, threads=threads, repeats=repeats, uses_network_maps=network_maps
    )
    missed = 0
    for row in speed_rows(settings, parts):
        click.echo(row.line())
        missed += row.is_met is False
    click.echo("all targets met" if not missed else f"{missed} target(s) missed")
