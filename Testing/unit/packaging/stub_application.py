"""Runs one statement in a Python that looks like Slicer's from the inside, with no Slicer there.

    python -S stub_application.py MODULE_FOLDER SITE_PACKAGES... STATEMENT

`slicer`, `qt`, `ctk` and `vtk` are stubs whose attributes are empty classes: enough to load a
module file and make its module object, and nothing that could be mistaken for a heavy package.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any


class _AnyClass(type):
    def __getattr__(cls, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        made = _AnyClass(name, (Stub,), {})
        setattr(cls, name, made)
        return made


class Stub(metaclass=_AnyClass):
    """Whatever is asked of it, it has; whatever it is told, it ignores."""

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        pass

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        value = Stub()
        setattr(self, name, value)
        return value

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        return Stub()


class StubModule(ModuleType):
    """A module with every attribute; only submodules that were put there can be imported."""

    def __init__(self, name: str, **attributes: Any) -> None:
        super().__init__(name)
        self.__path__: list[str] = []
        self.__dict__.update(attributes)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        made = _AnyClass(name, (Stub,), {})
        setattr(self, name, made)
        return made


class ScriptedBase:
    """Base of a module, widget, logic or test: remembers its parent."""

    def __init__(self, parent: Any = None) -> None:
        self.parent = parent


def install_stubs() -> None:
    bases = {
        f"ScriptedLoadableModule{kind}": type(f"ScriptedLoadableModule{kind}", (ScriptedBase,), {})
        for kind in ("", "Widget", "Logic", "Test")
    }
    stubs: dict[str, dict[str, Any]] = {
        "slicer.ScriptedLoadableModule": {**bases, "__all__": list(bases)},
        "slicer.i18n": {"tr": lambda text: text, "translate": lambda _context, text: text},
        "slicer.parameterNodeWrapper": {
            "parameterNodeWrapper": lambda decorated: decorated,
            "parameterPack": lambda decorated: decorated,
        },
        "slicer.util": {"VTKObservationMixin": type("VTKObservationMixin", (), {})},
    }
    for name in ("slicer", "qt", "ctk", "vtk"):
        sys.modules[name] = StubModule(name)
    for name, attributes in stubs.items():
        sys.modules[name] = StubModule(name, **attributes)
        setattr(sys.modules["slicer"], name.partition(".")[2], sys.modules[name])


def load_module(file: Path) -> ModuleType:
    """Load a module file and make its module object, as Slicer does at start-up."""
    spec = importlib.util.spec_from_file_location(file.stem, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[file.stem] = module
    spec.loader.exec_module(module)
    parent: Any = Stub()
    parent.path = str(file)
    getattr(module, file.stem)(parent)
    return module


if __name__ == "__main__":
    _, folder, *site_packages, statement = sys.argv
    # Slicer appends the folder of a module; the folder of this file would not be there.
    sys.path[:] = [*sys.path[1:], *site_packages, folder]
    install_stubs()
    exec(statement, {"folder": Path(folder), "load_module": load_module, "sys": sys})  # noqa: S102
