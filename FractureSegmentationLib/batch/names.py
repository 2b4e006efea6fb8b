"""Names of the result folders of many cases: safe on every system, each there once."""

from __future__ import annotations

from collections.abc import Sequence

from FractureSegmentationLib.io.portable_name import is_reserved, portable_name, unused_name

_LONGEST_BYTES = 80
_OURS = frozenset({"summary.csv", "summary.json"})


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
