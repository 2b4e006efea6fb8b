"""PyTorch, an offer: networks run faster with it on an NVIDIA card; without it, ONNX Runtime does.

It comes through Slicer's PyTorch extension, which picks the build for the GPU. It is never imported
into the application: only the child process of a run loads it.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import sys
from collections.abc import Iterator
from typing import Any

import slicer
from slicer.i18n import tr as _

from FractureSegmentationPanel.run.outcome import Outcome, failed
from FractureSegmentationPanel.setup.dependencies import (
    FAILURES,
    Confirm,
    confirmed_in_dialog,
    installation_failed,
    known,
    report,
    still_missing,
)
from FractureSegmentationPanel.setup.packages import TORCH, missing

TORCH_EXTENSION = "PyTorch"
_TORCH_MODULE = "PyTorchUtils"


def is_pytorch_installed() -> bool:
    """Whether the next run can use PyTorch; it is not loaded."""
    return not missing((TORCH,))


def install_pytorch(confirm: Confirm | None = None) -> Outcome | None:
    """Install PyTorch, and its extension before that; call it when the user asks for it.

    Args:
        confirm: asks the one question; None asks with Slicer's own dialog.

    Returns:
        None when PyTorch is there; else why not: declined, missing_pytorch_extension,
        restart_needed, missing_packages or installation_failed. Declining changes nothing.
    """
    if is_pytorch_installed():
        return None
    # In testing mode every question counts as answered with yes.
    if slicer.app.testingEnabled():
        return still_missing()
    confirm = confirm or confirmed_in_dialog
    if _is_importable(_TORCH_MODULE):
        return _install(confirm)
    return _install_extension(confirm)


def device_problem(device: str) -> Outcome | None:
    """Why a run cannot compute on a device: graphics cards are used through PyTorch."""
    if device.partition(":")[0] in {"auto", "cpu"} or is_pytorch_installed():
        return None
    return failed(
        "missing_pytorch",
        _("A graphics card is used through PyTorch, which is not installed."),
        _("Compute on Automatic or on the processor, or install PyTorch under Advanced."),
    )


def _is_importable(module: str) -> bool:
    # Slicer loads modules without the description that find_spec asks them for.
    return module in sys.modules or importlib.util.find_spec(module) is not None


def _extensions_manager() -> Any:
    """Slicer's extensions manager; None where it was built without."""
    get_model = getattr(slicer.app, "extensionsManagerModel", None)
    return get_model() if callable(get_model) else None


def _install(confirm: Confirm) -> Outcome | None:
    if not confirm(_question()):
        return _declined()
    try:
        _call_installer()
    except FAILURES as error:
        report(error)
        return installation_failed()
    return None if is_pytorch_installed() else installation_failed()


def _install_extension(confirm: Confirm) -> Outcome:
    manager = _extensions_manager()
    if manager is None:
        return _missing_extension()
    if manager.isExtensionInstalled(TORCH_EXTENSION):
        return _restart_needed()
    restart = _(
        "Slicer's PyTorch extension comes first: it is installed now, and PyTorch itself when you "
        "click here again after a restart."
    )
    if not confirm(_question(restart)):
        return _declined()
    # The user has just agreed; the manager would ask again.
    was_interactive, manager.interactive = manager.interactive, False
    try:
        # Restarting at once would lose what is in the scene.
        is_installed = manager.installExtensionFromServer(TORCH_EXTENSION, False)
    finally:
        manager.interactive = was_interactive
    return _restart_needed() if is_installed else _missing_extension()


def _question(more: str = "") -> str:
    text = _(
        "With PyTorch a segmentation is much faster on an NVIDIA graphics card; on other computers "
        "there is little difference. Up to 3 GB are downloaded and installed into Slicer. No data "
        "is sent."
    )
    return "\n\n".join(one for one in (text, more, _("Install PyTorch?")) if one)


def _call_installer() -> None:
    logic = importlib.import_module(_TORCH_MODULE).PyTorchUtilsLogic()
    options = {
        "askConfirmation": False,
        "torchVersionRequirement": TORCH.removeprefix("torch"),
    }
    with _torch_kept_outside(), _absent_torch_expected():
        logic.installTorch(**known(logic.installTorch, options))


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


def _declined() -> Outcome:
    return failed("declined", _("PyTorch was not installed."), _("Segment works without it."))


def _missing_extension() -> Outcome:
    return failed(
        "missing_pytorch_extension",
        _("Slicer's PyTorch extension could not be installed."),
        _("Install it with the Extensions Manager and restart Slicer. Segment works without it."),
    )


def _restart_needed() -> Outcome:
    return failed(
        "restart_needed",
        _("The PyTorch extension was installed and is not loaded yet."),
        _("Save your work, restart Slicer, and click Install PyTorch again."),
    )
