"""Errors a user can act on: one clear sentence, one remedy, one exit status.

A bug of the caller is a `ValueError`; everything here is for the person who runs the program.
"""

from __future__ import annotations


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
