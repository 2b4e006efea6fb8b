"""pip, with the constraints that the panel gives it: what is installed already stays as it is.

The packages are made here and stand in a folder, so that no network is needed; what the package
index says to Slicer's own versions is looked at where it can be reached.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

NUMPY, PROTOBUF, GREEDY = "2.4.6", "4.25.9", ("numpy>=2.5", "protobuf")
SYSTEMS = {
    "Windows": ("win_amd64",),
    "Linux": ("manylinux_2_28_x86_64", "manylinux_2_27_x86_64", "manylinux2014_x86_64"),
    "macOS": ("macosx_14_0_arm64", "macosx_11_0_arm64"),
}
HELD = """
import sys
sys.path.insert(0, {panel!r})
from FractureSegmentationPanel.setup.packages import held_versions
print(held_versions({wanted!r}))
"""


@pytest.fixture
def index(tmp_path: Path) -> Callable[..., Path]:
    """Makes a package in a folder that pip takes for the index."""

    def add(name: str, version: str, *requires: str) -> Path:
        folder = tmp_path / "index"
        folder.mkdir(exist_ok=True)
        info = f"{name}-{version}.dist-info"
        with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
            wheel.writestr(f"{info}/METADATA", _metadata(name, version, requires))
            wheel.writestr(
                f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
            )
            wheel.writestr(f"{info}/RECORD", "")
        return folder

    return add


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """A folder of installed packages, as Slicer has one: numpy, protobuf and an older click."""
    for name, version in (("numpy", NUMPY), ("protobuf", PROTOBUF), ("click", "7.1")):
        info = tmp_path / "site" / f"{name}-{version}.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(_metadata(name, version, ()), encoding="utf-8")
        (info / "RECORD").write_text("", encoding="utf-8")
    return tmp_path / "site"


def _metadata(name: str, version: str, requires: tuple[str, ...]) -> str:
    lines = [f"Requires-Dist: {one}" for one in requires]
    return "\n".join(["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}", *lines, ""])


def planned(
    repository: Path, site: Path, folder: Path, wanted: tuple[str, ...]
) -> dict[str, str] | None:
    """What pip would install, by package; None if it refuses."""
    environment = {**os.environ, "PYTHONPATH": str(site), "PIP_CONFIG_FILE": os.devnull}
    panel = str(repository / "FractureSegmentation")
    # -S: nothing but the folder is installed.
    script = HELD.format(panel=panel, wanted=wanted)
    held = subprocess.run(
        [sys.executable, "-S", "-c", script],
        capture_output=True, text=True, check=True, env=environment,
    )  # fmt: skip
    (folder / "held.txt").write_text(held.stdout, encoding="utf-8")
    done = subprocess.run(
        [
            sys.executable, "-m", "pip", "install", "--dry-run", "--quiet", "--report", "-",
            "--no-index", "--find-links", str(folder), "-c", str(folder / "held.txt"), *wanted,
        ],
        capture_output=True, text=True, check=False, env=environment,
    )  # fmt: skip
    if done.returncode:
        assert "ResolutionImpossible" in done.stderr or "No matching" in done.stderr, done.stderr
        return None
    return _resolved(json.loads(done.stdout))


def _resolved(report: Any) -> dict[str, str]:
    return {
        _canonical(one["metadata"]["name"]): one["metadata"]["version"] for one in report["install"]
    }


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_what_is_missing_comes_and_what_is_there_stays(
    repository: Path, index: Callable[..., Path], installed: Path
) -> None:
    index("onnxruntime_stand_in", "1.32.0", "numpy>=1.21", "protobuf>=4")
    index("numpy", "2.5.0")
    folder = index("click", "8.5.1")

    found = planned(repository, installed, folder, ("onnxruntime-stand-in>=1.19", "click>=8.1"))

    assert found == {"onnxruntime-stand-in": "1.32.0", "click": "8.5.1"}


def test_an_older_release_is_taken_before_anything_is_replaced(
    repository: Path, index: Callable[..., Path], installed: Path
) -> None:
    index("onnxruntime_stand_in", "1.32.0", *GREEDY)
    index("onnxruntime_stand_in", "1.20.0", "numpy>=1.21", "protobuf")
    folder = index("numpy", "2.5.0")

    found = planned(repository, installed, folder, ("onnxruntime-stand-in>=1.19",))

    assert found == {"onnxruntime-stand-in": "1.20.0"}


def test_nothing_is_installed_where_something_would_have_to_be_replaced(
    repository: Path, index: Callable[..., Path], installed: Path
) -> None:
    index("onnxruntime_stand_in", "1.32.0", *GREEDY)
    folder = index("numpy", "2.5.0")

    assert planned(repository, installed, folder, ("onnxruntime-stand-in>=1.19",)) is None


@pytest.mark.parametrize("system", sorted(SYSTEMS))
def test_slicers_own_versions_suit_what_the_index_has(
    repository: Path, tmp_path: Path, system: str
) -> None:
    """Wheels for Slicer's Python on every system, none of them another version of Slicer's own."""
    pins = repository / "constraints" / "python3.12.txt"
    requirements = repository / "FractureSegmentation" / "Resources" / "requirements.txt"
    platforms = [word for tag in SYSTEMS[system] for word in ("--platform", tag)]
    done = subprocess.run(
        [
            sys.executable, "-m", "pip", "install", "--dry-run", "--quiet", "--report", "-",
            "--ignore-installed", "--only-binary", ":all:", "--target", str(tmp_path),
            "--python-version", "3.12", *platforms, "-c", str(pins), "-r", str(requirements),
            "--retries", "0", "--timeout", "10",
        ],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode and "ResolutionImpossible" not in done.stderr:
        pytest.skip("the package index cannot be reached")
    assert done.returncode == 0, done.stderr
    found = _resolved(json.loads(done.stdout))
    pinned = dict(re.findall(r"^([\w-]+)==(\S+)$", pins.read_text(encoding="utf-8"), re.MULTILINE))

    assert "onnxruntime" in found
    assert "torch" not in found
    assert {name: pinned.get(name) for name in found} == found
