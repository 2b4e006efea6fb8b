"""What is installed into Slicer's Python: the small packages it lacks, and never one it brings."""

from __future__ import annotations

import importlib.metadata
import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from FractureSegmentationPanel.setup.packages import DOWNLOAD_MB, TORCH
from Testing.unit.packaging.installed_tree import run_in_stub

ENGINE = "onnxruntime"
BROUGHT_ALONG = {"flatbuffers", "packaging", "protobuf"}
"""By ONNX Runtime; on an Intel Mac its last release brings a few more."""
MOST_MB = 60
# What Slicer 5.10 and Slicer 5.12 bring, in the versions they bring it.
BUNDLED = {
    "5.10": {"numpy": "2.0.2", "scipy": "1.13.1"},
    "5.12": {"numpy": "2.4.6", "scipy": "1.17.1", "simpleitk": "2.5.5", "pydicom": "3.0.2"},
}
NEVER_REPLACED = {"numpy", "scipy", "simpleitk", "pydicom", "vtk"}


def canonical(requirement: str) -> str:
    found = re.match(r"[\w.-]+", requirement)
    assert found is not None
    return re.sub(r"[-_.]+", "-", found.group()).lower()


@pytest.fixture(scope="module")
def requirements(repository: Path) -> list[str]:
    """The lines of requirements.txt, as Slicer reads them."""
    text = (repository / "FractureSegmentation/Resources/requirements.txt").read_text("utf-8")
    return [line for line in text.splitlines() if line.strip() and not line.startswith("#")]


@pytest.fixture(scope="module")
def project(repository: Path) -> dict[str, Any]:
    tomllib = pytest.importorskip("tomllib")
    found = tomllib.loads((repository / "pyproject.toml").read_text(encoding="utf-8"))
    assert isinstance(found["project"], dict)
    return found["project"]


@pytest.fixture(scope="module")
def dependencies(project: dict[str, Any]) -> list[str]:
    return list(project["dependencies"])


def test_the_requirements_are_the_dependencies_that_slicer_lacks(
    requirements: list[str], dependencies: list[str]
) -> None:
    """Same ranges; PyTorch, the other engine, is an offer."""
    lacking = [d for d in dependencies if canonical(d) not in NEVER_REPLACED]

    assert sorted(requirements) == sorted(lacking)
    assert ENGINE in map(canonical, requirements)


def test_the_sizes_that_are_told_cover_every_package_and_are_small(
    requirements: list[str],
) -> None:
    assert set(DOWNLOAD_MB) == {canonical(line) for line in requirements}
    assert sum(DOWNLOAD_MB.values()) < MOST_MB


def test_the_panel_offers_the_torch_that_the_library_needs(project: dict[str, Any]) -> None:
    assert project["optional-dependencies"]["torch"] == [TORCH]


def test_ranges_are_open_at_the_top(requirements: list[str]) -> None:
    """A pin would fight with other extensions over the version."""
    assert [r for r in requirements if not re.fullmatch(r"[\w-]+>=\d+(\.\d+)*", r)] == []


@pytest.mark.parametrize("slicer", sorted(BUNDLED))
def test_installing_them_replaces_nothing_that_slicer_brings(
    requirements: list[str], slicer: str
) -> None:
    """Whatever they need in turn, the bundled versions satisfy it."""
    packaging_requirements = pytest.importorskip("packaging.requirements")
    for requirement in requirements:
        if canonical(requirement) == ENGINE and not find_spec(ENGINE):
            continue
        for line in importlib.metadata.requires(canonical(requirement)) or []:
            needed = packaging_requirements.Requirement(line)
            if needed.marker and not needed.marker.evaluate({"extra": ""}):
                continue
            name = canonical(needed.name)
            if name in BROUGHT_ALONG:
                continue
            assert name in BUNDLED[slicer], f"{requirement} brings {name} along"
            assert needed.specifier.contains(BUNDLED[slicer][name])


def test_the_tested_versions_are_pinned(repository: Path, requirements: list[str]) -> None:
    pins = (repository / "constraints" / "python3.12.txt").read_text(encoding="utf-8")
    names = {canonical(line) for line in pins.splitlines() if not line.startswith("#")}

    assert {canonical(requirement) for requirement in requirements} <= names


def test_a_run_in_slicer_works_with_the_older_pydicom_of_slicer_5_10(
    repository: Path, tmp_path: Path
) -> None:
    """It lacks what our DICOM reader uses of pydicom 3; the panel hands over .nrrd files."""
    statement = (
        "import numpy, pydicom, pydicom.encaps, SimpleITK\n"
        "from pathlib import Path\n"
        "sys.modules['pydicom.pixels'] = None\n"
        "del pydicom.encaps.get_frame\n"
        "image = SimpleITK.GetImageFromArray(numpy.full((12, 20, 20), 40, numpy.int16))\n"
        f"SimpleITK.WriteImage(image, {str(tmp_path / 'ct.nrrd')!r})\n"
        "import FractureSegmentationLib.cli.segment\n"
        "from FractureSegmentationLib.io.read import read_ct\n"
        f"print(read_ct(Path({str(tmp_path / 'ct.nrrd')!r})).volume.geometry.shape)"
    )

    assert run_in_stub(repository, statement).strip() == "(12, 20, 20)"
