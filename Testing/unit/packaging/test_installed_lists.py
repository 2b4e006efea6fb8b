"""The CMake lists against the disk: a file that is not listed is missing from the package."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from FractureSegmentationLib.mrml.terminology import write_terminologies
from Testing.slicer.update_lists import (
    INSTALLED_FOLDERS,
    RESOURCES,
    SCRIPTS,
    files_on_disk,
    listed_files,
    with_listed_files,
)
from Testing.unit.packaging.installed_tree import cmake_file, has_subfolder, listed

UPDATE = "run: python Testing/slicer/update_lists.py"


@pytest.mark.parametrize("folder", INSTALLED_FOLDERS)
def test_the_lists_name_every_file_and_no_other(repository: Path, folder: str) -> None:
    scripts, resources = files_on_disk(repository / folder)

    assert listed(repository, folder) == (scripts, resources), UPDATE


@pytest.mark.parametrize("folder", INSTALLED_FOLDERS)
def test_no_entry_leaves_its_folder(repository: Path, folder: str) -> None:
    entries = [entry for entries in listed(repository, folder) for entry in entries]

    assert [entry for entry in entries if ".." in entry or entry.startswith("/")] == []


def test_the_library_gets_a_folder_of_its_own_and_the_module_file_does_not(
    repository: Path,
) -> None:
    assert has_subfolder(repository, "FractureSegmentationLib")
    assert not has_subfolder(repository, "FractureSegmentation")


def test_only_the_module_file_lies_where_slicer_looks_for_modules(repository: Path) -> None:
    """Every .py directly in a module folder is tried as a module of its own."""
    scripts, _ = listed(repository, "FractureSegmentation")

    assert [script for script in scripts if "/" not in script] == ["FractureSegmentation.py"]


def test_weights_types_marker_terminology_and_panel_are_installed(repository: Path) -> None:
    _, library = listed(repository, "FractureSegmentationLib")
    _, module = listed(repository, "FractureSegmentation")
    models = {path.parent.name for path in repository.glob("FractureSegmentationLib/models/*/*")}

    assert models
    for model in models:
        assert {f"models/{model}/model.json", f"models/{model}/model.safetensors"} <= set(library)
    assert "py.typed" in library
    assert any(entry.endswith(".term.json") for entry in module)
    assert {
        "Resources/Icons/FractureSegmentation.png",
        "Resources/UI/FractureSegmentation.ui",
        "Resources/requirements.txt",
    } <= set(module)


def test_the_terminology_files_are_those_of_the_catalogue(repository: Path, tmp_path: Path) -> None:
    """To write them anew, call `write_terminologies` with that folder."""
    write_terminologies(tmp_path)
    folder = repository / "FractureSegmentation" / "Resources" / "Terminologies"

    assert sorted(file.name for file in folder.iterdir()) == sorted(
        file.name for file in tmp_path.iterdir()
    )
    for file in tmp_path.iterdir():
        assert (folder / file.name).read_text("utf-8") == file.read_text("utf-8")


def test_neither_training_nor_tests_are_installed(repository: Path) -> None:
    entries = [
        entry
        for folder in INSTALLED_FOLDERS
        for entries in listed(repository, folder)
        for entry in entries
    ]

    assert [e for e in entries if re.search(r"(^|/)(test_|Testing|fracseg_training)", e)] == []


# The command that writes the lists.


def copy_of_the_shell(repository: Path, root: Path) -> Path:
    """A repository with the command and two small folders to list."""
    (root / "Testing" / "slicer").mkdir(parents=True)
    shutil.copy(repository / "Testing/slicer/update_lists.py", root / "Testing/slicer")
    for folder in INSTALLED_FOLDERS:
        (root / folder / "inner").mkdir(parents=True)
        shutil.copy(cmake_file(repository, folder), root / folder)
        (root / folder / "inner" / "__init__.py").touch()
        (root / folder / "data.json").touch()
    return root


def update(root: Path, *arguments: str) -> int:
    return subprocess.run(
        [sys.executable, str(root / "Testing/slicer/update_lists.py"), *arguments],
        check=False,
        capture_output=True,
        timeout=60,
    ).returncode


def test_the_command_lists_a_new_file_and_drops_a_removed_one(
    repository: Path, tmp_path: Path
) -> None:
    root = copy_of_the_shell(repository, tmp_path)
    assert update(root, "--check") == 1

    assert update(root) == 0

    assert update(root, "--check") == 0
    assert listed(root, "FractureSegmentationLib") == (["inner/__init__.py"], ["data.json"])
    (root / "FractureSegmentationLib" / "inner" / "new.py").touch()
    (root / "FractureSegmentationLib" / "data.json").unlink()
    assert update(root) == 0
    assert listed(root, "FractureSegmentationLib") == (
        ["inner/__init__.py", "inner/new.py"],
        [],
    )


def test_checking_changes_nothing(repository: Path, tmp_path: Path) -> None:
    root = copy_of_the_shell(repository, tmp_path)
    before = cmake_file(root, "FractureSegmentation").read_bytes()

    update(root, "--check")

    assert cmake_file(root, "FractureSegmentation").read_bytes() == before


def test_caches_hidden_files_and_editor_leavings_are_not_listed(tmp_path: Path) -> None:
    for name in ("a.py", "b.json", "py.typed", "a.py~", ".hidden", "c.pyc", "CMakeLists.txt"):
        (tmp_path / name).touch()
    for inner in ("__pycache__", ".cache"):
        (tmp_path / inner).mkdir()
        (tmp_path / inner / "x.py").touch()

    assert files_on_disk(tmp_path) == (["a.py"], ["b.json", "py.typed"])


def test_a_list_is_replaced_without_touching_the_rest() -> None:
    text = f"set({SCRIPTS}\n  old.py\n  )\n\nset({RESOURCES}\n  )\nother(old.py)\n"

    changed = with_listed_files(text, SCRIPTS, ["a.py", "b/c.py"])

    assert changed == text.replace("\n  old.py", "\n  a.py\n  b/c.py")
    assert listed_files(changed, RESOURCES) == []


@pytest.mark.parametrize("name", ["two words.py", "a;b.py", "${X}.py", "(a).py"])
def test_a_name_that_cmake_would_read_otherwise_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="rename"):
        with_listed_files(f"set({SCRIPTS}\n  )\n", SCRIPTS, [name])


def test_a_file_without_the_list_is_refused() -> None:
    with pytest.raises(ValueError, match="found 0"):
        listed_files("set(SOMETHING_ELSE\n  a.py\n  )\n", SCRIPTS)
