"""`fracseg train`: train TPC-Net on a folder of cases and write a model folder."""

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
    from fracseg_training.data.cases import Case
    from fracseg_training.fragments.config import TrainConfig

_MOST_VALIDATED = 40


@click.command()
@click.argument("cases_dir", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("run_dir", type=click.Path(file_okay=False, path_type=Path))
@click.option("--preset", default="small", show_default=True, help="See `fracseg ablate --list`.")
@click.option("--exclude-patient", multiple=True, help="Hold a patient out; may be repeated.")
@click.option(
    "--validate",
    multiple=True,
    metavar="PATIENT",
    help="Score the whole bones of this patient, which is not trained on; may be repeated.",
)
@click.option(
    "--validate-share",
    type=click.FloatRange(0.0, 1.0, max_open=True),
    default=0.1,
    show_default=True,
    help="Without --validate: share of the patients that is held out for it, rounded down.",
)
@click.option("--only-source", multiple=True, help="Train on real, phantom or 'label map' alone.")
@click.option("--name", default="fracsegmentator", show_default=True, help="Name of the model.")
@loop_options
@WEIGHTS
@click.option(
    "--export",
    "is_export",
    is_flag=True,
    help="Only write RUN_DIR/model from the run as it is, finished or not.",
)
def train(
    cases_dir: Path,
    run_dir: Path,
    preset: str,
    exclude_patient: tuple[str, ...],
    validate: tuple[str, ...],
    validate_share: float,
    only_source: tuple[str, ...],
    name: str,
    loop: LoopOptions,
    weights: str,
    is_export: bool,
) -> None:
    """Train TPC-Net on the cases in CASES_DIR; RUN_DIR keeps checkpoint, log, curves and model.

    A run that is found in RUN_DIR resumes exactly from its last checkpoint. Ctrl-C writes one. On
    several GPUs: torchrun --nproc-per-node N -m FractureSegmentationLib.cli.main train ...
    """
    from fracseg_training.fragments.task import FragmentTask, Origin
    from fracseg_training.training.run_folder import RunFolder

    if is_export:
        step = RunFolder(run_dir).export(run_dir / "model", "last" if weights == "last" else "best")
        click.echo(f"wrote {run_dir / 'model'} (step {step})")
        return
    prepare_process(loop)
    config = configured(_preset(preset), run_dir, loop)
    cases, validation = _split(cases_dir, exclude_patient, only_source, validate, validate_share)
    click.echo(f"{len(cases)} cases of {len({c.info.patient for c in cases})} anatomies")
    click.echo(_describe_validation(validation))
    initial, sha256 = initial_of(loop)
    origin = Origin(
        name=name,
        preset=preset,
        excluded=exclude_patient,
        sources=only_source,
        initial=initial,
        initial_sha256=sha256,
    )
    task = FragmentTask(cases, config, validation=validation, origin=origin)
    train_and_export(task, run_dir, loop, weights)


def _preset(name: str) -> TrainConfig:
    from fracseg_training.fragments.config import PRESETS

    if name not in PRESETS:
        raise click.BadParameter(f"choose one of {', '.join(PRESETS)}", param_hint="--preset")
    return PRESETS[name]


def _split(
    folder: Path,
    excluded: tuple[str, ...],
    sources: tuple[str, ...],
    validate: tuple[str, ...],
    share: float,
) -> tuple[list[Case], list[Case]]:
    """The cases to train on, and those to validate on: never of one patient."""
    from fracseg_training.data.cases import load_cases
    from fracseg_training.training.split import held_out_share, refuse_unknown
    from FractureSegmentationLib.errors import InputError

    cases = load_cases(folder)
    known = {case.info.patient for case in cases}
    refuse_unknown(excluded, known, "--exclude-patient")
    refuse_unknown(validate, known, "--validate")
    if both := sorted(set(excluded) & set(validate)):
        raise InputError(
            f"Weights that are chosen by patient {', '.join(both)} do not leave that patient out.",
            "Name a patient with --exclude-patient or with --validate, not with both.",
        )
    cases = [
        case
        for case in cases
        if case.info.patient not in excluded and (not sources or case.info.source in sources)
    ]
    held_out = validate or held_out_share({case.info.patient for case in cases}, share)
    validation = [case for case in cases if case.info.patient in held_out]
    cases = [case for case in cases if case.info.patient not in held_out]
    if not cases:
        raise InputError(
            "No training case is left.", "Exclude fewer patients, or prepare more cases."
        )
    step = -(-len(validation) // _MOST_VALIDATED) if validation else 1
    return cases, validation[::step]


def _describe_validation(cases: list[Case]) -> str:
    if not cases:
        return "no validation: name patients with --validate, or prepare ten or more"
    names = ", ".join(sorted({case.info.patient for case in cases}))
    return f"validation on {len(cases)} bones of {names}"
