"""`--progress json`, version 1: what a program that starts `fracseg segment` reads and writes.

One JSON object per line on stdout, UTF-8, nothing else. Every object has `event`:

    started   {"protocol": 1, "version": "0.1.0"}            always first
    progress  {"stage": "fragments", "value": 0.42}          value of the whole run, never falls
    log       {"stage": ..., "message": ...}
    warning   {"stage": ..., "message": ...}                 for the user to see
    result    see `result_event`                             last, exit status 0
    error     {"code", "message", "remedy", "exit_status"}   last, exit status not 0

Stages: read, bones, fragments, write. A reader ignores events and keys that it does not know; the
version rises when one that exists changes its meaning.

Error codes and their exit status:

    failed           1    unexpected; a bug
    bad_input        2    the input or a setting cannot be used
    output_exists    2    the result folder is there and may not be replaced
    no_bone          3    no bone, or none of those asked for
    environment      4    disk, memory, device, an absent package
    missing_weights  4    a model is not there
    damaged_weights  4    a model is damaged or foreign; nothing of it was executed
    cancelled        130  on request; nothing was written

A list of CTs (`segment --list`, `batch`) adds:

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

The line `cancel` on stdin stops the run within two seconds. With `--parent-pipe`, so does the end
of stdin, which comes when the program that started the run has died.
"""

from __future__ import annotations

import errno
import json
import os
import sys
from typing import TYPE_CHECKING, Any, TextIO

from FractureSegmentationLib import __version__
from FractureSegmentationLib.errors import FracSegError, RunCancelledError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from FractureSegmentationLib.progress import Event

VERSION = 1
CANCEL_LINE = "cancel"


def started_event() -> dict[str, Any]:
    """The first event."""
    return {"event": "started", "protocol": VERSION, "version": __version__}


def progress_event(event: Event) -> dict[str, Any]:
    """A progress, log or warning event of a run."""
    if event.kind == "progress":
        return {"event": "progress", "stage": event.stage, "value": round(event.value, 4)}
    return {"event": event.kind, "stage": event.stage, "message": event.message}


def result_event(summary: Mapping[str, Any]) -> dict[str, Any]:
    """What was found; the files are in the folder that the caller named.

    Args:
        summary: `SegmentResult.summary()`: `fragment_count`, `numbering`, `device`, `precision`,
            `seconds` per stage, `warnings`, and `bones`: per bone its slug and the labels of its
            fragments, largest first.
    """
    return {"event": "result", "protocol": VERSION, **summary}


def error_event(error: FracSegError) -> dict[str, Any]:
    """A failure that the user can act on."""
    return {
        "event": "error",
        "code": error.code,
        "message": error.message,
        "remedy": error.remedy,
        "exit_status": error.exit_status,
    }


def send(event: dict[str, Any], stream: TextIO | None = None) -> None:
    """Write one event as one line, at once.

    Raises:
        RunCancelledError: nobody reads the events any more; that is reported once, later ones go
            nowhere.
        OSError: they cannot be written for another reason, e.g. into a file on a full disk.
    """
    stream = stream or sys.stdout
    try:
        stream.write(json.dumps(event, ensure_ascii=True) + "\n")
        stream.flush()
    except OSError as error:
        _silence(stream)
        # Windows calls a pipe without a reader an invalid argument.
        if error.errno not in {errno.EPIPE, errno.EINVAL}:
            raise
        raise RunCancelledError(
            "The program that started the run has gone.", "Nothing was written."
        ) from error


def _silence(stream: TextIO) -> None:
    """Let what is written from now on, also by the interpreter at its end, go nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
