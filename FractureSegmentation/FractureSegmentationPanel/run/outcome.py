"""How a run ended, in words for the panel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from slicer.i18n import tr as _

from FractureSegmentationPanel.run.events import ErrorReport

OutcomeKind = Literal["done", "cancelled", "failed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The end of a run, or why it did not begin.

    Attributes:
        kind: done, cancelled or failed.
        result: the payload of the result event (see `FractureSegmentationLib/protocol.py`);
            None unless done.
        code: "" when done. What the child reported (bad_input, no_bone, environment,
            missing_weights, damaged_weights, cancelled, failed), or: already_running,
            failed_to_start, crashed, no_result, other_version, declined, missing_pytorch,
            missing_pytorch_extension, restart_needed, missing_packages, installation_failed,
            no_working_folder, application_quit.
        message: one sentence; "" when done.
        remedy: what the user can do; may be "".
    """

    kind: OutcomeKind
    result: dict[str, Any] | None = None
    code: str = ""
    message: str = ""
    remedy: str = ""

    @property
    def text(self) -> str:
        """Message and remedy in one line."""
        return f"{self.message} {self.remedy}".strip()


def done(result: dict[str, Any]) -> Outcome:
    """The result folder is there."""
    return Outcome(kind="done", result=result)


def cancelled(code: str = "cancelled") -> Outcome:
    """The user, or the end of the application, stopped the run."""
    return Outcome(
        kind="cancelled",
        code=code,
        message=_("The run was cancelled."),
        remedy=_("The scene is as it was."),
    )


def failed(code: str, message: str, remedy: str = "") -> Outcome:
    """Anything else."""
    return Outcome(kind="failed", code=code, message=message, remedy=remedy)


def reported(error: ErrorReport) -> Outcome:
    """What the child itself reported; remedies that speak of options speak of the panel here."""
    if error.code == "cancelled":
        return cancelled()
    remedies = {
        "no_bone": _("Check the volume, or choose other bones or a bone segmentation."),
        "missing_weights": reinstall_remedy(),
        "damaged_weights": reinstall_remedy(),
        "failed": _("Look at the log, and report it if it happens again."),
    }
    remedy = remedies.get(error.code, error.remedy)
    return failed(error.code, error.message or _("The segmentation failed."), remedy)


def reinstall_remedy() -> str:
    """What helps against models that are absent or damaged."""
    remedy: str = _(
        "Install the extension again with the Extensions Manager, or choose a model folder."
    )
    return remedy


def already_running() -> Outcome:
    """The second click; the first run goes on."""
    return failed(
        "already_running",
        _("A segmentation is running."),
        _("Wait until it is done, or cancel it."),
    )


def failed_to_start() -> Outcome:
    """The system could not start the child."""
    return failed(
        "failed_to_start",
        _("The segmentation could not be started."),
        _("Check that PythonSlicer is in the folder of Slicer and may be run."),
    )


def no_working_folder() -> Outcome:
    """The folder for the child's files could not be made or filled."""
    return failed(
        "no_working_folder",
        _("The temporary folder of this computer cannot be written to."),
        _("Free some space on its disk, and check its permissions."),
    )


def crashed(exit_status: int) -> Outcome:
    """The child ended without a report: killed by the system, or a fault in a driver."""
    message = _("The segmentation stopped unexpectedly (status {status}).")
    return failed(
        "crashed",
        message.format(status=exit_status),
        _("Look at the log. If memory ran out, close other programs or crop the volume."),
    )


def package_absent(name: str) -> Outcome:
    """The child could not import what it needs."""
    message = _("The Python package {name} is missing.")
    return failed(
        "missing_packages",
        message.format(name=name),
        _("Restart Slicer and click Segment again, so that it is installed."),
    )


def no_result() -> Outcome:
    """The child ended with status 0 and reported nothing."""
    return failed(
        "no_result",
        _("The segmentation ended without a result."),
        _("Look at the log, and report it if it happens again."),
    )


def other_version() -> Outcome:
    """The library that ran is not the one that this panel belongs to."""
    return failed(
        "other_version",
        _("The installed library does not fit this panel."),
        _("Install the extension again with the Extensions Manager, and restart Slicer."),
    )
