"""Working a list through, one case after the other or on a cluster."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import click

from FractureSegmentationLib import protocol
from FractureSegmentationLib.batch.case_list import read_case_list
from FractureSegmentationLib.batch.jobs import ListConfig, case_jobs, inputs_of
from FractureSegmentationLib.batch.ledger import Ledger
from FractureSegmentationLib.batch.summary import TABLE_NAME, counts_of, prepare_folder
from FractureSegmentationLib.cli.case_watchers import watcher_of
from FractureSegmentationLib.cli.runner import RunFrame, Tell, run_stoppable
from FractureSegmentationLib.cli.settings_options import AskedSettings
from FractureSegmentationLib.config import BoneFinder, finder_named
from FractureSegmentationLib.errors import InputError
from FractureSegmentationLib.progress import CancelToken

KEPT = "Finished cases are kept; the same command goes on with the rest."


def _nothing() -> None:
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class ListPlan:
    """A list and the way to work it through.

    Attributes:
        list_file: names the cases.
        out: the folder of all cases.
        asked: how to segment.
        execute: does the cases of a ledger.
        before_leaving: called before the process is ended by force.
    """

    list_file: Path
    out: Path
    asked: AskedSettings
    execute: Callable[[Ledger, CancelToken], None]
    before_leaving: Callable[[], None] = _nothing


def segment_list(list_file: Path, out: Path, asked: AskedSettings) -> int:
    """Segment every case of a list in this process; returns the exit status."""

    def execute(ledger: Ledger, token: CancelToken) -> None:
        from FractureSegmentationLib.batch.in_turn import run_in_turn
        from FractureSegmentationLib.inference.device import choose_device

        choose_device(asked.device)  # What fails for every case is better said once.
        run_in_turn(ledger, token)

    plan = ListPlan(list_file=list_file, out=out, asked=asked, execute=execute)
    return work_through(plan)


def work_through(plan: ListPlan) -> int:
    """Work a list through and tell how it went.

    Returns:
        The exit status.

    Raises:
        FracSegError: the list cannot be worked through, or a case of it has failed.
    """
    style = plan.asked.progress

    def work(token: CancelToken) -> Tell:
        ledger = _ledger_of(plan)
        plan.execute(ledger, token)
        ledger.close()
        return lambda: _tell(ledger, plan)

    frame = RunFrame(
        style=style,
        out=plan.out / "case",
        parent_pipe=plan.asked.parent_pipe,
        kept=KEPT,
        before_leaving=plan.before_leaving,
    )
    return run_stoppable(work, frame)


def _ledger_of(plan: ListPlan) -> Ledger:
    """The cases of the list, and the folder that takes them.

    Raises:
        FracSegError: the list or the folder cannot be used; nothing was written.
    """
    asked = plan.asked
    config = ListConfig(
        settings=asked.settings(_finder(asked.bones)),
        series=asked.series,
        may_replace=asked.overwrite,
        writes_meshes=not asked.no_meshes,
    )
    jobs = case_jobs(read_case_list(plan.list_file), plan.out, config)
    prepare_folder(plan.out, (plan.list_file, *inputs_of(jobs)))
    ledger = Ledger(plan.out.absolute(), jobs, watcher_of(asked.progress, len(jobs)))
    ledger.open()
    return ledger


def _finder(text: str) -> BoneFinder:
    finder = finder_named(text)
    if finder is None:
        raise InputError(
            "A file with bones belongs to one CT, not to a whole list.",
            "Name the files in the column bones of the list.",
        )
    return finder


def _tell(ledger: Ledger, plan: ListPlan) -> None:
    counts = counts_of(ledger.records)
    if plan.asked.progress == "json":
        protocol.send({"event": "result", "protocol": protocol.VERSION, "counts": counts})
        return
    kept = f", {counts['kept']} of them by an earlier run" if counts["kept"] else ""
    click.echo(
        f"{counts['done']} cases done{kept}. The table is {plan.out / TABLE_NAME}. "
        "Not for diagnosis: review every fragment."
    )
