"""How a list that is worked through is told: as JSON events, in a terminal, or not at all.

With `--progress json` a list adds to the protocol (`protocol.py`, same version):

    case_started   {"case", "number", "count"}            `--list` only; number 1 = first case
    progress, log, warning                                `--list` only: as for one CT, and "case";
                                                          value is that of the whole list
    case_finished  {"case", "line", "status", "is_kept", "fragment_count", "seconds", "warnings",
                    "code", "error", "remedy", "finished", "count"}
    warning        {"message"}                            without "case": concerns the whole list
    result         {"protocol", "counts"}                 every case is done
    error          as for one CT; code cases_failed, exit status 5: at least one case has failed

status is done or failed; code, error and remedy are "" where nothing failed. counts holds cases,
done, kept (of those done, by an earlier run), failed and waiting.
"""

from __future__ import annotations

import sys
from typing import Any

import click

from FractureSegmentationLib import protocol
from FractureSegmentationLib.batch.ledger import Watcher
from FractureSegmentationLib.batch.one_case import CaseRecord
from FractureSegmentationLib.batch.summary import record_entry
from FractureSegmentationLib.cli.bar import TerminalBar
from FractureSegmentationLib.progress import Event


class JsonWatcher:
    """Sends every event as one line.

    Args:
        count: how many cases there are.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._number = 1

    def on_case_started(self, name: str, number: int) -> None:
        """Tell that a case was begun."""
        self._number = number
        protocol.send(
            {"event": "case_started", "case": name, "number": number, "count": self._count}
        )

    def on_case_event(self, name: str, event: Event) -> None:
        """Tell what happened, with the progress of the whole list."""
        told: dict[str, Any] = {**protocol.progress_event(event), "case": name}
        if event.kind == "progress":
            told["value"] = round((self._number - 1 + event.value) / self._count, 4)
        protocol.send(told)

    def on_case_finished(self, record: CaseRecord, finished_count: int) -> None:
        """Tell how a case went."""
        counts = {"finished": finished_count, "count": self._count}
        protocol.send({"event": "case_finished", **record_entry(record), **counts})

    def on_warning(self, message: str) -> None:
        """Tell what is wrong beside the cases."""
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
    found = "1 fragment" if count == 1 else f"{count} fragments"
    return f"{found}, kept" if record.is_kept else f"{found}, {record.seconds:.0f} s"
