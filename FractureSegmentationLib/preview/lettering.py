"""Words on an image, drawn by the font engine in vtk; it needs no OpenGL."""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

import numpy as np
import numpy.typing as npt

from FractureSegmentationLib.preview.raster import RgbImage

Color = tuple[int, int, int]
Anchor = Literal["left", "centre", "right"]

_DPI = 72


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
