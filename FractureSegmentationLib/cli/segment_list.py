"""Working a list through, one case after the other or on a cluster, and reporting its progress."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from FractureSegmentationLib import protocol
from FractureSegmentationLib.batch.case_list import ListConfig, case_jobs, inputs_of, read_case_list
from FractureSegmentationLib.batch.one_case import CaseRecord
from FractureSegmentationLib.batch.run_log import (
    TABLE_NAME,
    RunLog,
    Watcher,
    counts_of,
    prepare_folder,
    record_entry,
)
from FractureSegmentationLib.cli.options import SegmentOptions
from FractureSegmentationLib.cli.runner import Report, RunFrame, TerminalBar, run_stoppable
from FractureSegmentationLib.config import BoneFinder, finder_named
from FractureSegmentationLib.errors import InputError
from FractureSegmentationLib.progress import CancelToken, Event

KEPT = "Finished cases are kept; the same command goes on with the rest."


def _nothing() -> None:
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class ListPlan:
    """A list and the way to work it through.

    Attributes:
        list_file: names the cases.
        out: the folder of all cases.
        options: how to segment.
        execute: does the cases of a run_log.
        before_leaving: called before the process is ended by force.
    """

    list_file: Path
    out: Path
    options: SegmentOptions
    execute: Callable[[RunLog, CancelToken], None]
    before_leaving: Callable[[], None] = _nothing


def segment_list(list_file: Path, out: Path, options: SegmentOptions) -> int:
    """Segment every case of a list in this process; returns the exit status."""

    def execute(run_log: RunLog, token: CancelToken) -> None:
        from FractureSegmentationLib.batch.in_turn import run_in_turn
        from FractureSegmentationLib.inference.engine import choose_engine

        # What fails for every case is better said once.
        choose_engine(options.engine).device_named(options.device)
        run_in_turn(run_log, token)

    plan = ListPlan(list_file=list_file, out=out, options=options, execute=execute)
    return work_through(plan)


def work_through(plan: ListPlan) -> int:
    """Work a list through and report how it went.

    Returns:
        The exit status.

    Raises:
        FracSegError: the list cannot be worked through, or a case of it has failed.
    """
    style = plan.options.progress

    def work(token: CancelToken) -> Report:
        run_log = _run_log_of(plan)
        plan.execute(run_log, token)
        run_log.close()
        return lambda: _report(run_log, plan)

    frame = RunFrame(
        style=style,
        out=plan.out / "case",
        parent_pipe=plan.options.parent_pipe,
        kept=KEPT,
        before_leaving=plan.before_leaving,
    )
    return run_stoppable(work, frame)


def _run_log_of(plan: ListPlan) -> RunLog:
    """The cases of the list, and the folder that takes them.

    Raises:
        FracSegError: the list or the folder cannot be used; nothing was written.
    """
    options = plan.options
    config = ListConfig(
        settings=options.settings(_finder(options.bones)),
        series=options.series,
        may_replace=options.overwrite,
        writes_meshes=not options.no_meshes,
    )
    jobs = case_jobs(read_case_list(plan.list_file), plan.out, config)
    prepare_folder(plan.out, (plan.list_file, *inputs_of(jobs)))
    run_log = RunLog(plan.out.absolute(), jobs, watcher_of(options.progress, len(jobs)))
    run_log.open()
    return run_log


def _finder(text: str) -> BoneFinder:
    finder = finder_named(text)
    if finder is None:
        raise InputError(
            "A file with bones belongs to one CT, not to a whole list.",
            "Name the files in the column bones of the list.",
        )
    return finder


def _report(run_log: RunLog, plan: ListPlan) -> None:
    counts = counts_of(run_log.records)
    if plan.options.progress == "json":
        protocol.send({"event": "result", "protocol": protocol.VERSION, "counts": counts})
        return
    kept = f", {counts['kept']} of them by an earlier run" if counts["kept"] else ""
    click.echo(
        f"{counts['done']} cases done{kept}. The table is {plan.out / TABLE_NAME}. "
        "Not for diagnosis: review every fragment."
    )


class JsonWatcher:
    """Sends every event as one line.

    Args:
        count: how many cases there are.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._number = 1

    def on_case_started(self, name: str, number: int) -> None:
        """Report that a case was begun."""
        self._number = number
        protocol.send(
            {"event": "case_started", "case": name, "number": number, "count": self._count}
        )

    def on_case_event(self, name: str, event: Event) -> None:
        """Report what happened, with the progress of the whole list."""
        message: dict[str, Any] = {**protocol.progress_event(event), "case": name}
        if event.kind == "progress":
            message["value"] = round((self._number - 1 + event.value) / self._count, 4)
        protocol.send(message)

    def on_case_finished(self, record: CaseRecord, finished_count: int) -> None:
        """Report how a case went."""
        counts = {"finished": finished_count, "count": self._count}
        protocol.send({"event": "case_finished", **record_entry(record), **counts})

    def on_warning(self, message: str) -> None:
        """Report a problem that belongs to no case."""
        protocol.send({"event": "warning", "stage": "", "message": message})


class TerminalWatcher:
    """A bar for the case at hand and one line for each that is finished.

    Args:
        count: how many cases there are.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._bar = TerminalBar()

    def on_case_started(self, name: str, number: int) -> None:
        """Say which case comes, where no bar is drawn over it."""
        del name, number
        self._bar = TerminalBar()

    def on_case_event(self, name: str, event: Event) -> None:
        """Draw the bar of the case; its warnings follow when it is finished."""
        del name
        if event.kind == "progress" and sys.stderr.isatty():
            self._bar.on_event(event)

    def on_case_finished(self, record: CaseRecord, finished_count: int) -> None:
        """One line for the case, and one for each of its warnings."""
        self._bar.finish()
        click.echo(f"[{finished_count}/{self._count}] {record.name}: {outcome_of(record)}")
        for sentence in record.warnings:
            click.echo(f"    Warning: {sentence}")

    def on_warning(self, message: str) -> None:
        """One line."""
        self._bar.finish()
        click.echo(f"Warning: {message}", err=True)


class SilentWatcher:
    """Says nothing."""

    def on_case_started(self, name: str, number: int) -> None:
        """Nothing."""

    def on_case_event(self, name: str, event: Event) -> None:
        """Nothing."""

    def on_case_finished(self, record: CaseRecord, finished_count: int) -> None:
        """Nothing."""

    def on_warning(self, message: str) -> None:
        """Nothing."""


def watcher_of(style: str, count: int) -> Watcher:
    """The watcher for `--progress` auto, json or none."""
    if style == "json":
        return JsonWatcher(count)
    return TerminalWatcher(count) if style == "auto" else SilentWatcher()


def outcome_of(record: CaseRecord) -> str:
    """How a case went, in a few words."""
    if record.status == "failed":
        return f"failed. {record.error} {record.remedy}".rstrip()
    count = record.fragment_count or 0
    text = "1 fragment" if count == 1 else f"{count} fragments"
    return f"{text}, kept" if record.is_kept else f"{text}, {record.seconds:.0f} s"
