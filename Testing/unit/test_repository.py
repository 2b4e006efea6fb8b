"""The repository: packaging, constraints, the commands, and the size of modules and packages."""

from __future__ import annotations

import ast
import importlib
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

import FractureSegmentationLib

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PACKAGES = ("FractureSegmentationLib", "fracseg_training")
PYTHONS = ("3.10", "3.11", "3.12", "3.13")
PRODUCT = "FractureSegmentationLib/pipeline"
LONGEST_MODULE = 400
LONGEST_FUNCTION = 60
PANEL = "FractureSegmentation/FractureSegmentationPanel"
MOST_MODULES = 16
# Temporary: packages that are being divided.


@pytest.fixture(scope="module")
def project(repository: Path) -> dict[str, Any]:
    return tomllib.loads((repository / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def canonical(requirement: str) -> str:
    """Package name as pip compares it: 'SimpleITK>=2.3' becomes 'simpleitk'."""
    name = re.match(r"[\w.-]+", requirement)
    assert name is not None
    return re.sub(r"[-_.]+", "-", name.group()).lower()


def pins(repository: Path, python: str) -> dict[str, str]:
    lines = (repository / "constraints" / f"python{python}.txt").read_text().splitlines()
    return dict(line.split("==") for line in lines if not line.startswith("#"))


def test_the_supported_pythons_are_those_with_constraints(
    repository: Path, project: dict[str, Any]
) -> None:
    files = {file.stem.removeprefix("python") for file in (repository / "constraints").iterdir()}
    classified = {
        line.rsplit(" ", 1)[1] for line in project["classifiers"] if "Python :: 3." in line
    }

    assert files == classified == set(PYTHONS)
    assert project["requires-python"] == ">=3.10,<3.14"


@pytest.mark.parametrize("python", PYTHONS)
def test_every_dependency_is_pinned(repository: Path, project: dict[str, Any], python: str) -> None:
    wanted = {*project["dependencies"], *project["optional-dependencies"]["dev"]}

    assert {canonical(requirement) for requirement in wanted} <= pins(repository, python).keys()


@pytest.mark.parametrize("python", PYTHONS)
def test_every_pin_lies_in_the_range_that_the_project_states(
    repository: Path, project: dict[str, Any], python: str
) -> None:
    pinned = pins(repository, python)
    wanted = [
        Requirement(line)
        for line in (*project["dependencies"], *project["optional-dependencies"]["dev"])
    ]

    outside = [str(one) for one in wanted if pinned[canonical(one.name)] not in one.specifier]

    assert outside == []


def test_every_command_that_is_announced_exists(project: dict[str, Any]) -> None:
    announced = {
        **project["scripts"],
        **project["entry-points"]["fracseg.commands"],
    }

    for name, target in announced.items():
        module, _, attribute = target.partition(":")
        assert callable(getattr(importlib.import_module(module), attribute)), name


def test_the_version_is_three_numbers_and_opens_the_changelog(repository: Path) -> None:
    changelog = (repository / "CHANGELOG.md").read_text(encoding="utf-8")

    assert re.fullmatch(r"\d+\.\d+\.\d+", FractureSegmentationLib.__version__)
    assert re.search(r"^## \[(Unreleased|\d+\.\d+\.\d+)\]", changelog, re.MULTILINE)


def test_the_licence_is_the_full_text(repository: Path, project: dict[str, Any]) -> None:
    text = (repository / "LICENSE.txt").read_text(encoding="utf-8")

    assert project["license"] == "Apache-2.0"
    assert "TERMS AND CONDITIONS FOR USE, REPRODUCTION, AND DISTRIBUTION" in text
    assert "END OF TERMS AND CONDITIONS" in text


def test_the_citation_names_this_version_and_the_paper_of_the_method(
    repository: Path, project: dict[str, Any]
) -> None:
    yaml = pytest.importorskip("yaml", reason="PyYAML is not installed")
    citation = yaml.safe_load((repository / "CITATION.cff").read_text(encoding="utf-8"))
    readme = " ".join(
        (repository / "README.md").read_text(encoding="utf-8").replace(">", "").split()
    )
    (paper,) = citation["references"]

    assert citation["cff-version"] == "1.2.0"
    assert citation["authors"] == [{"name": "FractureSegmentation contributors"}]
    assert citation["version"] == FractureSegmentationLib.__version__
    assert citation["license"] == project["license"]
    assert "## How to cite" in readme
    assert f"version {FractureSegmentationLib.__version__}" in readme
    assert paper["title"] in readme
    authors = [f"{author['given-names']} {author['family-names']}" for author in paper["authors"]]
    assert ", ".join(authors) in readme


def sources(repository: Path) -> list[Path]:
    return [file for package in PACKAGES for file in sorted((repository / package).rglob("*.py"))]


def test_no_module_outgrows_one_idea(repository: Path) -> None:
    lengths = {
        str(file.relative_to(repository)): len(file.read_text(encoding="utf-8").splitlines())
        for file in sources(repository)
    }

    assert {name: n for name, n in lengths.items() if n > LONGEST_MODULE} == {}


def test_no_package_outgrows_a_page(repository: Path) -> None:
    counts = Counter(
        file.parent.relative_to(repository).as_posix()
        for package in (*PACKAGES, PANEL)
        for file in (repository / package).rglob("*.py")
        if file.name != "__init__.py"
    )

    assert {name: n for name, n in counts.items() if n > MOST_MODULES} == {}


def test_no_function_outgrows_a_screen(repository: Path) -> None:
    long = {
        f"{file.relative_to(repository)}:{node.lineno} {node.name}"
        for file in sources(repository)
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        and (node.end_lineno or 0) - node.lineno + 1 > LONGEST_FUNCTION
    }

    assert not long


def test_a_package_opens_with_a_docstring_and_exports_nothing_but_the_product(
    repository: Path,
) -> None:
    """`FractureSegmentationLib.pipeline` is what scripts import; it has one module to hand on."""
    for package in PACKAGES:
        for file in (repository / package).rglob("__init__.py"):
            tree = ast.parse(file.read_text(encoding="utf-8"))
            nodes = [n for n in ast.walk(tree) if isinstance(n, (ast.Import, ast.ImportFrom))]
            imported = [getattr(node, "module", "") for node in nodes]
            is_product = file.parent.relative_to(repository).as_posix() == PRODUCT
            assert ast.get_docstring(tree), file.parent.name
            assert imported == ([f"{PRODUCT.replace('/', '.')}.segment"] if is_product else [])


def test_every_folder_of_modules_is_a_package(repository: Path) -> None:
    """A folder without __init__.py works in a checkout and is missing from a wheel."""
    folders = {file.parent for file in sources(repository)}

    assert [folder.name for folder in folders if not (folder / "__init__.py").is_file()] == []


def test_test_files_have_names_of_their_own(repository: Path) -> None:
    names = [file.name for file in (repository / "Testing").rglob("test_*.py")]

    assert sorted(names) == sorted(set(names))


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("demo", r"fracseg phantom .*--seed 7\n(.*\n)*.*fracseg segment .*--device cpu"),
        ("test", r"-m pytest (.|\n)*--timeout="),
        ("mrml", r"slicer-core==5\.11(.|\n)*slicer-core==5\.12(.|\n)*-m pytest(.|\n)*Testing/mrml"),
        ("lint", r"ruff check \.\n(.*\n)*.*mypy"),
    ],
)
def test_the_makefile_would_run_what_the_readme_promises(
    repository: Path, target: str, words: str
) -> None:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("MAKE")}
    plan = subprocess.run(
        ["make", "--dry-run", "--always-make", target],
        cwd=repository,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )

    assert re.search(words, plan.stdout)


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
def test_the_check_script_is_executable_bash(repository: Path) -> None:
    script = repository / ".ci" / "run"

    subprocess.run(["bash", "-n", str(script)], check=True, timeout=60)

    assert script.stat().st_mode & 0o111
    assert script.read_text(encoding="utf-8").startswith("#!/usr/bin/env bash")
