"""Which Python packages are installed, read from their metadata: nothing is imported."""

from __future__ import annotations

import importlib
import importlib.metadata
import re
from pathlib import Path
from types import ModuleType

TORCH = "torch>=2.4"
HELD_PACKAGES = ("numpy", "scipy", "SimpleITK", "pydicom", "requests", "vtk")
"""Bundled with Slicer; an installation of ours may not replace them."""

_REQUIREMENT = re.compile(r"(?P<name>[A-Za-z0-9][\w.-]*)\s*(?:>=\s*(?P<least>\d+(?:\.\d+)*))?")
_RELEASE = re.compile(r"\d+(?:\.\d+)*")


def read_requirements(file: Path) -> tuple[str, ...]:
    """The requirements in a file, one per line; comments and empty lines are left out."""
    lines = (line.partition("#")[0].strip() for line in file.read_text("utf-8").splitlines())
    return tuple(line for line in lines if line)


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


def held_versions() -> str:
    """A pip constraints file that keeps Slicer's own packages as they are."""
    lines = []
    for name in HELD_PACKAGES:
        try:
            version = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
        # Local builds ("2.2.0.dev34+g1a") are on no server and may not be asked for.
        if _RELEASE.fullmatch(version or ""):
            lines.append(f"{name}=={version}\n")
    return "".join(lines)


def _numbers(version: str) -> tuple[int, ...]:
    numbers = [int(part) for part in version.split(".")]
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)
