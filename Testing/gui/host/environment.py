"""Names that exist only while a host is in use: modules in `sys.modules`, attributes of `slicer`.

Other tests of the same process build their own `slicer.mrmlScene`; what was there before comes
back when a host is put aside.
"""

from __future__ import annotations

import sys
import types
from typing import Any

import slicer

ABSENT = object()


class Environment:
    """A set of names, in place between `enter` and `leave`."""

    def __init__(self) -> None:
        self.modules: dict[str, types.ModuleType] = {}
        self.attributes: dict[str, Any] = {}
        self._modules_before: dict[str, Any] = {}
        self._attributes_before: dict[str, Any] = {}
        self._path_before: list[str] = []
        self._hook_before: Any = None
        self._imported_before: dict[str, Any] = {}
        self.is_entered = False

    def enter(self, exception_hook: Any) -> None:
        """Put the names in place; exceptions that Qt cannot pass on go to `exception_hook`."""
        if self.is_entered:
            return
        self._modules_before = {name: sys.modules.get(name, ABSENT) for name in self.modules}
        self._attributes_before = {name: vars(slicer).get(name, ABSENT) for name in self.attributes}
        self._path_before = list(sys.path)
        self._hook_before = sys.excepthook
        self._imported_before = dict(sys.modules)
        sys.modules.update(self.modules)
        vars(slicer).update(self.attributes)
        sys.excepthook = exception_hook
        self.is_entered = True

    def leave(self) -> None:
        """Bring back what was there before."""
        if not self.is_entered:
            return
        self._undo_reloads()
        for name, before in self._modules_before.items():
            if before is ABSENT:
                sys.modules.pop(name, None)
            else:
                sys.modules[name] = before
        for name, before in self._attributes_before.items():
            if before is ABSENT:
                vars(slicer).pop(name, None)
            else:
                setattr(slicer, name, before)
        sys.path[:] = self._path_before
        sys.excepthook = self._hook_before
        self.is_entered = False

    def _undo_reloads(self) -> None:
        """Give back packages that a module imported anew, whole: two copies do not mix.

        "Reload" in Slicer drops a module's own packages; tests that run later in this process
        hold classes of the copies from before.
        """
        before = self._imported_before
        reloaded = {
            _package(name)
            for name, module in before.items()
            if name not in self.modules and sys.modules.get(name) is not module
        }
        for name in list(sys.modules):
            if _package(name) in reloaded and name not in self.modules:
                del sys.modules[name]
        for name, module in before.items():
            if _package(name) in reloaded and name not in self.modules:
                sys.modules[name] = module
                _forget_later_children(module, before)


def _package(name: str) -> str:
    return name.partition(".")[0]


def _forget_later_children(module: Any, before: dict[str, Any]) -> None:
    """A package offers its submodules as attributes, also those that are no longer imported."""
    for child, value in list(vars(module).items()):
        full_name = f"{module.__name__}.{child}"
        is_child = isinstance(value, types.ModuleType) and value.__name__ == full_name
        if is_child and full_name not in before:
            delattr(module, child)
