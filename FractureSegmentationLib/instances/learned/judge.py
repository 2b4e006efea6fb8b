"""Who judges whether two regions are one fragment: a rule, or a model that was trained for it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from FractureSegmentationLib.instances.learned.boosted_trees import BoostedTrees
from FractureSegmentationLib.instances.learned.features import BONE_KINDS, EDGE_FEATURES

WHOLE_FEATURES: Final = (
    "least_probability",
    "second_probability",
    "contact_of_cut",
    "likely_share_of_cut",
    "cell_least_of_cut",
    "dark_of_cut",
    "log_area_of_cut",
    "log_smaller_of_cut",
    "fragments",
    "share_of_second",
    "contact_of_bone",
    "log_bone",
    *(f"is_{kind}" for kind in BONE_KINDS),
)


class Judge(ABC):
    """Says how likely it is that regions belong together.

    Attributes:
        level: regions that are one fragment with at least this probability are put together.
    """

    level: float

    @abstractmethod
    def same_fragment(self, rows: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        """(E,) how likely the two regions of each contact area are one fragment.

        Args:
            rows: (E, F) in the order of `EDGE_FEATURES`.
        """

    @abstractmethod
    def whole(self, row: npt.NDArray[np.float32]) -> float:
        """How likely the bone is in one piece.

        Args:
            row: (F,) in the order of `WHOLE_FEATURES`.
        """


class ContactJudge(Judge):
    """The rule without training: two regions are apart as far as their border is contact."""

    level = 0.5

    def same_fragment(self, rows: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        """1 minus the mean contact probability over the area."""
        contact = rows[:, EDGE_FEATURES.index("contact_mean")]
        same: npt.NDArray[np.float64] = 1.0 - contact.astype(np.float64)
        return same

    def whole(self, row: npt.NDArray[np.float32]) -> float:
        """No bone is judged whole beyond what its contact areas say."""
        del row
        return 0.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MergeModel(Judge):
    """Two ensembles of trees that were trained on the maps of one network.

    Attributes:
        edges: for contact areas.
        bones: for whole bones.
        network_sha256: of the weights whose maps they were trained on.
        level: see `Judge`. Below a half: two halves of a fragment that stay apart are put together
            by one click, but so are two fragments divided by one; a spurious one is one more thing
            to look at.

    Raises:
        ValueError: an ensemble looks at other features than these, or the level is impossible.
    """

    edges: BoostedTrees
    bones: BoostedTrees
    network_sha256: str
    level: float = 0.3

    def __post_init__(self) -> None:
        wanted = (len(EDGE_FEATURES), len(WHOLE_FEATURES))
        if (self.edges.columns, self.bones.columns) != wanted:
            raise ValueError(
                f"trees of {wanted} features are needed, "
                f"got {self.edges.columns} and {self.bones.columns}"
            )
        if not 0.0 <= self.level <= 1.0:
            raise ValueError(f"level must lie in [0, 1], got {self.level}")

    def same_fragment(self, rows: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        """See `Judge`."""
        return self.edges.probability(rows)

    def whole(self, row: npt.NDArray[np.float32]) -> float:
        """See `Judge`."""
        return float(self.bones.probability(row[None])[0])
