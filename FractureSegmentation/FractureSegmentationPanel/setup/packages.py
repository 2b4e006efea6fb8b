"""Which Python packages are installed, read from their metadata: nothing is imported."""

from __future__ import annotations

import importlib
import importlib.metadata
import re
from pathlib import Path
from types import ModuleType

TORCH = "torch>=2.4"
ONNX_RUNTIME = "onnxruntime"
DOWNLOAD_MB = {
    "click": 1,
    "connected-components-3d": 5,
    "edt": 3,
    ONNX_RUNTIME: 29,
    "safetensors": 1,
}
"""What each package loads from the network at most, with what it brings along; in MB.

The largest of the files for Windows, Linux and macOS, see `Testing/unit/packaging`.
"""

_REQUIREMENT = re.compile(r"(?P<name>[A-Za-z0-9][\w.-]*)\s*(?:>=\s*(?P<least>\d+(?:\.\d+)*))?")
_RELEASE = re.compile(r"\d+(?:\.\d+)*")


def read_requirements(file: Path) -> tuple[str, ...]:
    """The requirements in a file, one per line; comments and empty lines are left out."""
    lines = (line.partition("#")[0].strip() for line in file.read_text("utf-8").splitlines())
    return tuple(line for line in lines if line)


def wanted(file: Path) -> tuple[str, ...]:
    """The requirements of a run: those of a file; PyTorch, where it is there, runs the networks."""
    requirements = read_requirements(file)
    if missing((TORCH,)):
        return requirements
    return tuple(one for one in requirements if name_of(one) != ONNX_RUNTIME)


def name_of(requirement: str) -> str:
    """The package that a requirement is about, spelled as the package index spells it."""
    found = _REQUIREMENT.match(requirement.strip())
    return _canonical(found["name"]) if found else ""


def is_installed(requirement: str) -> bool:
    """Whether a package is there in a version that will do; for Slicer before 5.12.

    Args:
        requirement: a name, and `>=` with a version if that matters.

    Raises:
        ValueError: it asks for anything else.
    """
    wanted = _REQUIREMENT.fullmatch(requirement.strip())
    if wanted is None:
        raise ValueError(f"only NAME or NAME>=VERSION is understood, got {requirement!r}")
    try:
        version = importlib.metadata.version(wanted["name"])
    except importlib.metadata.PackageNotFoundError:
        return False
    # A damaged installation has no version.
    release = _RELEASE.match(version or "")
    return release is not None and _numbers(release.group()) >= _numbers(wanted["least"] or "0")


def missing(requirements: tuple[str, ...]) -> tuple[str, ...]:
    """Those that are not installed; what was installed since the last look counts."""
    importlib.invalidate_caches()
    packaging = slicer_packaging()
    check = packaging.pip_check if packaging is not None else is_installed
    return tuple(requirement for requirement in requirements if not check(requirement))


def slicer_packaging() -> ModuleType | None:
    """Slicer's own module for packages; None before 5.12."""
    try:
        return importlib.import_module("slicer.packaging")
    except ImportError:
        return None


def held_versions(requirements: tuple[str, ...] = ()) -> str:
    """A pip constraints file that keeps what is installed as it is.

    Args:
        requirements: what is going to be installed; older versions of these may be replaced.
    """
    free = {name_of(requirement) for requirement in requirements}
    held: dict[str, str] = {}
    for one in importlib.metadata.distributions():
        name, version = _canonical(one.metadata["Name"] or ""), one.version or ""
        # Of two installations the first is the one that is imported.
        held.setdefault(name, version)
    # Local builds ("2.2.0.dev34+g1a") are on no server and may not be asked for.
    return "".join(
        f"{name}=={version}\n"
        for name, version in sorted(held.items())
        if name and name not in free and _RELEASE.fullmatch(version)
    )


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _numbers(version: str) -> tuple[int, ...]:
    numbers = [int(part) for part in version.split(".")]
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)
