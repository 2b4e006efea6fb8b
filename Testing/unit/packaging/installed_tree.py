"""The folder that Slicer installs, made from the lists in the CMakeLists.txt as its macro does."""

from __future__ import annotations

import os
import re
import shutil
import site
import subprocess
import sys
from pathlib import Path, PurePosixPath

from Testing.slicer.update_lists import INSTALLED_FOLDERS, RESOURCES, SCRIPTS, listed_files

STUB = Path(__file__).with_name("stub_application.py")
MODULE_FILE = "FractureSegmentation.py"


def cmake_file(repository: Path, folder: str) -> Path:
    return repository / folder / "CMakeLists.txt"


def listed(repository: Path, folder: str) -> tuple[list[str], list[str]]:
    """The scripts and the resources that one CMakeLists.txt names."""
    text = cmake_file(repository, folder).read_text(encoding="utf-8")
    return listed_files(text, SCRIPTS), listed_files(text, RESOURCES)


def has_subfolder(repository: Path, folder: str) -> bool:
    """Whether the macro puts this part into a folder of its own, beside the module files."""
    text = cmake_file(repository, folder).read_text(encoding="utf-8")
    call = re.search(r"slicerMacroBuildScriptedModule\(([^()]*)\)", text)
    assert call is not None, folder
    return "WITH_SUBDIR" in call.group(1).split()


def installed_files(repository: Path) -> dict[PurePosixPath, Path]:
    """Every installed file, relative to qt-scripted-modules, and where it comes from.

    A path with `..` in it is copied outside the folder that is installed, so it is not in here.
    """
    return {
        PurePosixPath(folder if has_subfolder(repository, folder) else ".") / name: source
        for folder in INSTALLED_FOLDERS
        for name in [entry for entries in listed(repository, folder) for entry in entries]
        if ".." not in name and (source := repository / folder / name).is_file()
    }


def install(repository: Path, root: Path) -> Path:
    """Copy what Slicer would install below `root`; returns the module folder."""
    modules = root / "lib" / "Slicer-5.12" / "qt-scripted-modules"
    for target, source in installed_files(repository).items():
        (modules / target).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, modules / target)
    return modules


def run_in_stub(folder: Path, statement: str) -> str:
    """What `statement` prints in a fresh Python with a stub application and `folder` on its path.

    Site packages are there, but without their .pth files, and PYTHONPATH is not, so that neither an
    editable installation nor a checkout of this repository answers an import.
    """
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-S", str(STUB), str(folder), *site.getsitepackages(), statement],
        check=False,
        env=environment,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
