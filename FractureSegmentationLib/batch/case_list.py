"""The list of cases: a table (CSV) with a column `ct`, or a plain text with one CT per line."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from FractureSegmentationLib.batch.names import folder_names
from FractureSegmentationLib.config import BoneFinder, finder_named
from FractureSegmentationLib.errors import InputError

COLUMNS = ("ct", "name", "series", "bones")
_COMMENT = "#"
_DELIMITERS = ",;\t"


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedCase:
    """One line of the list.

    Attributes:
        name: of its result folder; not taken from the CT, whose name may be a patient's.
        line: where it stands in the list, 1 = first line of the file.
        ct: a DICOM folder, a file of a DICOM series, or an image file.
        series: number or UID of the series; None if the list does not say.
        bones: how the bones are found, or a label file; None if the list does not say.
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
        path: a text file, UTF-8.

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
            ct=folder / row["ct"],
            series=row.get("series") or None,
            bones=_bones_named(row.get("bones", ""), folder),
        )
        for name, (line, row) in zip(names, rows, strict=True)
    )


def _bones_named(text: str, folder: Path) -> BoneFinder | Path | None:
    """How bones are found: the name of a way, or else a label file, relative to `folder`."""
    return finder_named(text) or (folder / text if text else None)


def _text_of(path: Path) -> str:
    try:
        # Spreadsheets put a mark in front that is no part of the text.
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputError(
            "The list of cases could not be read.", "Check its name and that you may read it."
        ) from error
    except UnicodeDecodeError as error:
        raise InputError(
            "The list of cases is not a UTF-8 text.", "Save it as CSV (UTF-8) or as plain text."
        ) from error
    if "\0" in text:
        raise InputError("The list of cases is not a text.", "Save it as CSV (UTF-8).")
    return text


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
