"""A Slicer whose packages a test decides on, for the tests of what is installed."""

from __future__ import annotations

import importlib.metadata
import sys
import types
from typing import Any

import pytest


class Slicer:
    """A Slicer whose packages a test decides on; what is asked and done is kept in order."""

    def __init__(self) -> None:
        self.installed: dict[str, str] = {"click": "8.1.7"}
        self.done: list[str] = []
        self.answers: list[bool] = []
        self.questions: list[str] = []

    def version(self, name: str) -> str:
        if name not in self.installed:
            raise importlib.metadata.PackageNotFoundError(name)
        return self.installed[name]

    def confirm(self, question: str) -> bool:
        self.questions.append(question)
        return self.answers.pop(0)

    def install(self, requirements: Any, **options: Any) -> None:
        self.done.append(f"pip {requirements} {sorted(options)}")
        for requirement in requirements:
            if not requirement.startswith("-") and "/" not in requirement:
                self.installed[requirement.partition(">=")[0]] = "99.0"


class TorchUtilsLogic:
    """As the extension of 2024: loads PyTorch at the end."""

    slicer: Slicer

    def installTorch(  # noqa: N802  the extension's spelling
        self,
        askConfirmation: bool = False,  # noqa: N803
        torchVersionRequirement: str | None = None,  # noqa: N803
    ) -> Any:
        assert not askConfirmation, "the user has been asked already"
        self.slicer.done.append(f"torch{torchVersionRequirement}")
        self.slicer.installed["torch"] = "2.13.0+cu128"
        import torch

        return torch


def slicer_before_5_12(patch: pytest.MonkeyPatch) -> Slicer:
    """Slicer 5.10: without slicer.packaging, with the PyTorch extension, without PyTorch."""
    import slicer

    some = Slicer()
    TorchUtilsLogic.slicer = some
    extension = types.ModuleType("PyTorchUtils")
    extension.PyTorchUtilsLogic = TorchUtilsLogic  # type: ignore[attr-defined]
    patch.setitem(sys.modules, "PyTorchUtils", extension)
    patch.setitem(sys.modules, "slicer.packaging", None)
    patch.setattr(importlib.metadata, "version", some.version)
    patch.setattr(slicer.util, "pip_install", some.install)
    patch.delitem(sys.modules, "torch", raising=False)
    return some
