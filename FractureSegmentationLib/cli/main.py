"""`fracseg`: finds a command by its name and turns failures into one sentence and an exit status.

Commands load when they are called, so that `fracseg --help` answers at once.
"""

from __future__ import annotations

import atexit
import contextlib
import importlib
import importlib.metadata
import io
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass

import click

from FractureSegmentationLib import __version__
from FractureSegmentationLib.errors import FracSegError, RunCancelledError, as_problem

TRAINING_GROUP = "fracseg.commands"
"""Entry points of this group are commands too; the training package declares them."""
UNEXPECTED, CANCELLED = FracSegError.exit_status, RunCancelledError.exit_status


@dataclass(frozen=True, slots=True)
class _Entry:
    """Where a command is and what it does, in a few words."""

    module: str
    attribute: str
    summary: str


_LIBRARY = "FractureSegmentationLib.cli"
COMMANDS: dict[str, _Entry] = {
    "segment": _Entry(f"{_LIBRARY}.segment", "segment", "Segment the bone fragments of a CT."),
    "batch": _Entry(f"{_LIBRARY}.batch", "batch", "Segment a list of CTs on a cluster."),
    "evaluate": _Entry(f"{_LIBRARY}.evaluate", "evaluate", "Compare a result with the truth."),
    "export": _Entry(
        f"{_LIBRARY}.export", "export", "Write the fragments in formats of other programs."
    ),
    "regroup": _Entry(
        f"{_LIBRARY}.regroup", "regroup", "Divide a result into more or fewer fragments."
    ),
    "info": _Entry(f"{_LIBRARY}.info", "info", "Say what a CT holds and what is wrong with it."),
    "models": _Entry(f"{_LIBRARY}.models", "models", "Export trained models for ONNX Runtime."),
    "networks": _Entry(f"{_LIBRARY}.networks", "networks", "List the networks and their sizes."),
}
_TRAINING_SUMMARIES = {
    "ablate": "Train a network without one of its parts.",
    "benchmark": "Measure accuracy and speed.",
    "phantom": "Make a CT of an artificial fractured pelvis.",
    "prepare": "Turn cases into training data.",
    "simulate": "Fracture the bones of a CT.",
    "train": "Train a fragment network.",
    "train-merging": "Train what judges which regions are one fragment.",
    "train-bones": "Train the networks that find the bones.",
}


class LazyGroup(click.Group):
    """Lists commands without loading them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names of all commands, our own first."""
        del ctx
        return [*COMMANDS, *sorted(set(_entry_points()) - set(COMMANDS))]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Load one command."""
        del ctx
        if cmd_name in COMMANDS:
            entry = COMMANDS[cmd_name]
            loaded = getattr(importlib.import_module(entry.module), entry.attribute)
        elif cmd_name in (points := _entry_points()):
            loaded = points[cmd_name].load()
        else:
            return None
        if not isinstance(loaded, click.Command):
            raise TypeError(f"the command {cmd_name} is not a click command")
        return loaded

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands from their summaries."""
        rows = [
            (
                name,
                COMMANDS[name].summary if name in COMMANDS else _TRAINING_SUMMARIES.get(name, ""),
            )
            for name in self.list_commands(ctx)
        ]
        with formatter.section("Commands"):
            formatter.write_dl(rows)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="fracseg")
def fracseg() -> None:
    """Segment the bone fragments of fracture CTs. Not for diagnosis: review every fragment."""


def main(args: Sequence[str] | None = None) -> None:
    """Run the command line and leave with its exit status.

    Args:
        args: the arguments; None takes those of the process.

    Raises:
        SystemExit: always. 0 done, 1 unexpected, 2 bad input or usage, 3 no bone, 4 the
            environment, 5 a case of a list failed, 130 cancelled.
    """
    cancelled: list[int] = []
    atexit.register(_end_now, cancelled)  # First in, last out: after all that others clean up.
    status = run(args)
    if status == CANCELLED:
        cancelled.append(status)
    sys.exit(status)


def run(args: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        args: the arguments; None takes those of the process.

    Returns:
        The exit status.
    """
    _print_any_name()
    try:
        _refuse_empty(sys.argv[1:] if args is None else args)
        status = fracseg.main(args=args, prog_name="fracseg", standalone_mode=False)
    except click.exceptions.Exit as leaving:
        return leaving.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("Cancelled.", err=True)
        return CANCELLED
    except Exception as error:
        if not isinstance(error, (FracSegError, MemoryError)) and os.environ.get("FRACSEG_DEBUG"):
            raise
        problem = as_problem(error)
        click.echo(f"Error: {problem}", err=True)
        return problem.exit_status
    return status if isinstance(status, int) else 0


def _print_any_name() -> None:
    """Let names of files be printed that no text encoding holds."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _refuse_empty(args: Sequence[str]) -> None:
    """An empty argument would stand for the current folder.

    Raises:
        click.UsageError: there is one.
    """
    if "" in args:
        raise click.UsageError(
            "An argument is empty. Check the variable or the quotation marks it comes from."
        )


def _end_now(statuses: Sequence[int]) -> None:
    """End a cancelled process at once; unloading torch and Dask would take longer than stopping."""
    if statuses:
        for stream in filter(None, (sys.stdout, sys.stderr)):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        os._exit(statuses[0])


def _entry_points() -> dict[str, importlib.metadata.EntryPoint]:
    return {point.name: point for point in importlib.metadata.entry_points(group=TRAINING_GROUP)}


if __name__ == "__main__":
    main()
