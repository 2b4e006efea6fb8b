"""Stand-in for `slicer.packaging`: asks as Slicer asks, installs nothing.

Which requirements are satisfied is read from the packages that are really installed; a test may
declare some missing, and what an installation does.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import slicer
from packaging.requirements import Requirement

OPTIONS_WITH_VALUE = frozenset({"-c", "--constraint", "-r", "--requirement", "--index-url"})
Requirements = str | Requirement | Iterable[str | Requirement]


@dataclass
class PipState:
    """What a test decides about pip.

    Attributes:
        missing: names of packages to be taken for not installed.
        failure: raised by an installation, None when installing works.
        installed: requirements that were "installed", in order.
    """

    missing: set[str] = field(default_factory=set)
    failure: Exception | None = None
    installed: list[str] = field(default_factory=list)


pip_state = PipState()


def load_requirements(path: str | Path) -> list[Requirement]:
    """The requirements of a requirements.txt; options and comments are left out."""
    lines = (
        line.split("#")[0].strip() for line in Path(path).read_text(encoding="utf-8").splitlines()
    )
    return [Requirement(line) for line in lines if line and not line.startswith("-")]


def pip_check(requirements: Requirements) -> bool:
    """Whether all requirements are satisfied."""
    return not _unsatisfied(requirements)


def pip_install(requirements: Requirements, **_options: Any) -> None:
    """Pretend to install.

    Raises:
        Exception: `pip_state.failure`.
    """
    if pip_state.failure is not None:
        raise pip_state.failure
    if isinstance(requirements, str):
        requirements = requirements.split()  # as on pip's command line
    for requirement in _listed(requirements):
        pip_state.installed.append(str(requirement))
        pip_state.missing.discard(requirement.name)


def pip_ensure(
    requirements: Requirements,
    *,
    prompt_install: bool = True,
    requester: str | None = None,
    skip_in_testing: bool = True,
    **_options: Any,
) -> None:
    """Check, ask, install.

    Raises:
        RuntimeError: the user declined.
        Exception: `pip_state.failure`.
    """
    missing = _unsatisfied(requirements)
    if not missing or (skip_in_testing and slicer.app.testingEnabled()):
        return
    names = "\n".join(str(requirement) for requirement in missing)
    question = f"{requester or 'A module'} needs to install Python packages."
    if prompt_install and not slicer.util.confirmOkCancelDisplay(question, detailedText=names):
        raise RuntimeError("the user declined the installation of Python packages")
    pip_install(missing)


def isPipInstallInProgress() -> bool:
    """Whether an installation is going on; here they end at once."""
    return False


def _listed(requirements: Requirements) -> list[Requirement]:
    """Requirements without pip's options ("-c file", "--upgrade")."""
    if isinstance(requirements, Requirement):
        return [requirements]
    several = [requirements] if isinstance(requirements, str) else list(requirements)
    found, is_value = [], False
    for entry in several:
        is_option = isinstance(entry, str) and entry.startswith("-")
        if not is_option and not is_value:
            found.append(entry if isinstance(entry, Requirement) else Requirement(entry))
        is_value = entry in OPTIONS_WITH_VALUE
    return found


def _unsatisfied(requirements: Requirements) -> list[Requirement]:
    return [r for r in _listed(requirements) if _applies(r) and not _is_satisfied(r)]


def _applies(requirement: Requirement) -> bool:
    return requirement.marker is None or requirement.marker.evaluate()


def _is_satisfied(requirement: Requirement) -> bool:
    if requirement.name in pip_state.missing:
        return False
    try:
        version = importlib.metadata.version(requirement.name)
    except importlib.metadata.PackageNotFoundError:
        return requirement.name in {Requirement(r).name for r in pip_state.installed}
    return requirement.specifier.contains(version, prereleases=True)
