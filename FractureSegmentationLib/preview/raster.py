"""Images as arrays, and their PNG files."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import numpy.typing as npt

RgbImage = npt.NDArray[np.uint8]
"""(H, W, 3) red, green, blue; row 0 on top."""


def blank(width: int, height: int, color: tuple[int, int, int]) -> RgbImage:
    """An image of one colour."""
    image = np.empty((height, width, 3), np.uint8)
    image[:] = color
    return image


def halved(image: npt.NDArray[np.generic]) -> npt.NDArray[np.float64]:
    """(H, W, C) of an image (2H, 2W, C): the mean of every four pixels."""
    height, width, channels = image.shape
    blocks = image.reshape(height // 2, 2, width // 2, 2, channels)
    mean: npt.NDArray[np.float64] = blocks.mean(axis=(1, 3), dtype=np.float64)
    return mean


def paste(image: RgbImage, part: RgbImage, left: int, top: int) -> None:
    """Put `part` into `image`; what does not fit is cut off."""
    height = min(part.shape[0], image.shape[0] - top)
    width = min(part.shape[1], image.shape[1] - left)
    if height > 0 and width > 0:
        image[top : top + height, left : left + width] = part[:height, :width]


def write_png(path: Path, image: RgbImage) -> None:
    """Write an 8-bit RGB PNG that holds pixels and nothing else.

    Raises:
        OSError: the file cannot be written.
    """
    height, width, _ = image.shape
    rows = np.zeros((height, 1 + 3 * width), np.uint8)  # each row begins with filter type 0
    rows[:, 1:] = image.reshape(height, -1)
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + _chunk(b"IHDR", header)
        + _chunk(b"IDAT", zlib.compress(rows.tobytes(), 6))
        + _chunk(b"IEND", b"")
    )


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
