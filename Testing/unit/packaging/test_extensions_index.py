"""The entry for the catalogue of Slicer extensions, against the rules of its checks.

The rules are those that the catalogue's own scripts apply: the entry's schema (version 1.0.2), what
they read from CMakeLists.txt as text, and the size of a checkout.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from Testing.slicer.set_homepage import PLACES, homepage, repository_name, set_homepage

ENTRY = "Resources/ExtensionsIndex/FractureSegmentation.json"
SCHEMA = (
    "https://raw.githubusercontent.com/Slicer/Slicer/main/Schemas/"
    "slicer-extension-catalog-entry-schema-v1.0.2.json#"
)
KEYS: dict[str, type | tuple[type, ...]] = {
    "$schema": str,
    "category": str,
    "scm_url": str,
    "scm_revision": str,
    "scm_type": str,
    "build_dependencies": list,
    "build_subdirectory": str,
    "dicom_support_rule": str,
    "enabled": bool,
    "tier": int,
}
REQUIRED = {"$schema", "category", "scm_url"}
LARGEST_CHECKOUT = 100_000_000
LARGEST_TRACKED = 30_000_000
LARGEST_PICTURE = 250_000
NOT_CHECKED_OUT = {".git", ".venv", "venv", "build", "dist", "demo", "runs", "__pycache__"}


@pytest.fixture(scope="module")
def cmake_text(repository: Path) -> str:
    return (repository / "CMakeLists.txt").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def entry(repository: Path) -> dict[str, Any]:
    read: dict[str, Any] = json.loads((repository / ENTRY).read_text(encoding="utf-8"))
    return read


def quoted(cmake_text: str, variable: str) -> str:
    """The value as the catalogue's checks read it: one quoted string, ending on the line."""
    found = re.findall(rf'set\s*\({variable}\s*"([^"]+)"[ ]*\)', cmake_text)
    assert len(found) == 1, variable
    return str(found[0])


def picture_urls(cmake_text: str) -> list[str]:
    return [
        quoted(cmake_text, "EXTENSION_ICONURL"),
        *quoted(cmake_text, "EXTENSION_SCREENSHOTURLS").split(" "),
    ]


def png_size(file: Path) -> tuple[int, int]:
    head = file.read_bytes()[:24]
    assert head[:8] == b"\x89PNG\r\n\x1a\n", file.name
    width, height = struct.unpack(">II", head[16:24])
    return width, height


# The entry.


def test_the_entry_has_the_keys_of_the_schema_and_no_other(entry: dict[str, Any]) -> None:
    assert REQUIRED <= entry.keys() <= KEYS.keys()
    assert [key for key, value in entry.items() if not isinstance(value, KEYS[key])] == []
    assert entry["$schema"] == SCHEMA


def test_the_entry_is_named_like_the_project(repository: Path, cmake_text: str) -> None:
    project = re.search(r"project\s*\(\s*([^\s\)]+)", cmake_text)

    assert project is not None
    assert project.group(1) == Path(ENTRY).stem
    assert not project.group(1).startswith("Slicer")


def test_the_category_is_one_that_the_catalogue_has(entry: dict[str, Any]) -> None:
    assert entry["category"] == "Segmentation"


def test_a_first_entry_is_of_the_first_tier(entry: dict[str, Any]) -> None:
    assert entry["tier"] == 1


def test_the_entry_points_to_the_homepage_and_a_branch(
    repository: Path, entry: dict[str, Any]
) -> None:
    assert entry["scm_url"] == homepage(repository)
    assert re.fullmatch(r"https://github\.com/[\w.-]+/Slicer[\w.-]+", entry["scm_url"])
    assert not entry["scm_url"].endswith(".git")
    assert entry["scm_revision"] == "main"


def test_the_packaging_check_of_the_catalogue_packs_the_extension(
    repository: Path, entry: dict[str, Any]
) -> None:
    """It skips entries with build dependencies, and checkouts with a C++ source or header."""
    compiled = [
        file.name
        for folder in ("FractureSegmentation", "FractureSegmentationLib", "Testing", "Resources")
        for pattern in ("*.cxx", "*.h")
        for file in (repository / folder).rglob(pattern)
    ]

    assert entry["build_dependencies"] == []
    assert compiled == []


def test_the_extensions_manager_installs_what_a_run_needs(cmake_text: str) -> None:
    """PyTorch is needed to run, not to build: it stands here, and not in the entry."""
    assert quoted(cmake_text, "EXTENSION_DEPENDS").split() == ["PyTorch"]


def test_the_entry_ends_its_lines_as_the_catalogue_wants(repository: Path) -> None:
    raw = (repository / ENTRY).read_bytes()

    assert b"\r" not in raw
    assert raw.endswith(b"}\n")
    assert raw.decode("ascii")


# What is read from CMakeLists.txt as text.


def test_icon_and_screenshots_are_plain_addresses_of_the_same_repository(
    repository: Path, cmake_text: str
) -> None:
    name = repository_name(homepage(repository))

    for url in picture_urls(cmake_text):
        assert "$" not in url
        assert url.startswith(f"https://raw.githubusercontent.com/{name}/main/Resources/")
        assert url.endswith(".png")


def test_icon_and_screenshots_are_in_the_repository(repository: Path, cmake_text: str) -> None:
    paths = [url.partition("/main/")[2] for url in picture_urls(cmake_text)]

    assert [path for path in paths if not (repository / path).is_file()] == []
    assert png_size(repository / paths[0]) == (128, 128)
    for path in paths[1:]:
        width, height = png_size(repository / path)
        assert width >= 600
        assert height >= 400


def test_the_description_is_two_sentences_without_what_cmake_would_read(cmake_text: str) -> None:
    description = quoted(cmake_text, "EXTENSION_DESCRIPTION")

    assert description.count(". ") + description.endswith(".") == 2
    assert not set(description) & set(";$\\")
    assert "not for diagnosis" in description


def test_readme_and_licence_are_ours(repository: Path, cmake_text: str) -> None:
    """Without them Slicer packs its own."""
    for variable, name in (
        ("EXTENSION_README_FILE", "README.md"),
        ("EXTENSION_LICENSE_FILE", "LICENSE.txt"),
    ):
        assert quoted(cmake_text, variable) == f"${{CMAKE_CURRENT_SOURCE_DIR}}/{name}"
        assert (repository / name).is_file()


def test_no_person_is_named(cmake_text: str) -> None:
    assert quoted(cmake_text, "EXTENSION_CONTRIBUTORS") == "FractureSegmentation contributors"


def test_the_category_is_not_repeated_in_cmake(cmake_text: str) -> None:
    """It comes from the entry; a second one could only differ."""
    assert "EXTENSION_CATEGORY" not in cmake_text


def test_a_checkout_is_small_enough(repository: Path) -> None:
    size = 0
    for folder, folders, files in os.walk(repository):
        folders[:] = [f for f in folders if f not in NOT_CHECKED_OUT and not f.endswith("_cache")]
        size += sum((Path(folder) / file).stat().st_size for file in files)

    assert size < LARGEST_CHECKOUT


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_what_git_tracks_is_small(repository: Path) -> None:
    """The catalogue refuses 100 MB with .git, and a shallow clone holds most files twice."""
    listing = subprocess.run(
        ["git", "ls-files", "-z"], cwd=repository, check=False, capture_output=True, timeout=60
    )
    if listing.returncode != 0:
        pytest.skip("no git checkout")
    files = [repository / os.fsdecode(name) for name in listing.stdout.split(b"\0") if name]

    assert sum(file.stat().st_size for file in files if file.is_file()) <= LARGEST_TRACKED


def test_pictures_are_small(repository: Path) -> None:
    """What writes them shrinks them, see Resources/small_png.py."""
    pictures = list((repository / "Resources").rglob("*.png"))

    assert pictures
    assert [file.name for file in pictures if file.stat().st_size > LARGEST_PICTURE] == []


def test_a_shrunk_picture_keeps_its_size_and_nearly_its_colours(tmp_path: Path) -> None:
    """A ramp of 512 greens and blues over 64 rows: 256 colours leave steps of 2 of 255."""
    image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")
    from Resources.small_png import shrink

    ramp = np.zeros((64, 512, 3), np.uint8)
    ramp[..., 1] = np.arange(512) // 2
    ramp[..., 2] = (np.arange(512) + 1) // 2
    path = tmp_path / "ramp.png"
    image.fromarray(ramp).save(path, compress_level=0)
    before = path.stat().st_size

    shrink(path)

    after = image.open(path)
    assert after.mode == "P"
    assert after.size == (512, 64)
    assert np.abs(np.asarray(after.convert("RGB"), int) - ramp).mean() < 2.0
    assert path.stat().st_size < before / 2
    assert [file.name for file in tmp_path.iterdir()] == ["ramp.png"]


# The address.


@pytest.fixture
def copied(repository: Path, tmp_path: Path) -> Path:
    for place in PLACES:
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(repository / place, tmp_path / place)
    return tmp_path


def test_one_command_sets_the_address_everywhere(repository: Path, copied: Path) -> None:
    before = {place: (copied / place).read_text(encoding="utf-8") for place in PLACES}
    old = repository_name(homepage(repository))

    set_homepage("https://github.com/bone-lab/SlicerFractureSegmentation.git/", copied)

    assert homepage(copied) == "https://github.com/bone-lab/SlicerFractureSegmentation"
    for place in PLACES:
        after = (copied / place).read_text(encoding="utf-8")
        assert old not in after
        assert after.replace("bone-lab/SlicerFractureSegmentation", old) == before[place]


@pytest.mark.parametrize(
    "address",
    [
        "http://github.com/bone-lab/SlicerFractureSegmentation",
        "https://example.org/bone-lab/SlicerFractureSegmentation",
        "https://github.com/SlicerFractureSegmentation",
        "https://github.com/bone-lab/fractures",
        "https://github.com/bone-lab/FracturesSlicer",
        "https://github.com/bone-lab/slicerFractures",
        "https://github.com/bone-lab/Slicer Fractures",
        'https://github.com/bone-lab/Slicer")\nset(X "',
    ],
)
def test_an_address_that_the_catalogue_refuses_is_refused_here(address: str, copied: Path) -> None:
    before = (copied / PLACES[0]).read_bytes()

    with pytest.raises(ValueError, match=r"expected|wants"):
        set_homepage(address, copied)

    assert (copied / PLACES[0]).read_bytes() == before


def test_the_address_is_written_down_nowhere_else(repository: Path) -> None:
    """Whatever else needs it reads it, so that one command is enough."""
    name = repository_name(homepage(repository))
    texts = (
        file
        for folder in ("", "docs", "FractureSegmentation", "FractureSegmentationLib", "Resources")
        for pattern in ("*.md", "*.cff", "*.txt", "*.toml", "*.json", "*.ui", "*.py")
        for file in (repository / folder).glob(f"{'**/' if folder else ''}{pattern}")
    )

    found = {
        file.relative_to(repository).as_posix()
        for file in texts
        if name in file.read_text(encoding="utf-8", errors="replace")
    }

    assert found == set(PLACES)


# The icon.


def test_the_icon_is_drawn_from_the_svg_of_the_module(repository: Path) -> None:
    """Paths only: Qt draws neither clips nor filters."""
    drawing = repository / "FractureSegmentation/Resources/Icons/FractureSegmentation.svg"
    tags = {element.tag.partition("}")[2] for element in ElementTree.parse(drawing).iter()}  # noqa: S314

    assert tags == {"svg", "title", "g", "path"}


def test_the_picture_of_the_sample_has_the_size_that_sample_data_shows(repository: Path) -> None:
    icons = repository / "FractureSegmentation" / "Resources" / "Icons"

    assert png_size(icons / "SamplePelvis.png") == (260, 280)
    assert (icons / "SamplePelvis.png").stat().st_size < 100_000


def test_the_pngs_are_what_the_script_draws(repository: Path) -> None:
    pytest.importorskip("PySide6.QtSvg", reason="PySide6 is not installed")
    check = (
        "from PySide6.QtGui import QGuiApplication, QImage; app = QGuiApplication([])\n"
        "from Resources.render_icons import PICTURES, PIXELS, SOURCE, rendered\n"
        "drawn = rendered(SOURCE, PIXELS)\n"
        "for file in PICTURES:\n"
        "    kept = QImage(str(file)).convertToFormat(drawn.format())\n"
        "    assert kept.size() == drawn.size(), file\n"
        "    a, b = bytes(kept.constBits()), bytes(drawn.constBits())\n"
        "    assert sum(abs(x - y) for x, y in zip(a, b)) / len(a) < 1, file\n"
    )

    done = subprocess.run(
        [sys.executable, "-c", check],
        check=False,
        cwd=repository,
        env={**os.environ, "QT_QPA_PLATFORM": "offscreen", "PYTHONPATH": str(repository)},
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert done.returncode == 0, done.stderr
