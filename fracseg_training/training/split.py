"""Which patients a run trains on, and which it only validates on."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from FractureSegmentationLib.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable


def refuse_unknown(asked: Iterable[str], known: Collection[str], option: str) -> None:
    """Refuse patients that no case is of.

    Raises:
        InputError: names them, and the patients there are.
    """
    unknown = sorted(set(asked) - set(known))
    if unknown:
        raise InputError(
            f"{option}: there is no case of patient {', '.join(unknown)}.",
            f"The patients are {', '.join(sorted(known))}.",
        )


def held_out_share(names: Collection[str], share: float) -> tuple[str, ...]:
    """A share of patients, rounded down, chosen by the hash of their names alone.

    A patient that is added or removed changes the choice by at most one other.
    """
    by_hash = sorted(set(names), key=lambda name: hashlib.sha256(name.encode()).hexdigest())
    return tuple(sorted(by_hash[: int(share * len(by_hash))]))
