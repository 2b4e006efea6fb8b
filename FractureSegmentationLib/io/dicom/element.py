"""Single elements of a DICOM data set as plain Python values, whatever was stored in them.

Headers are written by many hands: values are absent, empty, of the wrong kind, not numbers. What
cannot be understood raises `ValueError` or an error of pydicom; the caller calls the file damaged.
"""

from __future__ import annotations

import contextlib
import logging
import math
import warnings
from collections.abc import Iterator
from typing import Any

import pydicom


@contextlib.contextmanager
def quiet_pydicom() -> Iterator[None]:
    """Keep pydicom from warning and logging: it quotes ill-formed values, perhaps a patient's."""
    logger = logging.getLogger("pydicom")
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)  # which holds for the loggers below it too
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def values(data: pydicom.Dataset, name: str) -> list[Any]:
    """The values of an element; none if it is absent or empty."""
    value = data.get(name)
    if value is None or value == "":
        return []
    is_single = isinstance(value, (str, bytes)) or not hasattr(value, "__iter__")
    return [value] if is_single else list(value)


def text(data: pydicom.Dataset, name: str) -> str:
    """The first value of an element as text; "" if there is none."""
    found = values(data, name)
    return str(found[0]).strip() if found else ""


def optional_number(data: pydicom.Dataset, name: str) -> float | None:
    """The value of an element as a number; None if there is none.

    Raises:
        ValueError: it is no number, not finite, or there are several.
    """
    found = values(data, name)
    if not found:
        return None
    if len(found) > 1:
        raise ValueError(f"{name} has several values")
    number = float(found[0])
    if not math.isfinite(number):
        raise ValueError(f"{name} is not finite")
    return number


def number(data: pydicom.Dataset, name: str, default: float) -> float:
    """As `optional_number`, with `default` where there is no value."""
    found = optional_number(data, name)
    return default if found is None else found


def count(data: pydicom.Dataset, name: str, default: int | None = None) -> int:
    """A whole number of at least 1.

    Raises:
        ValueError: it is absent and has no default, or is no such number.
    """
    found = optional_number(data, name)
    if found is None and default is not None:
        return default
    if found is None or found < 1 or found != int(found):
        raise ValueError(f"{name} is no count")
    return int(found)


def numbers(data: pydicom.Dataset, name: str, size: int, largest: float) -> tuple[float, ...]:
    """Several numbers; none if they are not `size` finite ones of at most `largest` either way."""
    try:
        found = tuple(float(value) for value in values(data, name))
    except (TypeError, ValueError):
        return ()
    is_usable = len(found) == size and all(abs(value) <= largest for value in found)
    return found if is_usable else ()


def items(data: pydicom.Dataset, name: str) -> list[pydicom.Dataset]:
    """The items of a sequence; none if it is absent.

    Raises:
        ValueError: the element is no sequence.
    """
    found = values(data, name)
    if not all(isinstance(item, pydicom.Dataset) for item in found):
        raise ValueError(f"{name} is no sequence")
    return found
