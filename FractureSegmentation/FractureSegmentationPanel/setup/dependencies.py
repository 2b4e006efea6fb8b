"""Installs what a run needs, after consent, when it is needed; nothing happens at import.

PyTorch comes through Slicer's PyTorch extension, which picks the build for the GPU. It is never
imported into the application: only the child process of a run loads it.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import inspect
import logging
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import slicer
from slicer.i18n import tr as _

from FractureSegmentationLib.io.scratch import scratch_folder
from FractureSegmentationPanel.run.outcome import Outcome, failed
from FractureSegmentationPanel.setup.packages import (
    TORCH,
    held_versions,
    missing,
    read_requirements,
    slicer_packaging,
)

TORCH_EXTENSION = "PyTorch"
_TORCH_MODULE = "PyTorchUtils"
REQUIREMENTS_FILE = Path(__file__).resolve().parents[2] / "Resources" / "requirements.txt"
_REQUESTER = "Fracture Segmentation"

Confirm = Callable[[str], bool]


def ensure(
    requirements_file: Path = REQUIREMENTS_FILE, confirm: Confirm | None = None
) -> Outcome | None:
    """Install what is missing; call it when the user asks for a run.

    Args:
        requirements_file: packages besides PyTorch, one per line.
        confirm: asks a question; None asks with Slicer's own dialog.

    Returns:
        None when a run can begin; else why not: declined, missing_pytorch_extension,
        restart_needed, missing_packages or installation_failed. Declining changes nothing.
    """
    packages = missing(read_requirements(requirements_file))
    needs_torch = bool(missing((TORCH,)))
    if not packages and not needs_torch:
        return None
    # In testing mode every question counts as answered with yes.
    if slicer.app.testingEnabled():
        return _still_missing()
    confirm = confirm or _confirm
    if needs_torch and not _is_importable(_TORCH_MODULE):
        return _offer_extension(confirm)
    if not confirm(_question(packages, needs_torch)):
        return _declined()
    try:
        if packages:
            _install(packages)
        if needs_torch:
            _install_torch()
    except (subprocess.CalledProcessError, RuntimeError, OSError, ImportError, ValueError) as error:
        # The message and the trace may hold a path; what pip wrote is in Slicer's own log.
        name = type(error).__name__
        logging.error("FractureSegmentation: the installation failed (%s).", name)  # noqa: TRY400
        return _installation_failed()
    return _installation_failed() if missing((*packages, TORCH)) else None


def _is_importable(module: str) -> bool:
    # Slicer loads modules without the description that find_spec asks them for.
    return module in sys.modules or importlib.util.find_spec(module) is not None


def _question(packages: tuple[str, ...], needs_torch: bool) -> str:
    listed = [*packages, *([_("{torch} (up to 3 GB)").format(torch=TORCH)] if needs_torch else [])]
    text = _(
        "Fracture Segmentation needs these Python packages:\n\n{packages}\n\n"
        "They are downloaded from the Python package index and installed into Slicer. "
        "No data is sent. Install them now?"
    )
    return str(text.format(packages="\n".join(listed)))


def _offer_extension(confirm: Confirm) -> Outcome:
    manager = _extensions_manager()
    if manager is not None and manager.isExtensionInstalled(TORCH_EXTENSION):
        return _restart_needed()
    question = _(
        "Fracture Segmentation needs Slicer's PyTorch extension, which is not installed. "
        "Install it now? Slicer has to be restarted afterwards."
    )
    if manager is None or not confirm(question):
        return _missing_extension()
    # Restarting at once would lose what is in the scene.
    if not manager.installExtensionFromServer(TORCH_EXTENSION, False):
        return _missing_extension()
    return _restart_needed()


def _extensions_manager() -> Any:
    """Slicer's extensions manager; None where it was built without."""
    get_model = getattr(slicer.app, "extensionsManagerModel", None)
    return get_model() if callable(get_model) else None


def _install(packages: tuple[str, ...]) -> None:
    with scratch_folder() as folder:
        constraints = folder / "constraints.txt"
        constraints.write_text(held_versions(), encoding="utf-8")
        packaging = slicer_packaging()
        if packaging is None:
            slicer.util.pip_install(["-c", str(constraints), *packages])
            return
        wanted = {
            "constraints": str(constraints),
            "requester": _REQUESTER,
            "prompt_install": False,  # the user has just agreed, to PyTorch as well
        }
        packaging.pip_ensure(list(packages), **_known(packaging.pip_ensure, wanted))


def _install_torch() -> None:
    logic = importlib.import_module(_TORCH_MODULE).PyTorchUtilsLogic()
    options = {
        "askConfirmation": False,
        "torchVersionRequirement": TORCH.removeprefix("torch"),
    }
    with _torch_kept_outside(), _absent_torch_expected():
        logic.installTorch(**_known(logic.installTorch, options))


def _known(function: Callable[..., Any], options: dict[str, Any]) -> dict[str, Any]:
    """Those options that this version of a function takes."""
    parameters = inspect.signature(function).parameters
    takes_all = any(one.kind is one.VAR_KEYWORD for one in parameters.values())
    return {name: value for name, value in options.items() if takes_all or name in parameters}


@contextlib.contextmanager
def _torch_kept_outside() -> Iterator[None]:
    """Keep PyTorch out of the application, where its installer would load it at the end.

    Loaded, it would take memory and hold the GPU, and on Windows its files could not be replaced.
    """
    if "torch" in sys.modules:
        yield
        return
    sys.modules["torch"] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        if sys.modules.get("torch", "") is None:
            del sys.modules["torch"]


@contextlib.contextmanager
def _absent_torch_expected() -> Iterator[None]:
    try:
        yield
    except ImportError as error:
        if error.name != "torch":
            raise


def _confirm(question: str) -> bool:
    answer: bool = slicer.util.confirmOkCancelDisplay(question, _REQUESTER)
    return answer


def _declined() -> Outcome:
    return failed(
        "declined",
        _("Nothing was installed, so the segmentation cannot run."),
        _("Click Segment again when the packages may be installed."),
    )


def _missing_extension() -> Outcome:
    return failed(
        "missing_pytorch_extension",
        _("Slicer's PyTorch extension is not installed."),
        _("Install it with the Extensions Manager, restart Slicer, and click Segment again."),
    )


def _restart_needed() -> Outcome:
    return failed(
        "restart_needed",
        _("The PyTorch extension was installed and is not loaded yet."),
        _("Save your work, restart Slicer, and click Segment again."),
    )


def _still_missing() -> Outcome:
    return failed(
        "missing_packages",
        _("Python packages are missing."),
        _("They are installed when Slicer is not in testing mode."),
    )


def _installation_failed() -> Outcome:
    return failed(
        "installation_failed",
        _("The packages could not be installed."),
        _("Check the connection to the Internet and the log of Slicer, and try again."),
    )
