"""`fracseg batch`: a list of CTs, spread over the workers of a cluster."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from FractureSegmentationLib.cli.options import SegmentOptions, with_settings
from FractureSegmentationLib.progress import CancelToken

if TYPE_CHECKING:
    from FractureSegmentationLib.batch.local_workers import LocalWorkers
    from FractureSegmentationLib.batch.run_log import RunLog


@click.command()
@click.argument("list_file", metavar="LIST", type=click.Path(path_type=Path))
@click.argument("out", type=click.Path(path_type=Path))
@click.option(
    "--scheduler",
    metavar="ADDRESS",
    help="Address of a running Dask scheduler, or its scheduler file; without it, workers are "
    "started on this machine.",
)
@click.option(
    "--workers",
    metavar="N",
    type=click.IntRange(min=1),
    help="How many to start on this machine. [default: one per GPU, or per 4 cores]",
)
@click.option(
    "--retries",
    metavar="N",
    type=click.IntRange(min=0),
    default=2,
    show_default=True,
    help="How often a case is tried again after its worker was lost or memory ran out.",
)
@with_settings
def batch(
    list_file: Path,
    out: Path,
    scheduler: str | None,
    workers: int | None,
    retries: int,
    options: SegmentOptions,
) -> int:
    """Segment every CT of LIST into a folder of its own below OUT, many at the same time.

    LIST, OUT and the results are as with fracseg segment --list. With --scheduler, the workers
    must see the CTs and OUT under the same paths as this machine. Cases that are done are kept; a
    case that fails does not stop the rest, and the exit status is 5 then.
    """
    if scheduler and workers:
        raise click.UsageError("--workers starts workers here; --scheduler has its own.")
    from FractureSegmentationLib.batch.cluster import ClusterConfig, require_dask, run_on_cluster
    from FractureSegmentationLib.cli.segment_list import ListPlan, work_through

    require_dask()
    config = ClusterConfig(
        scheduler=scheduler,
        workers=workers,
        engine=options.engine,
        device=options.device,
        retries=retries,
    )
    started: list[LocalWorkers] = []

    def execute(run_log: RunLog, token: CancelToken) -> None:
        run_on_cluster(run_log, config, token, started.append)

    def end_workers() -> None:
        for local in started:
            local.kill()

    plan = ListPlan(
        list_file=list_file, out=out, options=options, execute=execute, before_leaving=end_workers
    )
    return work_through(plan)
