"""One line of the speed table: what was measured, what was asked for, and whether it was met."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeedSettings:
    """How the speed is measured.

    Attributes:
        data: folder that holds `real`.
        threads: of the networks.
        repeats: pairs per ratio.
        uses_network_maps: recover from the maps of the shipped weights; else from true ones with
            noise, which takes no network.

    Raises:
        ValueError: a count is below one.
    """

    data: Path
    threads: int = 1
    repeats: int = 3
    uses_network_maps: bool = False

    def __post_init__(self) -> None:
        if min(self.threads, self.repeats) < 1:
            raise ValueError(f"threads and repeats must be at least 1, got {self}")


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeedRow:
    """One line of the table.

    Attributes:
        name: what is compared.
        measured: figures with their units.
        target: what was asked for; empty where the figure only informs.
        is_met: None where there is no target.
    """

    name: str
    measured: str
    target: str = ""
    is_met: bool | None = None

    def line(self) -> str:
        """The row as a line of text."""
        verdict = {None: "", True: "met", False: "MISSED"}[self.is_met]
        asked = f"  [{self.target}: {verdict}]" if self.target else ""
        return f"{self.name}: {self.measured}{asked}"
