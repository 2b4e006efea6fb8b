"""How far a few clicks get: a played user corrects simulated errors in real bones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from fracseg_training.benchmarks.played_user import play
from fracseg_training.benchmarks.simulated_errors import simulated_errors, true_cases

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fracseg_training.benchmarks.played_user import Play
    from fracseg_training.benchmarks.simulated_errors import SimulatedError
    from FractureSegmentationLib.editing.evidence import CutEvidence
    from FractureSegmentationLib.volume import LabelVolume

RANDOM_TRIALS = 5


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PlayedError:
    """One error with all its plays; the first is that with clicks at centres.

    Attributes:
        error: what was wrong.
        plays: one with centres, then those with random points where a split was needed.
    """

    error: SimulatedError
    plays: tuple[Play, ...]

    @property
    def worst_random(self) -> Play:
        """The random play that ended worst; that with centres where nothing was random."""
        return min(self.plays[1:] or self.plays, key=lambda play: play.after)


def played_errors(
    patient: str, truth: LabelVolume, evidence: CutEvidence, seed: int
) -> Iterator[PlayedError]:
    """Play every simulated error of a patient.

    Args:
        patient: what to call it.
        truth: fragments in the numbering of PENGWIN 2024.
        evidence: what the splits go by.
        seed: of the errors and the random points.
    """
    for number, case in enumerate(true_cases(patient, truth)):
        errors = simulated_errors(case, np.random.default_rng([seed, number]))
        for order, error in enumerate(errors):
            plays = [play(error, evidence, "centre", np.random.default_rng(seed))]
            if plays[0].split_seconds:
                plays += [
                    play(error, evidence, "random", np.random.default_rng([seed, order, trial]))
                    for trial in range(RANDOM_TRIALS)
                ]
            yield PlayedError(error=error, plays=tuple(plays))
