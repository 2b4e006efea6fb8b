"""One undo history for all changes, by buttons and by foreign tools, within a bound of memory."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from FractureSegmentationLib.editing.edit import Edit, Labels
from FractureSegmentationLib.editing.fragments import FragmentRecord, Fragments
from FractureSegmentationLib.types import Box, MaskArray

_FAST = 1
"""zlib level: label maps are so regular that a higher one gains little and costs time."""


class EditHistory:
    """What can be undone and redone. It holds changed voxels only, compressed.

    Args:
        limit_bytes: memory that the steps may take; the oldest are forgotten first. The latest is
            kept however large it is.

    Raises:
        ValueError: the limit is negative.
    """

    def __init__(self, limit_bytes: int = 128 * 2**20) -> None:
        if limit_bytes < 0:
            raise ValueError(f"limit_bytes must be >= 0, got {limit_bytes}")
        self._limit_bytes = limit_bytes
        self._done: list[_Packed] = []
        self._undone: list[_Packed] = []

    @property
    def bytes_held(self) -> int:
        """Memory of all steps."""
        return sum(step.size for step in (*self._done, *self._undone))

    @property
    def undo_description(self) -> str | None:
        """What an undo would take back; None where there is nothing."""
        return self._done[-1].description if self._done else None

    @property
    def redo_description(self) -> str | None:
        """What a redo would do again; None where there is nothing."""
        return self._undone[-1].description if self._undone else None

    def record(self, edit: Edit) -> None:
        """Remember a change that was applied; what was undone before can no longer be redone."""
        self._undone.clear()
        self._done.append(_Packed.of(edit))
        while len(self._done) > 1 and self.bytes_held > self._limit_bytes:
            del self._done[0]

    def undo(self, fragments: Fragments) -> Edit:
        """The change that takes the latest step back; it is to be applied to `fragments`.

        Raises:
            ValueError: there is nothing to undo, or a change since then was not recorded.
        """
        if not self._done:
            raise ValueError("there is nothing to undo")
        edit = self._done[-1].inverse_on(fragments)
        self._undone.append(self._done.pop())
        return edit

    def redo(self, fragments: Fragments) -> Edit:
        """The change that does the step undone last again; it is to be applied to `fragments`.

        Raises:
            ValueError: there is nothing to redo, or a change since then was not recorded.
        """
        if not self._undone:
            raise ValueError("there is nothing to redo")
        edit = self._undone[-1].on(fragments)
        self._done.append(self._undone.pop())
        return edit

    def clear(self) -> None:
        """Forget everything, e.g. when another segmentation is loaded."""
        self._done.clear()
        self._undone.clear()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Packed:
    """An edit without its unchanged voxels."""

    description: str
    box: Box
    changed: bytes
    old: bytes
    new: bytes
    records_before: tuple[FragmentRecord, ...]
    records_after: tuple[FragmentRecord, ...]
    retired_before: frozenset[int]
    retired_after: frozenset[int]
    renumbered: Mapping[int, int]

    @classmethod
    def of(cls, edit: Edit) -> _Packed:
        changed = edit.before != edit.after
        return cls(
            description=edit.description,
            box=edit.box,
            changed=zlib.compress(np.packbits(changed).tobytes(), _FAST),
            old=zlib.compress(edit.before[changed].tobytes(), _FAST),
            new=zlib.compress(edit.after[changed].tobytes(), _FAST),
            records_before=edit.records_before,
            records_after=edit.records_after,
            retired_before=edit.retired_before,
            retired_after=edit.retired_after,
            renumbered=edit.renumbered,
        )

    @property
    def size(self) -> int:
        return len(self.changed) + len(self.old) + len(self.new)

    def on(self, fragments: Fragments) -> Edit:
        """The edit in full; what it leaves alone is taken from `fragments`."""
        before = np.array(fragments.labels.voxels[self.box], np.uint16)
        changed, old, new = self._mask(before.shape), _labels(self.old), _labels(self.new)
        if not np.array_equal(before[changed], old):
            raise ValueError("the labels were changed without being recorded in the history")
        after = before.copy()
        after[changed] = new
        return Edit(
            description=self.description,
            box=self.box,
            before=before,
            after=after,
            records_before=self.records_before,
            records_after=self.records_after,
            retired_before=self.retired_before,
            retired_after=self.retired_after,
            renumbered=self.renumbered,
        )

    def inverse_on(self, fragments: Fragments) -> Edit:
        return _Packed(
            description=self.description,
            box=self.box,
            changed=self.changed,
            old=self.new,
            new=self.old,
            records_before=self.records_after,
            records_after=self.records_before,
            retired_before=self.retired_after,
            retired_after=self.retired_before,
            renumbered={new: old for old, new in self.renumbered.items()},
        ).on(fragments)

    def _mask(self, shape: tuple[int, ...]) -> MaskArray:
        bits = np.frombuffer(zlib.decompress(self.changed), np.uint8)
        count = int(np.prod(shape))
        return np.unpackbits(bits, count=count).astype(bool).reshape(shape)


def _labels(packed: bytes) -> Labels:
    return np.frombuffer(zlib.decompress(packed), np.uint16)
