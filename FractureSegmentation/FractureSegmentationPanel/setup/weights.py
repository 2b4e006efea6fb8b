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
from FractureSegmentationPanel.setup.packages import TORCH, missing

MODELS_VARIABLE = "FRACSEG_MODELS"
SHIPPED_FOLDER = Path(FractureSegmentationLib.__file__).resolve().parent / "models"
METHOD_MODELS = {"fracsegmentator": "fracsegmentator-small"}
"""The model of every method. Written out, for the library's own list loads scipy."""
BONE_MODELS = ("bones-coarse", "bones-fine")


def weights_problem(settings: RunSettings) -> Outcome | None:
    """Why a run with these settings would fail for its models; None if they are whole."""
    needs_graph = bool(missing((TORCH,)))
    for name, folder in _wanted(settings):
        try:
            has_graph = _check(folder or _shipped(name))
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
        if needs_graph and not has_graph:
            return _needs_pytorch(name)
    return None


def _needs_pytorch(name: str) -> Outcome:
    message = _("The model {name} needs PyTorch, for it was not exported for ONNX Runtime.")
    return job_outcome.failed(
        MissingWeightsError.code,
        message.format(name=name),
        _("Install PyTorch under Advanced, or run “fracseg models export” on the model."),
    )


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


def _check(folder: Path) -> bool:
    """Whether a model, which is whole, holds the graph that ONNX Runtime takes."""
    spec = read_spec(folder)
    try:
        content = (folder / WEIGHTS_FILE).read_bytes()
    except FileNotFoundError as error:
        raise MissingWeightsError("absent") from error
    except OSError as error:
        raise EnvironmentProblemError("unreadable") from error
    if hashlib.sha256(content).hexdigest() != spec.sha256:
        raise DamagedWeightsError("not the ones it was published with")
    return bool(spec.onnx_sha256)
