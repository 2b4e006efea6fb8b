"""Checks the trained models before a run, so that an absent or damaged one is reported at once.

The child checks them again, and it alone loads them. PyTorch is not needed here.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from slicer.i18n import tr as _

import FractureSegmentationLib
from FractureSegmentationLib.errors import (
    DamagedWeightsError,
    EnvironmentProblemError,
    MissingWeightsError,
)
from FractureSegmentationLib.networks.model_spec import SPEC_FILE, WEIGHTS_FILE, read_spec
from FractureSegmentationPanel.run import outcome as job_outcome
from FractureSegmentationPanel.run.command import RunSettings
from FractureSegmentationPanel.run.outcome import Outcome

MODELS_VARIABLE = "FRACSEG_MODELS"
SHIPPED_FOLDER = Path(FractureSegmentationLib.__file__).resolve().parent / "models"
METHOD_MODELS = {"fracsegmentator": "fracsegmentator-small"}
"""The model of every method. Written out, for the library's own list loads scipy."""
BONE_MODELS = ("bones-coarse", "bones-fine")


def weights_problem(settings: RunSettings) -> Outcome | None:
    """Why a run with these settings would fail for its models; None if they are whole."""
    for name, folder in _wanted(settings):
        try:
            _check(folder or _shipped(name))
        except EnvironmentProblemError as error:
            message = {
                MissingWeightsError: _("The model {name} is not installed."),
                DamagedWeightsError: _("The model {name} is damaged."),
            }.get(type(error), _("The model {name} cannot be read."))
            remedy = (
                _("Choose another folder under Advanced, or empty it.")
                if folder is not None
                else job_outcome.reinstall_remedy()
            )
            return job_outcome.failed(error.code, message.format(name=name), remedy)
    return None


def _wanted(settings: RunSettings) -> list[tuple[str, Path | None]]:
    wanted = [(METHOD_MODELS.get(settings.method, settings.method), settings.model)]
    if settings.bones == "auto":
        folder = settings.bones_model
        wanted += [(name, folder / name if folder else None) for name in BONE_MODELS]
    return wanted


def _shipped(name: str) -> Path:
    added = os.environ.get(MODELS_VARIABLE, "").split(os.pathsep)
    for root in (*(Path(entry) for entry in added if entry), SHIPPED_FOLDER):
        if (root / name / SPEC_FILE).is_file():
            return root / name
    raise MissingWeightsError("absent")


def _check(folder: Path) -> None:
    spec = read_spec(folder)
    try:
        content = (folder / WEIGHTS_FILE).read_bytes()
    except FileNotFoundError as error:
        raise MissingWeightsError("absent") from error
    except OSError as error:
        raise EnvironmentProblemError("unreadable") from error
    if hashlib.sha256(content).hexdigest() != spec.sha256:
        raise DamagedWeightsError("not the ones it was published with")
