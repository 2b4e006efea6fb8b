"""What is registered when Slicer has started: sample data and terminologies. Nothing is loaded."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import slicer


def register(resources: Path) -> None:
    """Make sample data and terminologies known; a failure of one does not stop the others.

    Args:
        resources: the folder Resources of the module.
    """
    _attempt("sample data", lambda: _register_sample_data(resources))
    _attempt("terminologies", lambda: _load_terminologies(resources))
    _attempt("leftovers", _clear_leftovers)


def _attempt(what: str, action: Callable[[], Any]) -> None:
    try:
        action()
    except Exception as error:
        logging.warning("FractureSegmentation: no %s (%s).", what, type(error).__name__)


def _register_sample_data(resources: Path) -> None:
    from FractureSegmentationPanel.setup.sample_data import register as register_samples

    thumbnail = resources / "Icons" / "SamplePelvis.png"
    register_samples(thumbnail if thumbnail.is_file() else None)


def _load_terminologies(resources: Path) -> None:
    logic = slicer.modules.terminologies.logic()
    for path in sorted(resources.rglob("*.term.json")):
        is_region = path.name.startswith("Anatomic")
        load = logic.LoadRegionContextFromFile if is_region else logic.LoadTerminologyFromFile
        load(str(path))


def _clear_leftovers() -> None:
    from FractureSegmentationPanel.run.folder import clear_dead_sessions

    clear_dead_sessions()
