"""The extension configured, built, installed and packaged by CMake, with a stand-in for Slicer.

The stand-in (Testing/slicer/cmake) has the documented rules of Slicer's macros. What it cannot show
is that a real Slicer build accepts the result; MANUAL-CHECKLIST.md has that step.
"""

from __future__ import annotations

import shutil
import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from Testing.slicer.set_homepage import homepage
from Testing.unit.packaging.installed_tree import MODULE_FILE, installed_files, run_in_stub

TOOLS = ("cmake", "ctest", "cpack", "cc", "c++")
MODULES = Path("lib/Slicer-5.12/qt-scripted-modules")

pytestmark = pytest.mark.skipif(
    any(shutil.which(tool) is None for tool in TOOLS),
    reason="cmake or a compiler is not installed",
)


@dataclass(frozen=True)
class Built:
    """A build folder and what it installed."""

    build: Path
    installed: Path


def tool(*command: str | Path, cwd: Path) -> str:
    done = subprocess.run(
        [str(part) for part in command],
        check=False,
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=110,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def built(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Built:
    build = tmp_path_factory.mktemp("build")
    stand_in = repository / "Testing" / "slicer" / "cmake"
    tool("cmake", f"-DSlicer_DIR={stand_in}", repository, cwd=build)
    tool("cmake", "--build", ".", cwd=build)
    tool("cmake", "--install", ".", "--prefix", build / "installed", cwd=build)
    return Built(build, build / "installed")


def files_below(folder: Path) -> set[str]:
    return {file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file()}


def test_cmake_installs_the_files_of_the_lists_and_no_other(repository: Path, built: Built) -> None:
    expected = {(MODULES / target).as_posix() for target in installed_files(repository)}

    assert files_below(built.installed) == expected


def test_what_cmake_installed_is_whole(repository: Path, built: Built) -> None:
    different = [
        target
        for target, source in installed_files(repository).items()
        if (built.installed / MODULES / target).read_bytes() != source.read_bytes()
    ]

    assert different == []


def test_the_module_loads_from_what_cmake_installed(built: Built) -> None:
    modules = built.installed / MODULES

    printed = run_in_stub(
        modules,
        f"load_module(folder / {MODULE_FILE!r});"
        "import FractureSegmentationLib as library; print(library.__file__)",
    )

    assert Path(printed.strip()).is_relative_to(modules)


def test_the_metadata_reaches_cmake_whole(repository: Path, built: Built) -> None:
    lines = (built.build / "metadata.txt").read_text(encoding="utf-8").splitlines()
    metadata = dict(line.split(" ", 1) for line in lines)

    assert metadata["NAME"] == "FractureSegmentation"
    assert metadata["HOMEPAGE"] == homepage(repository)
    assert metadata["DEPENDS"] == "PyTorch"
    assert metadata["CONTRIBUTORS"] == "FractureSegmentation contributors"
    assert metadata["README_FILE"] == str(repository / "README.md")
    assert metadata["LICENSE_FILE"] == str(repository / "LICENSE.txt")
    assert metadata["DESCRIPTION"].startswith("Finds every bone fragment")


def test_the_self_tests_are_registered(repository: Path, built: Built) -> None:
    listed = tool("ctest", "--show-only", cwd=built.build)
    files = (repository / "Testing" / "slicer").glob("FractureSegmentation*.py")
    scripts = {file.stem for file in files}

    assert scripts
    for name in ("FractureSegmentation", "nomainwindow_qSlicerFractureSegmentation", *scripts):
        assert name in listed


def test_the_package_holds_the_installed_files(built: Built) -> None:
    tool("cpack", cwd=built.build)

    with tarfile.open(built.build / "FractureSegmentation.tar.gz") as archive:
        packed = {m.name.partition("/")[2] for m in archive.getmembers() if m.isfile()}
    assert packed == files_below(built.installed)


def test_a_listed_file_that_is_gone_stops_the_configuration(
    repository: Path, tmp_path: Path
) -> None:
    source = tmp_path / "source"
    for folder in ("FractureSegmentation", "FractureSegmentationLib", "Testing/slicer"):
        shutil.copytree(
            repository / folder, source / folder, ignore=shutil.ignore_patterns("*.safetensors")
        )
    shutil.copy(repository / "CMakeLists.txt", source)
    (tmp_path / "build").mkdir()

    with pytest.raises(AssertionError, match=r"does not exist:\s+models/[\w-]+/model.safetensors"):
        tool(
            "cmake", f"-DSlicer_DIR={source / 'Testing/slicer/cmake'}", source,
            cwd=tmp_path / "build",
        )  # fmt: skip
