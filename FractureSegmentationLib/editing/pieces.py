"""What every split ends with: pieces of one fragment become fragments of their own."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from FractureSegmentationLib.editing.edit import Edit, make_edit
from FractureSegmentationLib.editing.fragments import Fragments
from FractureSegmentationLib.errors import InputError
from FractureSegmentationLib.types import LabelArray, MaskArray, Spacing
from FractureSegmentationLib.voxels.components import label_components
from FractureSegmentationLib.voxels.nearest import grow_nearest


def split_edit(fragments: Fragments, label: int, pieces: LabelArray) -> Edit:
    """Make pieces of a fragment into fragments; the largest keeps the label.

    Args:
        fragments: all fragments.
        label: the fragment that is split.
        pieces: (K, J, I) piece 1..n of each of its voxels within its box, 0 elsewhere.

    Raises:
        InputError: there is only one piece, or the bone would have too many fragments.
    """
    record = fragments.record(label)
    sizes = np.bincount(pieces.ravel())
    sizes[0] = 0
    ranked = [int(piece) for piece in np.argsort(-sizes, kind="stable") if sizes[piece]]
    if len(ranked) < 2:
        raise InputError(
            f"The cut does not divide {record.name}.",
            "Place it so that it passes through the bone.",
        )
    table = np.zeros(len(sizes), np.uint16)
    table[ranked] = [label, *fragments.free_labels(record.bone, len(ranked) - 1)]
    before = fragments.labels.voxels[record.box]
    after = np.where(pieces > 0, table[pieces], before)
    return make_edit(fragments, record.box, after, f"split {record.name}")


def join_unreached(
    pieces: npt.NDArray[np.uint32], mask: MaskArray, spacing_mm: Spacing
) -> npt.NDArray[np.uint32]:
    """Give parts of a fragment that no piece has reached, each as a whole, to the nearest piece.

    Args:
        pieces: (K, J, I) pieces 1..n, 0 where none is.
        mask: (K, J, I) the fragment.
        spacing_mm: voxel size along (k, j, i), in mm.
    """
    unreached = mask & (pieces == 0)
    if not unreached.any():
        return pieces
    nearest = grow_nearest(pieces, mask, spacing_mm)[unreached].astype(np.int64)
    part = label_components(unreached, 26)[unreached].astype(np.int64)
    # Most voxels of the part decide: it stays whole.
    width = int(nearest.max()) + 1
    votes = np.bincount(part * width + nearest, minlength=(int(part.max()) + 1) * width)
    winner = votes.reshape(-1, width).argmax(axis=1)
    complete = pieces.copy()
    complete[unreached] = winner[part]
    return complete
