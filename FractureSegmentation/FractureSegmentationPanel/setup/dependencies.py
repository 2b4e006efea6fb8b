"""Installs what a run needs, after consent, when it is needed; nothing happens at import.

That is a few small packages; what is installed already stays as it is.
"""

from __future__ import annotations

import inspect
import logging
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import slicer
from slicer.i18n import tr as _

from FractureSegmentationLib.io.temporary import scratch_folder
from FractureSegmentationPanel.run.outcome import Outcome, failed
from FractureSegmentationPanel.setup.packages import (
    DOWNLOAD_MB,
    held_versions,
    missing,
    name_of,
    slicer_packaging,
    wanted,
)

REQUIREMENTS_FILE = Path(__file__).resolve().parents[2] / "Resources" / "requirements.txt"
FAILURES = (subprocess.CalledProcessError, RuntimeError, OSError, ImportError, ValueError)
"""What installers raise when they fail."""
_REQUESTER = "Fracture Segmentation"

Confirm = Callable[[str], bool]


def ensure(
    requirements_file: Path = REQUIREMENTS_FILE, confirm: Confirm | None = None
) -> Outcome | None:
    """Install what is missing; call it when the user asks for a run.

    Args:
        requirements_file: packages, one per line.
        confirm: asks the one question; None asks with Slicer's own dialog.

    Returns:
        None when a run can begin; else why not: declined, missing_packages or
        installation_failed. Declining changes nothing.
    """
    packages = missing(wanted(requirements_file))
    if not packages:
        return None
    # In testing mode every question counts as answered with yes.
    if slicer.app.testingEnabled():
        return still_missing()
    if not (confirm or confirmed_in_dialog)(_question(packages)):
        return _declined()
    try:
        _install(packages)
    except FAILURES as error:
        report(error)
        return installation_failed()
    return installation_failed() if missing(packages) else None


def _question(packages: tuple[str, ...]) -> str:
    sizes = {package: DOWNLOAD_MB.get(name_of(package)) for package in packages}
    lines = [f"{name} ({size} MB)" if size else name for name, size in sizes.items()]
    text = _(
        "Fracture Segmentation needs these Python packages:\n\n{packages}\n\n"
        "At most {size} MB are downloaded from the Python package index and installed into Slicer. "
        "Packages that Slicer has already stay as they are. No data is sent. Install them now?"
    )
    total = sum(size or 0 for size in sizes.values())
    return str(text.format(packages="\n".join(lines), size=total))


def _install(packages: tuple[str, ...]) -> None:
    with scratch_folder() as folder:
        constraints = folder / "constraints.txt"
        constraints.write_text(held_versions(packages), encoding="utf-8")
        packaging = slicer_packaging()
        if packaging is None:
            # It shows nothing of its own.
            with slicer.util.WaitCursor():
                slicer.util.pip_install(["-c", str(constraints), *packages])
            return
        options = {
            "constraints": str(constraints),
            "requester": _REQUESTER,
            "prompt_install": False,  # the user has just agreed
        }
        packaging.pip_ensure(list(packages), **known(packaging.pip_ensure, options))


def known(function: Callable[..., Any], options: dict[str, Any]) -> dict[str, Any]:
    """Those options that this version of a function takes."""
    parameters = inspect.signature(function).parameters
    takes_all = any(one.kind is one.VAR_KEYWORD for one in parameters.values())
    return {name: value for name, value in options.items() if takes_all or name in parameters}


def report(error: BaseException) -> None:
    """Tell Slicer's log that an installation failed.

    The message and the trace may hold a path; what pip wrote is in the log already.
    """
    logging.error("FractureSegmentation: the installation failed (%s).", type(error).__name__)


def confirmed_in_dialog(question: str) -> bool:
    """Ask with Slicer's own dialog."""
    answer: bool = slicer.util.confirmOkCancelDisplay(question, _REQUESTER)
    return answer


def _declined() -> Outcome:
    return failed(
        "declined",
        _("Nothing was installed, so the segmentation cannot run."),
        _("Click Segment again when the packages may be installed."),
    )


def still_missing() -> Outcome:
    """Nobody could be asked."""
    return failed(
        "missing_packages",
        _("Python packages are missing."),
        _("They are installed when Slicer is not in testing mode."),
    )


def installation_failed() -> Outcome:
    """The installer raised, or has installed nothing."""
    return failed(
        "installation_failed",
        _("The packages could not be installed."),
        _("Check the connection to the Internet and the log of Slicer, and try again."),
    )
