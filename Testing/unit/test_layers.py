"""The library is layered, and heavy dependencies are imported only where they are allowed.

The imports are read from the source with `ast`, those inside functions included. A new top-level
module of the library enters `LAYERS`; nothing else needs an entry.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

LIBRARY = "FractureSegmentationLib"
TRAINING = "fracseg_training"
PANEL = "FractureSegmentationPanel"

# Lowest first. A module imports from its own layer and from those below it.
LAYERS: tuple[frozenset[str], ...] = (
    frozenset({"types", "errors"}),
    frozenset({"progress", "protocol", "anatomy", "geometry"}),
    frozenset({"volume"}),
    frozenset({"voxels"}),
    frozenset({"io", "mesh"}),
    frozenset({"instances", "networks", "results", "planning"}),
    frozenset({"evaluation", "inference", "preview", "export", "editing"}),
    frozenset({"methods", "bones", "config", "mrml"}),
    frozenset({"pipeline"}),
    frozenset({"batch"}),
    frozenset({"cli"}),
)
# The packages of the 3D Slicer panel, lowest first.
PANEL_LAYERS = ("run", "setup", "logic", "sections")
LAYER_OF = {part: layer for layer, parts in enumerate(LAYERS) for part in parts}

# Package: the parts of the library that may import it. Every other third-party package is free.
ALLOWED_IN = {
    "torch": frozenset({"networks", "inference"}),
    "onnx": frozenset({"networks"}),
    "onnxruntime": frozenset({"inference"}),
    "vtk": frozenset({"mesh", "preview", "mrml"}),
    "vtkmodules": frozenset({"mesh", "preview", "mrml"}),
    "slicer": frozenset({"mrml"}),
    "totalsegmentator": frozenset({"bones"}),
    "highdicom": frozenset({"export"}),
    "dask": frozenset({"batch"}),
    "distributed": frozenset({"batch"}),
    "matplotlib": frozenset({"evaluation"}),
    "qt": frozenset[str](),
    "ctk": frozenset[str](),
}
DECLARED = frozenset(
    {
        "SimpleITK",
        "cc3d",
        "click",
        "edt",
        "numpy",
        "pydicom",
        "safetensors",
        "scipy",
        *ALLOWED_IN,
    }
)


@dataclass(frozen=True)
class Import:
    """One arrow: module `source` imports `target` (full dotted names)."""

    source: str
    target: str
    is_for_types_only: bool


def module_name(root: Path, file: Path) -> str:
    parts = file.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def modules_of(root: Path, package: str) -> dict[str, Path]:
    return {module_name(root, file): file for file in sorted((root / package).rglob("*.py"))}


def type_checking_nodes(tree: ast.Module) -> set[int]:
    blocks = (
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")
    )
    return {id(inner) for block in blocks for line in block.body for inner in ast.walk(line)}


def imports_of(name: str, file: Path, known: Iterable[str]) -> Iterator[Import]:
    """Every import of a module; `from package import module` counts as one of the module."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    types_only = type_checking_nodes(tree)
    known = set(known)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            targets = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                package = name if file.name == "__init__.py" else name.rpartition(".")[0]
                parents = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*parents, *([node.module] if node.module else [])])
            targets = [
                full if (full := f"{base}.{alias.name}") in known else base for alias in node.names
            ]
        else:
            continue
        for target in targets:
            yield Import(name, target, id(node) in types_only)


def all_imports(root: Path, *packages: str) -> list[Import]:
    modules = {
        name: file for package in packages for name, file in modules_of(root, package).items()
    }
    return [arrow for name, file in modules.items() for arrow in imports_of(name, file, modules)]


def part_of(module: str) -> str:
    """The library's part that holds a module: 'io' for FractureSegmentationLib.io.dicom.series."""
    return [*module.split("."), ""][1]


def prefix_of(module: str) -> str:
    """Like `part_of`; mesh_smoothing.py or preview_raster.py belong to mesh and preview."""
    return part_of(module).partition("_")[0]


def layer_of(module: str) -> int:
    part = part_of(module)
    return LAYER_OF[part] if part in LAYER_OF else LAYER_OF[prefix_of(module)]


def upward_arrows(arrows: Iterable[Import]) -> list[str]:
    inside = [a for a in arrows if a.source.startswith(LIBRARY) and a.target.startswith(LIBRARY)]
    return [
        f"{a.source} imports {a.target}"
        for a in inside
        if part_of(a.source) and part_of(a.target) and layer_of(a.target) > layer_of(a.source)
    ]


def upward_panel_arrows(arrows: Iterable[Import]) -> list[str]:
    """Imports within the panel from a package above; a module outside the packages is an error."""
    return [
        f"{a.source} imports {a.target}"
        for a in arrows
        if part_of(a.source)
        and a.target.startswith(f"{PANEL}.")
        and PANEL_LAYERS.index(part_of(a.target)) > PANEL_LAYERS.index(part_of(a.source))
    ]


def circle(arrows: Iterable[Import]) -> list[str]:
    """One circle of modules, or nothing; a package imported by its own module is no circle."""
    graph: dict[str, set[str]] = {}
    for arrow in arrows:
        if not arrow.source.startswith(f"{arrow.target}."):
            graph.setdefault(arrow.source, set()).add(arrow.target)
    finished: set[str] = set()

    def visit(module: str, path: list[str]) -> list[str]:
        if module in path:
            return [*path[path.index(module) :], module]
        if module in finished:
            return []
        for target in sorted(graph.get(module, ())):
            if result := visit(target, [*path, module]):
                return result
        finished.add(module)
        return []

    return next((result for module in sorted(graph) if (result := visit(module, []))), [])


def misplaced_imports(arrows: Iterable[Import]) -> list[str]:
    return [
        f"{arrow.source} imports {package}"
        for arrow in arrows
        if arrow.source.startswith(LIBRARY) and not arrow.is_for_types_only
        for package in [arrow.target.split(".")[0]]
        if package in ALLOWED_IN and prefix_of(arrow.source) not in ALLOWED_IN[package]
    ]


@pytest.fixture(scope="module")
def arrows(repository: Path) -> list[Import]:
    return all_imports(repository, LIBRARY, TRAINING)


def test_every_part_of_the_library_has_a_layer(repository: Path) -> None:
    modules = [name for name in modules_of(repository, LIBRARY) if part_of(name)]

    homeless = {name for name in modules if not {part_of(name), prefix_of(name)} & LAYER_OF.keys()}

    assert not homeless


def test_nothing_in_the_library_imports_from_a_higher_layer(arrows: list[Import]) -> None:
    assert upward_arrows(arrows) == []


def test_no_module_imports_itself_in_a_circle(arrows: list[Import]) -> None:
    assert circle(arrows) == []


def test_the_packages_of_the_panel_import_downwards_only(repository: Path) -> None:
    arrows = all_imports(repository / "FractureSegmentation", PANEL)

    assert arrows
    assert upward_panel_arrows(arrows) == []
    assert circle(arrows) == []


def test_heavy_dependencies_are_imported_only_where_allowed(arrows: list[Import]) -> None:
    assert misplaced_imports(arrows) == []


def test_the_library_never_imports_the_training_package(arrows: list[Import]) -> None:
    result = [a for a in arrows if a.source.startswith(LIBRARY) and a.target.startswith(TRAINING)]

    assert result == []


def test_the_library_imports_only_what_it_declares(arrows: list[Import]) -> None:
    roots = {
        (arrow.source, arrow.target.split(".")[0])
        for arrow in arrows
        if arrow.source.startswith(LIBRARY) and not arrow.is_for_types_only
    }

    undeclared = {
        (source, root)
        for source, root in roots
        if root not in DECLARED | sys.stdlib_module_names | {LIBRARY}
    }

    assert not undeclared


# The checks themselves, on trees that break the rules.


def tree_of(root: Path, **files: str) -> list[Import]:
    for name, source in files.items():
        file = root / LIBRARY / f"{name.replace('__', '/')}.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(source, encoding="utf-8")
    return all_imports(root, LIBRARY)


def test_an_arrow_upward_is_found_even_inside_a_function(tmp_path: Path) -> None:
    arrows = tree_of(
        tmp_path, volume=f"def f():\n    from {LIBRARY}.io import sitk\n", io__sitk="x = 1\n"
    )

    assert upward_arrows(arrows) == [f"{LIBRARY}.volume imports {LIBRARY}.io.sitk"]


def test_a_relative_arrow_upward_is_found(tmp_path: Path) -> None:
    arrows = tree_of(tmp_path, io__sitk="from ..pipeline import segment\n", pipeline="")

    assert upward_arrows(arrows) == [f"{LIBRARY}.io.sitk imports {LIBRARY}.pipeline"]


def test_an_arrow_downward_is_allowed(tmp_path: Path) -> None:
    arrows = tree_of(tmp_path, pipeline=f"from {LIBRARY}.io import sitk\n", io__sitk="")

    assert upward_arrows(arrows) == []


def test_an_arrow_upward_in_the_panel_is_found() -> None:
    upward = Import(f"{PANEL}.run.job", f"{PANEL}.logic.segment", is_for_types_only=False)
    downward = Import(f"{PANEL}.logic.segment", f"{PANEL}.run.job", is_for_types_only=False)

    assert upward_panel_arrows([upward, downward]) == [f"{upward.source} imports {upward.target}"]


def test_a_circle_of_three_is_found(tmp_path: Path) -> None:
    arrows = tree_of(
        tmp_path,
        io__a=f"from {LIBRARY}.io import b\n",
        io__b=f"from {LIBRARY}.io.c import x\n",
        io__c=f"import {LIBRARY}.io.a\n",
    )

    assert circle(arrows) == [f"{LIBRARY}.io.{module}" for module in "abca"]


def test_torch_in_another_part_is_found_unless_only_types_need_it(tmp_path: Path) -> None:
    arrows = tree_of(
        tmp_path,
        evaluation__overlap="import torch.nn as nn\n",
        networks__blocks="from torch import nn\n",
        methods__one="from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import torch\n",
    )

    assert misplaced_imports(arrows) == [f"{LIBRARY}.evaluation.overlap imports torch"]
