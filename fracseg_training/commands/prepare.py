"""`fracseg prepare`: turn patients and whole bones into training cases."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import TYPE_CHECKING

import click

from fracseg_training.commands.job_progress import JobProgress

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fracseg_training.data.jobs import Job, Request


@click.command()
@click.argument("out_dir", type=click.Path(file_okay=False, path_type=Path))
@click.option(
    "--real",
    multiple=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder of one patient, named for it, with ct.nii.gz, bones.nii.gz and "
    "fragments.nii.gz; may be repeated.",
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
    "--label-map-cts",
    default=6,
    show_default=True,
    type=click.IntRange(0),
    help="CTs made from each label map.",
)
@click.option(
    "--phantoms",
    default=0,
    show_default=True,
    type=click.IntRange(0),
    help="Analytic pelves to make.",
)
@click.option(
    "--found-cts",
    default=0,
    show_default=True,
    type=click.IntRange(0),
    help="CTs of broken pelves made from each label map, their bones found by the networks.",
)
@click.option(
    "--found-bodies",
    default=0,
    show_default=True,
    type=click.IntRange(0),
    help="Bodies of the label maps put around each patient's bones, which are then found likewise.",
)
@click.option(
    "--per-bone",
    default=8,
    show_default=True,
    type=click.IntRange(0),
    help="Simulations on each real bone.",
)
@click.option(
    "--per-made-bone",
    default=2,
    show_default=True,
    type=click.IntRange(1),
    help="Simulations on other bones.",
)
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0))
@click.option("--workers", default=1, show_default=True, type=click.IntRange(1))
def prepare(
    out_dir: Path,
    real: tuple[Path, ...],
    label_map: tuple[tuple[Path, Path], ...],
    label_map_cts: int,
    phantoms: int,
    found_cts: int,
    found_bodies: int,
    per_bone: int,
    per_made_bone: int,
    seed: int,
    workers: int,
) -> None:
    """Fill OUT_DIR with training cases; what is there already is kept."""
    from fracseg_training.data.jobs import Request, jobs_of, refuse_unusable

    request = Request(
        patients=tuple(folder.absolute() for folder in real),
        label_maps=label_map,
        label_map_cts=label_map_cts,
        phantoms=phantoms,
        found_cts=found_cts,
        found_bodies=found_bodies,
        per_bone=per_bone,
        per_made_bone=per_made_bone,
        seed=seed,
    )
    _refuse_contradictions(request)
    refuse_unusable(request)
    jobs = jobs_of(out_dir, request)
    with JobProgress(len(jobs)) as progress:
        made = _run_all(jobs, workers, progress)
    click.echo(f"{made} cases made")


def _refuse_contradictions(request: Request) -> None:
    """Say which option is lacking, where those given would make nothing."""
    if request.found_cts and not request.label_maps:
        raise click.UsageError("--found-cts needs a label map to make the CTs from: --label-map.")
    if request.found_bodies and not request.label_maps:
        raise click.UsageError(
            "--found-bodies needs a label map to make the bodies from: --label-map."
        )
    if request.found_bodies and not request.patients:
        raise click.UsageError("--found-bodies needs patients to put the bodies around: --real.")
    if not (request.patients or request.label_maps or request.phantoms):
        raise click.UsageError(
            "There is nothing to make cases from: give --real, --label-map or --phantoms."
        )
    if request.label_maps and not (
        request.label_map_cts or request.found_cts or request.found_bodies
    ):
        raise click.UsageError(
            "Nothing is made from the label map: give --label-map-cts, --found-cts or "
            "--found-bodies above 0."
        )


def _run_all(jobs: Sequence[Job], workers: int, progress: JobProgress) -> int:
    """Run the jobs, reporting each as it ends; returns how many cases they made."""
    made = 0
    if workers == 1:
        for job in jobs:
            made += job()
            progress.report(made)
        return made
    with ProcessPoolExecutor(workers) as pool:
        try:
            for future in as_completed([pool.submit(job) for job in jobs]):
                made += future.result()
                progress.report(made)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return made
