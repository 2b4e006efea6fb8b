"""The names, colours and volumes of the fragments under the pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from FractureSegmentationLib.anatomy.catalogue import Rgb
from FractureSegmentationLib.anatomy.naming import fragment_color, segment_name
from FractureSegmentationLib.anatomy.numbering import Numbering
from FractureSegmentationLib.preview.lettering import text_width, write_text
from FractureSegmentationLib.preview.raster import RgbImage
from FractureSegmentationLib.volume import LabelVolume

NOTICE = "Not for diagnosis. Review every fragment."
INK, PALE_INK = (28, 34, 44), (110, 118, 130)
LINE_PX = 28

_ROWS, _COLUMNS = 5, 3
_SIZE_PX = 16
_INDENT_PX = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What the picture says of one fragment.

    Attributes:
        label: its label.
        name: what a person reads.
        color: red, green, blue, each 0 to 1.
        mask_value: mask value of its bone.
        volume_cm3: its volume.
    """

    label: int
    name: str
    color: Rgb
    mask_value: int
    volume_cm3: float


def list_entries(fragments: LabelVolume, numbering: Numbering) -> list[Entry]:
    """Name, colour and volume of every fragment, ascending by label.

    Raises:
        ValueError: there is none, or a label belongs to no bone.
    """
    voxels = np.bincount(fragments.voxels.ravel())
    found = {
        label: numbering.fragment_of(label) for label in (np.flatnonzero(voxels[1:]) + 1).tolist()
    }
    pieces = [bone.slug for bone, _ in found.values()]
    return [
        Entry(
            label=label,
            name=segment_name(bone, index, is_only_piece=pieces.count(bone.slug) == 1),
            color=fragment_color(bone, index),
            mask_value=bone.mask_value,
            volume_cm3=float(voxels[label]) * fragments.geometry.voxel_volume_mm3 / 1000.0,
        )
        for label, (bone, index) in found.items()
    ]


def legend_height(entries: Sequence[Entry]) -> int:
    """Pixels that the legend of these fragments takes."""
    return (min(_ROWS, -(-len(entries) // _COLUMNS)) + 1) * LINE_PX


def draw_legend(image: RgbImage, entries: Sequence[Entry], top: int) -> None:
    """Write the legend onto `image` from row `top` on; where it is full, the largest are named."""
    room = _ROWS * _COLUMNS
    shown = list(entries)
    if len(shown) > room:
        kept = sorted(shown, key=lambda entry: -entry.volume_cm3)[: room - 1]
        shown = [entry for entry in shown if entry in kept]
    rows = -(-len(shown) // _COLUMNS)
    width = (image.shape[1] - 2 * _INDENT_PX) // _COLUMNS
    for number, entry in enumerate(shown):
        column, row = divmod(number, rows)
        left, y = _INDENT_PX + column * width, top + row * LINE_PX
        swatch = image[y + 3 : y + 3 + _SIZE_PX, left : left + _SIZE_PX]
        swatch[:] = np.rint(np.asarray(entry.color) * 255.0).astype(np.uint8)
        write_text(image, entry.name, (left + _INDENT_PX + 2, y), _SIZE_PX, INK)
        after = left + _INDENT_PX + 14 + text_width(entry.name, _SIZE_PX)
        write_text(image, _volume_text(entry.volume_cm3), (after, y), _SIZE_PX, PALE_INK)
    bottom = top + legend_height(entries) - LINE_PX + 4
    write_text(image, NOTICE, (_INDENT_PX, bottom), _SIZE_PX, PALE_INK)
    hidden = len(entries) - len(shown)
    note = f"and {hidden} smaller fragments" if hidden else "FractureSegmentation"
    write_text(image, note, (image.shape[1] - _INDENT_PX, bottom), _SIZE_PX, PALE_INK, "right")


def _volume_text(volume_cm3: float) -> str:
    return f"{volume_cm3:.0f} cm³" if volume_cm3 >= 10.0 else f"{volume_cm3:.1f} cm³"
