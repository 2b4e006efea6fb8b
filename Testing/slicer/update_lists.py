"""Write the lists of installed files into the CMakeLists.txt of the module and of the library.

Slicer installs what these lists name and nothing else. Run after adding or removing a file:

    python Testing/slicer/update_lists.py            # writes what has changed
    python Testing/slicer/update_lists.py --check    # only tells; exit status 1 if a list is old
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent.parent
INSTALLED_FOLDERS = ("FractureSegmentation", "FractureSegmentationLib")
SCRIPTS = "MODULE_PYTHON_SCRIPTS"
RESOURCES = "MODULE_PYTHON_RESOURCES"

_NOT_OURS = re.compile(r"(^|/)(__pycache__/|\.|CMakeLists\.txt$)|\.py[cod]$|~$|\.(orig|rej|tmp)$")


def files_on_disk(folder: Path) -> tuple[list[str], list[str]]:
    """Scripts and resources below a folder, as sorted paths relative to it with forward slashes."""
    paths = sorted(
        relative
        for file in folder.rglob("*")
        if file.is_file() and not _NOT_OURS.search(relative := file.relative_to(folder).as_posix())
    )
    scripts = [path for path in paths if path.endswith(".py")]
    return scripts, [path for path in paths if not path.endswith(".py")]


def listed_files(cmake_text: str, variable: str) -> list[str]:
    """The entries of `set(variable ...)` in a CMakeLists.txt.

    Raises:
        ValueError: the text sets the variable not exactly once.
    """
    return _the_one_list(cmake_text, variable).group("entries").split()


def with_listed_files(cmake_text: str, variable: str, entries: Iterable[str]) -> str:
    """The text of a CMakeLists.txt with the entries of `set(variable ...)` replaced.

    Raises:
        ValueError: the text sets the variable not exactly once, or an entry needs quoting.
    """
    lines = list(entries)
    if odd := [entry for entry in lines if not re.fullmatch(r"[\w.+/-]+", entry)]:
        raise ValueError(f"rename {odd[0]!r}: CMake lists hold letters, digits and . + - _ / only")
    start, end = _the_one_list(cmake_text, variable).span("entries")
    return cmake_text[:start] + "".join(f"\n  {entry}" for entry in lines) + cmake_text[end:]


def _the_one_list(cmake_text: str, variable: str) -> re.Match[str]:
    found = list(
        re.finditer(rf"^set\({variable}(?P<entries>[^()]*?)\n  \)$", cmake_text, re.MULTILINE)
    )
    if len(found) != 1:
        raise ValueError(f"expected one set({variable} ...), found {len(found)}")
    return found[0]


def updated(cmake_file: Path) -> str:
    """The text that a CMakeLists.txt should have, given the files beside it."""
    scripts, resources = files_on_disk(cmake_file.parent)
    text = cmake_file.read_text(encoding="utf-8")
    return with_listed_files(with_listed_files(text, SCRIPTS, scripts), RESOURCES, resources)


def main(arguments: list[str]) -> int:
    """Bring the lists up to date, or with `--check` say which are not."""
    if arguments not in ([], ["--check"]):
        sys.stderr.write(f"{__doc__}\n")
        return 2
    old = [
        file
        for folder in INSTALLED_FOLDERS
        if updated(file := REPOSITORY / folder / "CMakeLists.txt") != file.read_text("utf-8")
    ]
    for file in old:
        sys.stdout.write(f"{file.relative_to(REPOSITORY).as_posix()}\n")
        if not arguments:
            file.write_text(updated(file), encoding="utf-8", newline="\n")
    return 1 if arguments and old else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
