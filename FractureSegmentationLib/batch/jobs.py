"""From a list to the jobs that do it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from FractureSegmentationLib.batch.case_list import ListedCase
from FractureSegmentationLib.batch.one_case import CaseJob
from FractureSegmentationLib.config import SegmentSettings


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ListConfig:
    """What holds for all cases of a list.

    Attributes:
        settings: how to segment; a case's own `bones` go before these.
        series: number or UID of the series; a case's own goes before this.
        may_replace: whether results of other settings or other CTs may be replaced.
        writes_meshes: whether surfaces are written as STL files.
    """

    settings: SegmentSettings = field(default_factory=SegmentSettings)
    series: str | None = None
    may_replace: bool = False
    writes_meshes: bool = True

    def __post_init__(self) -> None:
        if self.settings.are_bones_given:
            raise ValueError("the bones of one CT cannot hold for a whole list")


def case_jobs(cases: Sequence[ListedCase], out: Path, config: ListConfig) -> tuple[CaseJob, ...]:
    """One job per case, with paths that hold in any working directory.

    Args:
        cases: from the list.
        out: the folder of all cases.
        config: what holds for all of them.
    """
    settings = replace(
        config.settings,
        model=_absolute(config.settings.model),
        bones_model=_absolute(config.settings.bones_model),
    )
    return tuple(
        CaseJob(
            name=case.name,
            line=case.line,
            ct=case.ct.absolute(),
            out=out.absolute() / case.name,
            settings=settings
            if case.bones is None or isinstance(case.bones, Path)
            else replace(settings, bones=case.bones),
            bones_file=case.bones.absolute() if isinstance(case.bones, Path) else None,
            series=case.series or config.series,
            may_replace=config.may_replace,
            writes_meshes=config.writes_meshes,
        )
        for case in cases
    )


def inputs_of(jobs: Sequence[CaseJob]) -> tuple[Path, ...]:
    """Every file and folder that the jobs read for their cases."""
    return tuple(path for job in jobs for path in (job.ct, job.bones_file) if path is not None)


def _absolute(path: Path | None) -> Path | None:
    return path.absolute() if path else None
