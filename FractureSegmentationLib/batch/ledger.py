"""Keeps the records of a list while it is worked through, and the summary up to date."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from FractureSegmentationLib.batch.one_case import CaseJob, CaseRecord, waiting
from FractureSegmentationLib.batch.summary import counts_of, write_summary
from FractureSegmentationLib.errors import EnvironmentProblemError, FracSegError
from FractureSegmentationLib.progress import Event


class CasesFailedError(FracSegError):
    """The list was worked through, and at least one case could not be done."""

    code = "cases_failed"
    exit_status = 5


class Watcher(Protocol):
    """Is told how a list gets on."""

    def on_case_started(self, name: str, number: int) -> None:
        """Case `number` (1 = first of the list) was begun."""

    def on_case_event(self, name: str, event: Event) -> None:
        """Something happened in a case."""

    def on_case_finished(self, record: CaseRecord, finished_count: int) -> None:
        """A case is done or has failed; `finished_count` cases have come that far."""

    def on_warning(self, message: str) -> None:
        """Something is wrong that belongs to no case."""


class Ledger:
    """The records of all cases of a list, one per job.

    Args:
        out: the folder of all cases; exists.
        jobs: the cases, their names all different.
        watcher: told of every case.
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
        """Tell what is wrong beside the cases."""
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
