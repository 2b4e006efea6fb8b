"""What is known of a node beyond the scene: kept for that very node, not for its ID."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class PerNode:
    """One value per node. A cleared scene gives out an ID again; the new node has no value then."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[Any, Any]] = {}

    def keep(self, node: Any, value: Any) -> None:
        """Remember a value, in place of an earlier one."""
        self._kept[node.GetID()] = (node, value)

    def value_of(self, node: Any, make: Callable[[], Any]) -> Any:
        """The value of a node; `make` is asked for it where there is none yet."""
        owner, value = self._kept.get(node.GetID(), (None, None))
        if owner is not node:
            value = make()
            self.keep(node, value)
        return value

    def forget(self, node: Any) -> None:
        """The node has no value any more."""
        self._kept.pop(node.GetID(), None)

    def clear(self) -> None:
        """No node has a value any more."""
        self._kept.clear()
