"""The command line and the environment of a run's child process."""

from __future__ import annotations

import os
import shutil
import sys
import sysconfig
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import FractureSegmentationLib

MARK_VARIABLE = "FRACSEG_RUN"
"""Every process of a run inherits it, which distinguishes them from all others."""
_MODULE = "FractureSegmentationLib.cli.main"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSettings:
    """What the user chose in the panel.

    Attributes:
        bones: auto, threshold, totalsegmentator, or the path of a label file with the catalogue's
            mask values.
        only: slugs of the bones wanted; none given means all that are detected.
        method: name of the fragment segmentation method.
        model: folder of the fragment model; None takes the shipped one.
        bones_model: folder that holds `bones-coarse` and `bones-fine`; None takes the shipped ones.
        device: auto, cpu, cuda, cuda:N or mps.
    """

    bones: str | Path = "auto"
    only: tuple[str, ...] = ()
    method: str = "fracsegmentator"
    model: Path | None = None
    bones_model: Path | None = None
    device: str = "auto"


def segment_command(ct: Path, out: Path, settings: RunSettings) -> list[str]:
    """The program and the arguments that segment `ct` into the folder `out`.

    Surfaces are not written: Slicer makes its own. The views come before the run on the processor.

    Raises:
        FileNotFoundError: there is no Python to run it with.
    """
    command = [python_executable(), "-u", "-m", _MODULE, "segment", str(ct), str(out)]
    command += ["--bones", str(settings.bones), "--method", settings.method]
    command += ["--engine", "auto", "--device", settings.device, "--no-meshes", "--low-priority"]
    if settings.only:
        command += ["--only", ",".join(settings.only)]
    if settings.model is not None:
        command += ["--model", str(settings.model)]
    if settings.bones_model is not None:
        command += ["--bones-model", str(settings.bones_model)]
    return [*command, "--progress", "json", "--parent-pipe"]


def python_executable() -> str:
    """Slicer's own Python; outside Slicer, the one that runs this.

    Raises:
        FileNotFoundError: neither is there. Slicer itself is never started in its place.
    """
    if launcher := shutil.which("PythonSlicer"):
        return launcher
    if Path(sys.executable or "").name.lower().startswith("python"):
        return sys.executable
    raise FileNotFoundError("PythonSlicer")


def child_environment(current: Mapping[str, str], mark: str) -> dict[str, str]:
    """The variables that a child needs besides those it inherits.

    The library may be known to this process alone (a path that the module added), so its place is
    handed on; at the end, so that nothing beside it hides an installed package.

    Args:
        current: the environment of this process.
        mark: distinguishes this run's processes from all others.
    """
    added = {
        MARK_VARIABLE: mark,
        "PYTHONIOENCODING": "utf-8",
        # A file beside the working folder must not be imported in place of a package.
        "PYTHONSAFEPATH": "1",
        "PYTHONFAULTHANDLER": "1",
    }
    root = Path(FractureSegmentationLib.__file__).resolve().parent.parent
    packages = {Path(sysconfig.get_path(kind)).resolve() for kind in ("purelib", "platlib")}
    known = [entry for entry in current.get("PYTHONPATH", "").split(os.pathsep) if entry]
    if root not in packages and str(root) not in known:
        added["PYTHONPATH"] = os.pathsep.join([*known, str(root)])
    return added
