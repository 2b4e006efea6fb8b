"""All ratios of the speed table, each measured in one run: A B A B, never against a stored time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fracseg_training.benchmarks.speed.case import avx2_rows, padding_rows
from fracseg_training.benchmarks.speed.predictor import predictor_rows
from fracseg_training.benchmarks.speed.recovery import encoding_rows, growth_rows, recovery_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from fracseg_training.benchmarks.speed.measure import SpeedRow, SpeedSettings

    Part = Callable[[SpeedSettings], Iterator[SpeedRow]]

PARTS: Mapping[str, Part] = {
    "recovery": recovery_rows,
    "encoding": encoding_rows,
    "growth": growth_rows,
    "predictor": predictor_rows,
    "padding": padding_rows,
    "avx2": avx2_rows,
}
"""What can be measured, quick parts first."""


def speed_rows(settings: SpeedSettings, parts: Sequence[str] = ()) -> Iterator[SpeedRow]:
    """Measure part after part.

    Args:
        settings: how.
        parts: keys of `PARTS`; none given means all.

    Raises:
        ValueError: a part is not known.
    """
    if unknown := set(parts) - set(PARTS):
        raise ValueError(f"unknown parts: {', '.join(sorted(unknown))}")
    for name, part in PARTS.items():
        if not parts or name in parts:
            yield from part(settings)
