"""The order in which the regions of a bone are put together: fewer or more fragments, at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True, kw_only=True)
class Merge:
    """Two groups of regions that are put together.

    Attributes:
        a: a region of the one group, by which the joined group is known from then on.
        b: a region of the other.
        probability: how likely both belong to one fragment, 0 to 1.
    """

    a: int
    b: int
    probability: float


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeTree:
    """Which regions of a bone belong together, from the surest pair to the least sure.

    Pairs that no chain of contact areas connects are in no merge and stay apart at any level.

    Attributes:
        count: regions are numbered 1 to `count`.
        merges: with probabilities that never rise from one to the next, so that every level cuts
            the tree into groups that finer levels only divide.
        level: merges of at least this probability are carried out where no other level is asked
            for.

    Raises:
        ValueError: a merge names a region that is not there or joins a group with itself, or the
            probabilities rise.
    """

    count: int
    merges: tuple[Merge, ...] = ()
    level: float = 0.5

    def __post_init__(self) -> None:
        if self.count < 0 or not 0.0 <= self.level <= 1.0:
            raise ValueError(f"count {self.count} and level {self.level} must be 0 or more")
        last = 1.0
        for merge in self.merges:
            if not 0.0 <= merge.probability <= last:
                raise ValueError("the probabilities of merges must fall within 0 to 1")
            last = merge.probability
        parents = np.arange(self.count + 1)
        for merge in self.merges:
            _join(parents, merge)

    def groups(self, level: float | None = None) -> npt.NDArray[np.uint16]:
        """The group of every region at a level.

        Args:
            level: merges of at least this probability are carried out; None takes `self.level`.

        Returns:
            (count + 1,) the least region of each region's group; 0 for region 0.
        """
        least = self.level if level is None else level
        parents = np.arange(self.count + 1)
        for merge in self.merges:
            if merge.probability >= least:
                _join(parents, merge)
        roots = np.array([_root(parents, label) for label in range(self.count + 1)])
        smallest = np.full(self.count + 1, self.count + 1)
        np.minimum.at(smallest, roots, np.arange(self.count + 1))
        groups: npt.NDArray[np.uint16] = smallest[roots].astype(np.uint16)
        return groups

    def fragment_count(self, level: float | None = None) -> int:
        """How many groups there are at a level; None takes `self.level`."""
        return len(np.unique(self.groups(level)[1:]))

    def levels(self) -> tuple[float, ...]:
        """One level per number of fragments that the tree offers, from the fewest to the most."""
        distinct = sorted({merge.probability for merge in self.merges})
        above = float(np.nextafter(distinct[-1], 2.0)) if distinct else 1.0
        return (*distinct, min(above, 1.0)) if above <= 1.0 else tuple(distinct)

    def join_probabilities(self, level: float | None = None) -> dict[tuple[int, int], float]:
        """How likely every two groups of a level are one fragment all the same.

        That is the probability of the merge that would put both together; pairs without one are
        not listed.

        Args:
            level: as for `groups`.

        Returns:
            Probability by two groups, the smaller one first.
        """
        least = self.level if level is None else level
        groups = self.groups(level)
        members = {int(group): {int(group)} for group in np.unique(groups[1:])}
        found: dict[tuple[int, int], float] = {}
        for merge in self.merges:
            if merge.probability >= least:
                continue
            a, b = (members[int(groups[region])] for region in (merge.a, merge.b))
            for one in a:
                found.update({(min(one, two), max(one, two)): merge.probability for two in b})
            a |= b
            for group in b:
                members[group] = a
        return found

    def weakest_inside(self, level: float | None = None) -> dict[int, float]:
        """The least probability with which each group was put together; 1 for a single region.

        Args:
            level: as for `groups`.
        """
        least = self.level if level is None else level
        groups = self.groups(level)
        weakest = {int(group): 1.0 for group in np.unique(groups[1:])}
        for merge in self.merges:
            if merge.probability >= least:
                group = int(groups[merge.a])
                weakest[group] = min(weakest[group], merge.probability)
        return weakest


def _join(parents: npt.NDArray[np.int64], merge: Merge) -> None:
    """Carry out a merge in a forest of groups, in place."""
    if not (1 <= merge.a < parents.size and 1 <= merge.b < parents.size):
        raise ValueError(f"{merge} names a region that is none of 1 to {parents.size - 1}")
    a, b = _root(parents, merge.a), _root(parents, merge.b)
    if a == b:
        raise ValueError(f"{merge} joins a group with itself")
    parents[b] = a


def _root(parents: npt.NDArray[np.int64], label: int) -> int:
    while parents[label] != label:
        label = int(parents[label])
    return label
