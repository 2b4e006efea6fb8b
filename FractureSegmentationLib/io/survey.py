"""What is at a path, whether it can be used as a CT, and if not, why: every series of a folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from FractureSegmentationLib.errors import InputError
from FractureSegmentationLib.geometry import Geometry
from FractureSegmentationLib.io.dicom.files import is_dicom_file, scan_folder
from FractureSegmentationLib.io.dicom.series import SeriesInfo, check_scan, choose_series, grouped
from FractureSegmentationLib.io.dicom.volume import SeriesJudgement, judge_series
from FractureSegmentationLib.io.image_file import kind_of
from FractureSegmentationLib.io.read import (
    CtInput,
    read_chosen,
    read_ct,
    read_listed,
    readable,
    refuse_pipe,
    series_of,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesFinding:
    """What one series of a folder holds.

    Attributes:
        number: by which `--series` names it.
        contents: kind, size and kernel in words, without patient data.
        geometry: the grid it gets; None if its slices lie on none.
        hu_range: lowest and highest value; None if the series cannot be used.
        problems: why it cannot be used, each as the rest of "The series ...".
        warnings: what the user should know, one sentence each.
        is_taken: `segment` would take it.
    """

    number: int
    contents: str
    geometry: Geometry | None
    hu_range: tuple[float, float] | None
    problems: tuple[str, ...]
    warnings: tuple[str, ...]
    is_taken: bool


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Survey:
    """What is at a path.

    Attributes:
        series: of a folder with DICOM files, or of one such file; none for an image file.
        ct: the CT that `segment` would take; None if there is none.
        refusal: why there is none.
    """

    series: tuple[SeriesFinding, ...]
    ct: CtInput | None
    refusal: InputError | None


def survey(path: Path, *, series: str | None = None) -> Survey:
    """Look at everything that is at a path; what cannot be used is told, not raised.

    Args:
        path: as for `read_ct`.
        series: as for `read_ct`.
    """
    found: tuple[SeriesFinding, ...] = ()
    ct, refusal = None, None
    try:
        with readable():
            refuse_pipe(path)
            is_image = path.is_file() and bool(kind_of(path))
            if path.exists() and not is_image and (path.is_dir() or is_dicom_file(path)):
                found, ct, refusal = _survey_dicom(path, series)
            else:
                ct = read_ct(path, series=series)
    except InputError as error:
        refusal = error
    return Survey(series=found, ct=ct, refusal=refusal)


def _survey_dicom(
    path: Path, wanted: str | None
) -> tuple[tuple[SeriesFinding, ...], CtInput | None, InputError | None]:
    refusal: InputError | None = None
    if path.is_dir():
        scan = scan_folder(path, recursive=True)
        listed = grouped(scan)
        try:
            check_scan(scan)
        except InputError as damage:
            refusal = damage
    else:
        listed = series_of(path)
    taken, choice = _taken(listed, wanted)
    refusal = refusal or choice
    found, ct = [], None
    for one in listed:
        is_taken = one is taken and refusal is None
        judgement, its_ct, error = _read_or_refusal(one, listed if is_taken else None, wanted)
        found.append(_finding(one, judgement, its_ct, error, is_taken=is_taken))
        if is_taken:
            ct, refusal = its_ct, error
    return tuple(found), ct, refusal


def _taken(
    listed: Sequence[SeriesInfo], wanted: str | None
) -> tuple[SeriesInfo | None, InputError | None]:
    if not listed:
        return None, None
    try:
        return choose_series(listed, wanted), None
    except InputError as error:
        return None, error


def _read_or_refusal(
    series: SeriesInfo, listed: Sequence[SeriesInfo] | None, wanted: str | None
) -> tuple[SeriesJudgement | None, CtInput | None, InputError | None]:
    """One series as a CT, or why not; `listed` if it is the one that `segment` would take."""
    judgement: SeriesJudgement | None = None
    try:
        judgement = judge_series(series)
        if listed is not None:
            return judgement, read_listed(listed, wanted), None
        if judgement.problems:
            return judgement, None, judgement.refusal()
        return judgement, read_chosen(series), None
    except InputError as error:
        return judgement, None, error


def _finding(
    series: SeriesInfo,
    judgement: SeriesJudgement | None,
    ct: CtInput | None,
    error: InputError | None,
    *,
    is_taken: bool,
) -> SeriesFinding:
    told = () if error is None else (error.message,)
    hu = None if ct is None else ct.volume.voxels
    return SeriesFinding(
        number=series.number,
        contents=series.contents(),
        geometry=judgement.stack.geometry if judgement else None,
        hu_range=None if hu is None else (float(hu.min()), float(hu.max())),
        problems=(judgement.problems if judgement else ()) or told,
        warnings=() if ct is None else ct.warnings,
        is_taken=is_taken,
    )
