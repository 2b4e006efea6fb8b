"""The list of cases, a CSV table or one CT per line: read, named, and turned into jobs."""

from __future__ import annotations

import codecs
import contextlib
import csv
import io
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from FractureSegmentationLib.batch.one_case import CaseJob
from FractureSegmentationLib.config import BoneFinder, SegmentSettings, finder_named
from FractureSegmentationLib.errors import InputError
from FractureSegmentationLib.io.portable_name import is_reserved, portable_name, unused_name

COLUMNS = ("ct", "name", "series", "bones")
_COMMENT = "#"
_DELIMITERS = ",;\t"


_LONGEST_BYTES = 80
_OURS = frozenset({"summary.csv", "summary.json"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedCase:
    """One line of the list.

    Attributes:
        name: of its result folder; not taken from the CT, whose name may be a patient's.
        line: where it stands in the list, 1 = first line of the file.
        ct: a DICOM folder, a file of a DICOM series, or an image file.
        series: number or UID of the series; None if the list does not say.
        bones: how the bones are detected, or a label file; None if the list does not say.
    """

    name: str
    line: int
    ct: Path
    series: str | None = None
    bones: BoneFinder | Path | None = None


def read_case_list(path: Path) -> tuple[ListedCase, ...]:
    """Read a list of cases.

    A table has a first line that names its columns: `ct`, and if wanted `name`, `series` and
    `bones`, between commas, semicolons or tabs. Any other text holds one CT per line. Lines that
    are empty or begin with # are passed over. Relative paths start at the folder of the list.

    Args:
        path: a text file, UTF-8; names of files may have any encoding.

    Returns:
        The cases in the order of the list, each with a folder name of its own.

    Raises:
        InputError: the list cannot be read, is no such list, or names no case.
    """
    text = _text_of(path)
    rows = list(_table_rows(text) if _is_table(text) else _plain_rows(text))
    if not rows:
        raise InputError("The list names no case.", "Put one CT on each line.")
    folder = path.absolute().parent
    names = folder_names([row.get("name", "") for _, row in rows])
    return tuple(
        ListedCase(
            name=name,
            line=line,
            ct=_file_named(folder, row["ct"]),
            series=row.get("series") or None,
            bones=_bones_named(row.get("bones", ""), folder),
        )
        for name, (line, row) in zip(names, rows, strict=True)
    )


def _bones_named(text: str, folder: Path) -> BoneFinder | Path | None:
    """How bones are detected: the name of a way, or else a label file, relative to `folder`."""
    return finder_named(text) or (_file_named(folder, text) if text else None)


def _text_of(path: Path) -> str:
    try:
        # Spreadsheets put a mark in front that is no part of the text.
        content = path.read_bytes()
    except OSError as error:
        raise InputError(
            "The list of cases could not be read.", "Check its name and that you may read it."
        ) from error
    if b"\0" in content:
        raise InputError("The list of cases is not a text.", "Save it as CSV (UTF-8).")
    # A name that is not UTF-8 keeps its bytes, as names from the file system do. The mark that
    # spreadsheets put in front is no part of the text.
    return content.removeprefix(codecs.BOM_UTF8).decode("utf-8", "surrogateescape")


def _file_named(folder: Path, text: str) -> Path:
    """A file of the list; of a list saved by an old spreadsheet, its name in that encoding."""
    file = folder / text
    if not file.exists():
        with contextlib.suppress(UnicodeError):
            saved = folder / os.fsencode(text).decode("cp1252")
            return saved if saved.exists() else file
    return file


def _is_table(text: str) -> bool:
    """Whether the first line that says something names columns.

    Raises:
        InputError: it does, but not those that are known, or no `ct`.
    """
    header = next((line for line in text.splitlines() if _says_something(line)), "")
    columns = _columns(header)
    if "ct" not in columns and not (len(columns) > 1 and set(columns) & set(COLUMNS)):
        return False
    if "ct" not in columns or set(columns) - set(COLUMNS) or len(set(columns)) < len(columns):
        raise InputError(
            "The first line of the list does not name its columns properly.",
            f"Name ct once and, if wanted, {', '.join(COLUMNS[1:])}; there is no other column.",
        )
    return True


def _table_rows(text: str) -> Iterator[tuple[int, dict[str, str]]]:
    """(line, value per column) of every case in a table."""
    columns: list[str] = []
    delimiter = ","
    lines = [line if _says_something(line) else "" for line in text.splitlines()]
    for header in lines:
        if header:
            columns, delimiter = _columns(header), _delimiter(header)
            break
    reader = csv.reader(io.StringIO("\n".join(lines)), delimiter=delimiter)
    try:
        values = [(reader.line_num, [value.strip() for value in row]) for row in reader if any(row)]
    except csv.Error as error:
        raise InputError(
            f"Line {reader.line_num} of the list cannot be understood.",
            "Check its quotation marks.",
        ) from error
    for line, row in values[1:]:
        if len(row) > len(columns):
            raise InputError(
                f"Line {line} of the list has more values than there are columns.",
                "Put names that hold the separator between quotation marks.",
            )
        named = dict(zip(columns, row, strict=False))
        if not named.get("ct"):
            raise InputError(f"Line {line} of the list names no CT.", "Fill in the column ct.")
        yield line, named


def _plain_rows(text: str) -> Iterator[tuple[int, dict[str, str]]]:
    for number, line in enumerate(text.splitlines(), start=1):
        if _says_something(line):
            yield number, {"ct": line.strip()}


def _says_something(line: str) -> bool:
    return bool(line.strip()) and not line.lstrip().startswith(_COMMENT)


def _delimiter(header: str) -> str:
    return max(_DELIMITERS, key=header.count)


def _columns(header: str) -> list[str]:
    return [name.strip().strip('"').lower() for name in header.split(_delimiter(header))]


def folder_names(given: Sequence[str]) -> tuple[str, ...]:
    """One folder name per case.

    What the user gave is kept as far as every file system allows it; a case without a name becomes
    `case-001` by its place in the list. Nothing is taken from the path of the CT, which may hold a
    patient's name.

    Args:
        given: the user's name per case, "" for none.

    Returns:
        Names that stay different where upper and lower case are the same; a name that is there
        already gets -2, -3 and so on behind it.
    """
    taken = set(_OURS)
    names = []
    for number, wish in enumerate(given, start=1):
        name = unused_name(_safe(wish) or f"case-{number:03d}", taken, "-")
        taken.add(name.casefold())
        names.append(name)
    return tuple(names)


def _safe(wish: str) -> str:
    name = portable_name(wish, _LONGEST_BYTES)
    return f"case-{name}" if is_reserved(name) else name


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
