"""Stand-in for the PyTorch extension: the module `PyTorchUtils`, present or not, as told."""

from __future__ import annotations

import types
from dataclasses import dataclass, field
from typing import Any

import slicer


@dataclass
class TorchState:
    """What a test decides about PyTorch.

    Attributes:
        is_installed: what `torchInstalled()` says.
        failure: raised by `installTorch`, None when installing works.
        requests: keyword arguments of each `installTorch` that got past the question.
    """

    is_installed: bool = True
    failure: Exception | None = None
    requests: list[dict[str, Any]] = field(default_factory=list)


torch_state = TorchState()


class PyTorchUtilsLogic:
    """The part of the extension's logic that other extensions call."""

    @staticmethod
    def torchInstalled() -> bool:
        """Whether PyTorch can be imported."""
        return torch_state.is_installed

    def installTorch(
        self,
        askConfirmation: bool = False,
        forceComputationBackend: str | None = None,
        torchVersionRequirement: str | None = None,
        torchvisionVersionRequirement: str | None = None,
    ) -> Any:
        """Install PyTorch; None when the user says no."""
        if askConfirmation and not slicer.util.confirmOkCancelDisplay(
            "PyTorch will be downloaded and installed."
        ):
            return None
        torch_state.requests.append(
            {
                "forceComputationBackend": forceComputationBackend,
                "torchVersionRequirement": torchVersionRequirement,
                "torchvisionVersionRequirement": torchvisionVersionRequirement,
            }
        )
        if torch_state.failure is not None:
            raise torch_state.failure
        torch_state.is_installed = True
        return types.ModuleType("torch")


def make_pytorch_utils() -> types.ModuleType:
    """The module `PyTorchUtils`."""
    module = types.ModuleType("PyTorchUtils", "Stand-in for the PyTorch extension.")
    module.PyTorchUtilsLogic = PyTorchUtilsLogic
    return module
