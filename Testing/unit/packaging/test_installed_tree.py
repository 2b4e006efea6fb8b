"""The library and the module file are found in every situation in which they are run."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from Testing.unit.packaging.installed_tree import (
    MODULE_FILE,
    install,
    installed_files,
    run_in_stub,
)

WHERE = "import FractureSegmentationLib; print(FractureSegmentationLib.__file__)"
LOAD = f"load_module(folder / {MODULE_FILE!r})"
# The part that needs real MRML is left to the tests that have it.
WALK = """
import importlib, pkgutil, FractureSegmentationLib
for found in pkgutil.walk_packages(FractureSegmentationLib.__path__, "FractureSegmentationLib."):
    if ".mrml" not in found.name:
        importlib.import_module(found.name)
        print(found.name)
from FractureSegmentationLib.networks.model_folder import shipped_model
for name in ("bones-coarse", "bones-fine", "fracsegmentator-small"):
    print((shipped_model(name) / "model.safetensors").is_file())
"""


@pytest.fixture(scope="module")
def installed(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The module folder of an installed extension, in a path with a space and an umlaut."""
    return install(repository, tmp_path_factory.mktemp("Slicer 5.12 für alle"))


def test_the_installed_library_is_the_one_that_is_imported(installed: Path) -> None:
    assert Path(run_in_stub(installed, WHERE).strip()).is_relative_to(installed)


def test_every_module_of_the_installed_library_imports_and_the_weights_are_found(
    installed: Path,
) -> None:
    """Nothing that an import needs was left out of the lists."""
    *imported, coarse, fine, fragments = run_in_stub(installed, WALK).split()
    package = installed / "FractureSegmentationLib"
    expected = {
        ".".join(file.relative_to(installed).with_suffix("").parts).removesuffix(".__init__")
        for file in package.rglob("*.py")
    }

    assert set(imported) == {
        name for name in expected if ".mrml" not in name and name != "FractureSegmentationLib"
    }
    assert coarse == fine == fragments == "True"


def test_the_installed_module_file_loads(installed: Path) -> None:
    printed = run_in_stub(installed, f"{LOAD}; {WHERE}")

    assert Path(printed.strip()).is_relative_to(installed)


def test_every_file_of_the_installed_panel_imports(installed: Path) -> None:
    names = [
        ".".join(target.with_suffix("").parts).removesuffix(".__init__")
        for target in sorted(installed_files(Path(__file__).parents[3]))
        if target.suffix == ".py" and target.parts[0] == "FractureSegmentationPanel"
    ]

    run_in_stub(
        installed, f"{LOAD}; import importlib; [importlib.import_module(n) for n in {names}]"
    )

    assert names


def test_resources_lie_where_the_module_file_looks_for_them(installed: Path) -> None:
    module = "FractureSegmentation"

    for name in (f"Icons/{module}.png", f"UI/{module}.ui", "requirements.txt"):
        assert (installed / "Resources" / name).is_file()


def test_the_command_line_of_the_installed_library_starts(installed: Path) -> None:
    """What the panel runs: PythonSlicer -m, with the module folder on PYTHONPATH."""
    done = subprocess.run(
        [sys.executable, "-m", "FractureSegmentationLib.cli.main", "segment", "--help"],
        check=False,
        capture_output=True,
        text=True,
        cwd=installed,
        env={**os.environ, "PYTHONPATH": str(installed)},
        timeout=60,
    )

    assert done.returncode == 0, done.stderr
    assert "--parent-pipe" in done.stdout


def test_the_source_tree_works_with_only_the_module_folder_on_the_path(repository: Path) -> None:
    """ "Additional module paths" names FractureSegmentation/; the library is its neighbour."""
    folder = repository / "FractureSegmentation"

    printed = run_in_stub(folder, f"{LOAD}; {WHERE}")

    assert Path(printed.strip()) == repository / "FractureSegmentationLib" / "__init__.py"


def test_the_source_tree_does_not_win_over_an_installed_library(
    repository: Path, installed: Path
) -> None:
    folder = repository / "FractureSegmentation"

    printed = run_in_stub(folder, f"sys.path.append({str(installed)!r}); {LOAD}; {WHERE}")

    assert Path(printed.strip()).is_relative_to(installed)


def test_loading_the_module_puts_nothing_before_the_packages_of_slicer(repository: Path) -> None:
    """The repository's root also holds Testing and other names; at the end they hide nothing."""
    folder = repository / "FractureSegmentation"

    printed = run_in_stub(
        folder, f"before = list(sys.path); {LOAD}; print(sys.path[: len(before)] == before)"
    )

    assert printed.split() == ["True"]


def test_a_module_file_without_its_library_says_so(repository: Path, tmp_path: Path) -> None:
    """The shim is what finds the library: a copy of the shell alone does not load."""
    shell = tmp_path / "FractureSegmentation"
    shutil.copytree(repository / "FractureSegmentation", shell)

    with pytest.raises(AssertionError, match="No module named 'FractureSegmentationLib'"):
        run_in_stub(shell, f"{LOAD}; {WHERE}")


def test_python_finds_the_library_of_a_checkout_or_a_pip_installation(repository: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", WHERE],
        capture_output=True,
        text=True,
        cwd=repository,
        check=True,
        timeout=60,
    )

    assert Path(done.stdout.strip()).name == "__init__.py"


def test_what_slicer_installs_of_the_library_pip_installs_too(repository: Path) -> None:
    """The patterns of package-data in pyproject.toml cover every resource in the CMake list."""
    tomllib = pytest.importorskip("tomllib")
    settings = tomllib.loads((repository / "pyproject.toml").read_text(encoding="utf-8"))
    patterns = settings["tool"]["setuptools"]["package-data"]["FractureSegmentationLib"]
    package = repository / "FractureSegmentationLib"
    covered = {file for pattern in patterns for file in package.glob(pattern) if file.is_file()}

    missing = {
        source
        for target, source in installed_files(repository).items()
        if target.parts[0] == "FractureSegmentationLib" and target.suffix != ".py"
    } - covered

    assert missing == set()
