"""The run log of a list: a record per case, and `summary.csv` and `summary.json` after each."""

from __future__ import annotations

import csv
import io
import json
import os
import secrets
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

from FractureSegmentationLib import __version__
from FractureSegmentationLib.batch.one_case import CaseJob, CaseRecord, waiting
from FractureSegmentationLib.errors import EnvironmentProblemError, FracSegError, OutputExistsError
from FractureSegmentationLib.io.folder import REPORT_NAME, SCHEMA_KEY, SCHEMA_PREFIX
from FractureSegmentationLib.io.json_object import read_json_object
from FractureSegmentationLib.progress import Event
from FractureSegmentationLib.results.report import DISCLAIMER

TABLE_NAME, JSON_NAME = "summary.csv", "summary.json"
SCHEMA = f"{SCHEMA_PREFIX}-summary/1"
"""Raised when a key or a column changes its meaning or goes; new ones do not raise it."""
_DRAFTS = ".summary.*." + "[0-9a-f]" * 8
COLUMNS = ("case", "line", "status", "kept", "fragments", "seconds", "warnings", "error")


class CasesFailedError(FracSegError):
    """The list was worked through, and at least one case could not be done."""

    code = "cases_failed"
    exit_status = 5


class Watcher(Protocol):
    """Is notified of the progress of a list."""

    def on_case_started(self, name: str, number: int) -> None:
        """Case `number` (1 = first of the list) was begun."""

    def on_case_event(self, name: str, event: Event) -> None:
        """Something happened in a case."""

    def on_case_finished(self, record: CaseRecord, finished_count: int) -> None:
        """A case is done or has failed; `finished_count` cases have come that far."""

    def on_warning(self, message: str) -> None:
        """Something is wrong that belongs to no case."""


class RunLog:
    """The records of all cases of a list, one per job.

    Args:
        out: the folder of all cases; exists.
        jobs: the cases, their names all different.
        watcher: notified of every case.
    """

    def __init__(self, out: Path, jobs: Sequence[CaseJob], watcher: Watcher) -> None:
        self.jobs = tuple(jobs)
        self.out = out
        self._watcher = watcher
        self._records = {job.name: waiting(job) for job in jobs}
        self._numbers = {job.name: number for number, job in enumerate(jobs, start=1)}
        self._is_summary_late = False

    @property
    def records(self) -> tuple[CaseRecord, ...]:
        """One record per case, in the order of the list."""
        return tuple(self._records.values())

    def open(self) -> None:
        """Write the first summary.

        Raises:
            EnvironmentProblemError: it cannot be written.
        """
        write_summary(self.out, self.records)

    def start(self, job: CaseJob) -> None:
        """A case is begun."""
        self._watcher.on_case_started(job.name, self._numbers[job.name])

    def happened(self, job: CaseJob, event: Event) -> None:
        """Something happened in a case."""
        self._watcher.on_case_event(job.name, event)

    def warn(self, message: str) -> None:
        """Report a problem that belongs to no case."""
        self._watcher.on_warning(message)

    def finish(self, record: CaseRecord) -> None:
        """Take in how a case went. A summary that cannot be written now does not stop the rest."""
        self._records[record.name] = record
        try:
            write_summary(self.out, self.records)
            self._is_summary_late = False
        except EnvironmentProblemError as error:
            if not self._is_summary_late:
                self._watcher.on_warning(str(error))
            self._is_summary_late = True
        counts = counts_of(self.records)
        self._watcher.on_case_finished(record, counts["done"] + counts["failed"])

    def close(self) -> None:
        """See that the summary is complete, and say if not every case is done.

        Raises:
            EnvironmentProblemError: the summary cannot be written.
            CasesFailedError: a case has failed.
        """
        if self._is_summary_late:
            write_summary(self.out, self.records)
        counts = counts_of(self.records)
        if failed := counts["failed"]:
            raise CasesFailedError(
                f"{failed} of {counts['cases']} {'case' if counts['cases'] == 1 else 'cases'} "
                "could not be done.",
                "summary.csv in the output folder says why; the same command tries them again.",
            )


def counts_of(records: Sequence[CaseRecord]) -> dict[str, int]:
    """How many cases there are, are done (of those: kept from earlier), failed and wait."""
    statuses = Counter(record.status for record in records)
    return {
        "cases": len(records),
        "done": statuses["done"],
        "kept": sum(record.is_kept for record in records),
        "failed": statuses["failed"],
        "waiting": statuses["waiting"],
    }


def write_summary(out: Path, records: Sequence[CaseRecord]) -> None:
    """Write both files, each whole or not at all.

    Args:
        out: the folder of all cases; exists.
        records: one per case, in the order of the list.

    Raises:
        EnvironmentProblemError: they cannot be written.
    """
    try:
        # In this order: a table without the file that says whose it is would be taken as foreign.
        _replace(out / JSON_NAME, _json(records))
        _replace(out / TABLE_NAME, _table(records))
    except OSError as error:
        raise EnvironmentProblemError(
            "The summary could not be written.",
            "Check the disk and that you may write to the output folder.",
        ) from error


def prepare_folder(out: Path, inputs: Sequence[Path]) -> None:
    """Make the folder of all cases, or see that it is fit to be one.

    Args:
        out: the folder; missing parents are made too.
        inputs: all CTs and other files that will be read, and the list itself.

    Raises:
        OutputExistsError: it is something else, or lies inside an input.
        EnvironmentProblemError: it cannot be made.
    """
    target = out.resolve()
    summaries = {target / TABLE_NAME, target / JSON_NAME}
    for given in inputs:
        source = given.resolve()
        if source in {target, *target.parents, *summaries}:
            raise OutputExistsError(
                "The output folder is or lies inside an input.",
                "Choose an output folder apart from all inputs.",
            )
    if (out / REPORT_NAME).exists():
        raise OutputExistsError(
            "The output folder is the result of a single CT.", "Choose another output folder."
        )
    if any((out / name).exists() for name in (TABLE_NAME, JSON_NAME)) and not _is_ours(out):
        raise OutputExistsError(
            "The output folder holds a summary that FractureSegmentation did not write.",
            "Choose another output folder.",
        )
    try:
        out.mkdir(parents=True, exist_ok=True)
        for draft in out.glob(_DRAFTS):
            draft.unlink(missing_ok=True)
    except OSError as error:
        raise EnvironmentProblemError(
            "The output folder could not be made.", "Choose one that you may write to."
        ) from error


def record_entry(record: CaseRecord) -> dict[str, Any]:
    """A record as JSON values."""
    entry = asdict(record)
    entry["case"] = entry.pop("name")
    entry["warnings"] = list(record.warnings)
    entry["seconds"] = round(record.seconds, 2)
    return entry


def _is_ours(out: Path) -> bool:
    summary = read_json_object(out / JSON_NAME)
    return summary is not None and str(summary.get(SCHEMA_KEY)).startswith(SCHEMA_PREFIX)


def _table(records: Sequence[CaseRecord]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for record in records:
        writer.writerow(
            (
                record.name,
                record.line,
                record.status,
                "yes" if record.is_kept else "no",
                "" if record.fragment_count is None else record.fragment_count,
                f"{record.seconds:.1f}",
                " ".join(record.warnings),
                f"{record.error} {record.remedy}".strip(),
            )
        )
    return text.getvalue()


def _json(records: Sequence[CaseRecord]) -> str:
    summary = {
        SCHEMA_KEY: SCHEMA,
        "notice": DISCLAIMER,
        "software": {"name": "FractureSegmentation", "version": __version__},
        "counts": counts_of(records),
        "cases": [record_entry(record) for record in records],
    }
    return json.dumps(summary, indent=1, ensure_ascii=False) + "\n"


def _replace(path: Path, text: str) -> None:
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        draft.write_text(text, encoding="utf-8", errors="backslashreplace")
        os.replace(draft, path)  # noqa: PTH105 -- says that an existing file is replaced
    finally:
        draft.unlink(missing_ok=True)
