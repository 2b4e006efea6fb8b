"""What the panel loads at start is in every Slicer: its imports outside functions are read."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

MODULE = "FractureSegmentation"
PANEL = "FractureSegmentationPanel"
LIBRARY = "FractureSegmentationLib"
IN_EVERY_SLICER = {
    *sys.stdlib_module_names,
    *("SimpleITK", "ctk", "numpy", "qt", "scipy", "slicer", "vtk", "vtkmodules"),
}

Sources = dict[str, str]
"""Text of modules by full name."""


@pytest.fixture(scope="module")
def sources(repository: Path) -> Sources:
    """The module file, the panel and the library."""
    roots = {repository / MODULE: (MODULE, PANEL), repository: (LIBRARY,)}
    return {
        ".".join(file.relative_to(root).with_suffix("").parts).removesuffix(".__init__"): (
            file.read_text(encoding="utf-8")
        )
        for root, names in roots.items()
        for name in names
        for file in [*root.glob(f"{name}.py"), *(root / name).rglob("*.py")]
    }


def at_file_scope(statements: Iterable[ast.stmt]) -> Iterator[ast.Import | ast.ImportFrom]:
    """Imports that run when a module is loaded; not those for types only."""
    for statement in statements:
        if isinstance(statement, (ast.Import, ast.ImportFrom)):
            yield statement
        elif isinstance(statement, ast.If):
            if not ast.unparse(statement.test).endswith("TYPE_CHECKING"):
                yield from at_file_scope(statement.body)
            yield from at_file_scope(statement.orelse)
        elif isinstance(statement, ast.Try):
            handled = [line for handler in statement.handlers for line in handler.body]
            rest = [*statement.orelse, *statement.finalbody]
            yield from at_file_scope([*statement.body, *handled, *rest])
        elif isinstance(statement, (ast.With, ast.ClassDef)):
            yield from at_file_scope(statement.body)


def imported_by(sources: Sources, name: str) -> Iterator[str]:
    """What a module imports at file scope; `from package import module` counts as the module."""
    for statement in at_file_scope(ast.parse(sources[name]).body):
        if isinstance(statement, ast.Import):
            yield from (alias.name for alias in statement.names)
            continue
        assert not statement.level, f"{name}: a relative import"
        base = statement.module or ""
        for alias in statement.names:
            full = f"{base}.{alias.name}"
            yield full if full in sources else base


def loaded_with(sources: Sources, start: Iterable[str]) -> set[str]:
    """Our own modules that are loaded with `start`, their packages included."""
    seen: set[str] = set()
    waiting = list(start)
    while waiting:
        parts = waiting.pop().split(".")
        names = {".".join(parts[: length + 1]) for length in range(len(parts))}
        for name in (names & sources.keys()) - seen:
            seen.add(name)
            waiting.extend(imported_by(sources, name))
    return seen


def foreign_imports(sources: Sources, start: Iterable[str]) -> list[str]:
    """Imports of packages that a Slicer need not have, "module imports package"."""
    return sorted(
        f"{name} imports {package}"
        for name in loaded_with(sources, start)
        for target in imported_by(sources, name)
        for package in [target.partition(".")[0]]
        if target not in sources and package not in IN_EVERY_SLICER
    )


def test_the_panel_loads_only_what_every_slicer_has(sources: Sources) -> None:
    panel = [name for name in sources if name.partition(".")[0] in (MODULE, PANEL)]

    assert MODULE in panel
    assert any(name.startswith(LIBRARY) for name in loaded_with(sources, panel))
    assert foreign_imports(sources, panel) == []


def test_what_shows_fragments_in_the_scene_needs_nothing_to_be_installed(sources: Sources) -> None:
    """The panel loads these at a click; only DICOM SEG adds pydicom, which Slicer brings."""
    parts = [f"{LIBRARY}.{part}" for part in ("mrml", "editing", "planning", "results")]
    names = [name for name in sources if name.startswith(tuple(f"{part}." for part in parts))]

    assert names
    found = foreign_imports(sources, names)
    assert [line for line in found if not line.endswith(" imports pydicom")] == []


# The check itself.


def test_a_package_is_found_two_modules_away_and_in_a_package_file() -> None:
    sources = {
        MODULE: f"from {LIBRARY}.io import read\n",
        LIBRARY: "",
        f"{LIBRARY}.io": "import pydicom.dataset\n",
        f"{LIBRARY}.io.read": f"import numpy as np\nfrom {LIBRARY}.mesh import closed\n",
        f"{LIBRARY}.mesh": "try:\n    import torch\nexcept ImportError:\n    import cc3d\n",
    }

    assert foreign_imports(sources, [MODULE]) == [
        f"{LIBRARY}.io imports pydicom",
        f"{LIBRARY}.mesh imports cc3d",
        f"{LIBRARY}.mesh imports torch",
    ]


def test_lazy_imports_and_those_for_types_are_free() -> None:
    text = (
        "from typing import TYPE_CHECKING\n"
        "if TYPE_CHECKING:\n    import torch\n"
        "def run():\n    import highdicom\n"
    )

    assert foreign_imports({MODULE: text}, [MODULE]) == []
