"""Gradient-boosted decision trees as plain arrays, evaluated with numpy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

_ARRAYS = ("feature", "threshold", "left", "right", "value")
_LEAF = -1


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BoostedTrees:
    """A sum of decision trees, as the log-odds of a probability.

    Node 0 of every tree is its root. Friedman, Greedy function approximation: a gradient boosting
    machine, Ann. Statist. 29 (2001).

    Attributes:
        feature: (T, N) int32 column that a node looks at; -1 for a leaf.
        threshold: (T, N) float32 rows whose value is at most this go left.
        left: (T, N) int32 node to the left.
        right: (T, N) int32 node to the right.
        value: (T, N) float32 what a leaf adds.
        offset: what the sum begins with.
        columns: how many features a row has.

    Raises:
        ValueError: the arrays do not describe such trees.
    """

    feature: npt.NDArray[np.int32]
    threshold: npt.NDArray[np.float32]
    left: npt.NDArray[np.int32]
    right: npt.NDArray[np.int32]
    value: npt.NDArray[np.float32]
    offset: float
    columns: int

    def __post_init__(self) -> None:
        shape = self.feature.shape
        if self.feature.ndim != 2 or any(getattr(self, n).shape != shape for n in _ARRAYS):
            raise ValueError("the arrays of trees must share one shape (trees, nodes)")
        node = np.arange(shape[1])
        inner = self.feature != _LEAF
        # Children come after their parents, so that every path ends.
        goes_on = (self.left > node) & (self.right > node)
        is_inside = (self.left < shape[1]) & (self.right < shape[1])
        if not (goes_on & is_inside)[inner].all() or not np.isfinite(self.value).all():
            raise ValueError("the nodes of a tree do not lead to a leaf")
        if self.feature.max(initial=_LEAF) >= self.columns or self.feature.min(initial=0) < _LEAF:
            raise ValueError("a tree looks at a feature that is not there")

    def probability(self, rows: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
        """Probability of each row.

        Args:
            rows: (E, columns) features.

        Returns:
            (E,) probabilities.

        Raises:
            ValueError: the number of columns is another one.
        """
        if rows.ndim != 2 or rows.shape[1] != self.columns:
            raise ValueError(f"{self.columns} features are needed, got {rows.shape}")
        values = rows.astype(np.float32)
        trees = np.arange(len(self.feature))[None, :]
        lines = np.arange(len(values))[:, None]
        node = np.zeros((len(values), len(self.feature)), np.int32)
        while True:
            feature = self.feature[trees, node]
            inner = feature != _LEAF
            if not inner.any():
                break
            is_left = values[lines, feature] <= self.threshold[trees, node]
            onward = np.where(is_left, self.left[trees, node], self.right[trees, node])
            node = np.where(inner, onward, node)
        odds = self.offset + self.value[trees, node].astype(np.float64).sum(axis=1)
        chance: npt.NDArray[np.float64] = 1.0 / (1.0 + np.exp(-odds))
        return chance

    def to_arrays(self, prefix: str) -> dict[str, npt.NDArray[np.generic]]:
        """The trees as named arrays, `<prefix>.feature` and so on."""
        arrays: dict[str, npt.NDArray[np.generic]] = {
            f"{prefix}.{name}": np.ascontiguousarray(getattr(self, name)) for name in _ARRAYS
        }
        arrays[f"{prefix}.offset"] = np.array([self.offset, float(self.columns)], np.float64)
        return arrays

    @classmethod
    def from_arrays(
        cls, arrays: Mapping[str, npt.NDArray[np.generic]], prefix: str
    ) -> BoostedTrees:
        """The trees of `to_arrays`.

        Raises:
            KeyError: an array is not there.
            ValueError: the arrays do not describe trees.
        """
        offset, columns = (float(v) for v in np.asarray(arrays[f"{prefix}.offset"]))
        return cls(
            feature=np.asarray(arrays[f"{prefix}.feature"], np.int32),
            threshold=np.asarray(arrays[f"{prefix}.threshold"], np.float32),
            left=np.asarray(arrays[f"{prefix}.left"], np.int32),
            right=np.asarray(arrays[f"{prefix}.right"], np.int32),
            value=np.asarray(arrays[f"{prefix}.value"], np.float32),
            offset=offset,
            columns=int(columns),
        )
