"""Errors a user can act on: one clear sentence, one remedy, one exit status.

A bug of the caller is a `ValueError`; everything here is for the person who runs the program.
"""

from __future__ import annotations

import errno


class FracSegError(Exception):
    """A failure the user can do something about.

    Args:
        message: one sentence that says what is wrong. It holds no patient data and no input path.
        remedy: one sentence that says what to do.
    """

    code = "failed"
    exit_status = 1

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message} {self.remedy}".strip()


class InputError(FracSegError):
    """The input cannot be used, or the request is not possible as it was made."""

    code = "bad_input"
    exit_status = 2


class OutputExistsError(InputError):
    """The output folder is there already and may not be replaced."""

    code = "output_exists"


class NoBoneError(FracSegError):
    """No bone, or none of those asked for, was found in the CT."""

    code = "no_bone"
    exit_status = 3


class EnvironmentProblemError(FracSegError):
    """The machine stands in the way: disk, memory, an absent package."""

    code = "environment"
    exit_status = 4


class MissingWeightsError(EnvironmentProblemError):
    """A model folder or one of its files is not there."""

    code = "missing_weights"


class DamagedWeightsError(EnvironmentProblemError):
    """A model file is damaged, truncated or not one of ours; nothing of it was executed."""

    code = "damaged_weights"


class RunCancelledError(FracSegError):
    """The user asked the run to stop."""

    code = "cancelled"
    exit_status = 130


def memory_problem() -> EnvironmentProblemError:
    """What is reported when the computer's memory ran out, wherever that was."""
    return EnvironmentProblemError(
        "There is not enough memory for this CT.",
        "Close other programs, crop the CT to the bones of interest, or use a larger computer.",
    )


_CANNOT_WRITE = {
    errno.ENOSPC: "The output could not be written: the disk or device is full.",
    errno.EPIPE: "The output could not be written: the program that received it has ended.",
}
_OPTIONAL_PACKAGES = {"torch", "onnx", "onnxscript"}


def as_problem(error: BaseException) -> FracSegError:
    """What is reported to the user of any failure; of a bug, neither a path nor a patient."""
    if isinstance(error, FracSegError):
        return error
    if isinstance(error, MemoryError):
        return memory_problem()
    if isinstance(error, OSError) and error.errno in _CANNOT_WRITE:
        return EnvironmentProblemError(_CANNOT_WRITE[error.errno], "Send the output elsewhere.")
    if isinstance(error, ModuleNotFoundError) and error.name in _OPTIONAL_PACKAGES:
        return EnvironmentProblemError(
            f"The package {error.name}, which this needs, is not installed.",
            f"Install it with: pip install {error.name}.",
        )
    return FracSegError(unexpected_message(error), DEBUG_REMEDY)


DEBUG_REMEDY = "Run again with FRACSEG_DEBUG=1 and report what it prints."


def unexpected_message(error: BaseException) -> str:
    """What can be reported of a bug without a path or a patient: its type and its place."""
    trace = error.__traceback__
    place = ""
    while trace is not None:
        name = str(trace.tb_frame.f_globals.get("__name__", ""))
        if name.startswith(("FractureSegmentationLib", "fracseg_training")):
            place = f" in {name}, line {trace.tb_lineno}"
        trace = trace.tb_next
    return f"Something unexpected happened: {type(error).__name__}{place}."
