"""The legend under the pictures (names, colours, volumes), and text drawn without OpenGL."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
import numpy.typing as npt

from FractureSegmentationLib.anatomy.catalogue import Rgb
from FractureSegmentationLib.anatomy.naming import fragment_color, segment_name
from FractureSegmentationLib.anatomy.numbering import Numbering
from FractureSegmentationLib.preview.raster import RgbImage
from FractureSegmentationLib.volume import LabelVolume

NOTICE = "Not for diagnosis. Review every fragment."
INK, PALE_INK = (28, 34, 44), (110, 118, 130)
LINE_PX = 28

_ROWS, _COLUMNS = 5, 3
_SIZE_PX = 16
_INDENT_PX = 24


Color = tuple[int, int, int]
Anchor = Literal["left", "centre", "right"]
_DPI = 72


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
    meanings = {
        label: numbering.fragment_of(label) for label in (np.flatnonzero(voxels[1:]) + 1).tolist()
    }
    pieces = [bone.slug for bone, _ in meanings.values()]
    return [
        Entry(
            label=label,
            name=segment_name(bone, index, is_only_piece=pieces.count(bone.slug) == 1),
            color=fragment_color(bone, index),
            mask_value=bone.mask_value,
            volume_cm3=float(voxels[label]) * fragments.geometry.voxel_volume_mm3 / 1000.0,
        )
        for label, (bone, index) in meanings.items()
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


def write_text(
    image: RgbImage,
    text: str,
    position: tuple[int, int],
    size_px: int,
    color: Color,
    anchor: Anchor = "left",
) -> None:
    """Write one line of text onto `image`.

    Args:
        image: changed in place.
        text: Latin letters, digits, punctuation.
        position: (x, y) of the anchor; y is the top of the line.
        size_px: height of the letters.
        color: red, green, blue, 0 to 255.
        anchor: which end of the line, or its middle, is at x.
    """
    coverage = _coverage(text, size_px)
    height, width = coverage.shape
    left = position[0] - {"left": 0, "centre": width // 2, "right": width}[anchor]
    top = position[1]
    rows = slice(max(top, 0), min(top + height, image.shape[0]))
    columns = slice(max(left, 0), min(left + width, image.shape[1]))
    if rows.start >= rows.stop or columns.start >= columns.stop:
        return
    ink = coverage[
        rows.start - top : rows.stop - top, columns.start - left : columns.stop - left, None
    ]
    below = image[rows, columns]
    image[rows, columns] = np.rint(below + (np.asarray(color) - below) * ink).astype(np.uint8)


def text_width(text: str, size_px: int) -> int:
    """Width of a line of text, in pixels."""
    return int(_coverage(text, size_px).shape[1])


@lru_cache(maxsize=256)
def _coverage(text: str, size_px: int) -> npt.NDArray[np.float64]:
    """(H, W) how much of every pixel the letters cover, 0 to 1; all lines of a size are as high."""
    from vtkmodules.util.numpy_support import vtk_to_numpy
    from vtkmodules.vtkCommonDataModel import vtkImageData
    from vtkmodules.vtkRenderingCore import vtkTextProperty
    from vtkmodules.vtkRenderingFreeType import vtkFreeTypeTools

    style = vtkTextProperty()
    style.SetFontFamilyToArial()
    style.SetFontSize(size_px)
    style.SetColor(1.0, 1.0, 1.0)
    picture, used = vtkImageData(), [0, 0]
    tools = vtkFreeTypeTools.GetInstance()
    # vtk measures lines by the same tall and deep letters, so all of a size are equally high.
    if not text or not tools.RenderString(style, text, _DPI, picture, used):
        return np.zeros((size_px, 1))
    columns, rows, _ = picture.GetDimensions()
    pixels = vtk_to_numpy(picture.GetPointData().GetScalars()).reshape(rows, columns, -1)
    opacity: npt.NDArray[np.float64] = pixels[: used[1], : used[0], -1][::-1] / 255.0
    return opacity
