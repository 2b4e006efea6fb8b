"""Checksum of the voxels of one fragment: an acceptance holds for these voxels only."""

from __future__ import annotations

import zlib

import numpy as np

from FractureSegmentationLib.types import Box, MaskArray


def checksum(mask: MaskArray, box: Box) -> str:
    """CRC-32 of a fragment's mask in its box and of the box, as eight hexadecimal digits.

    Args:
        mask: (K, J, I) the voxels within the box.
        box: the smallest box of the grid that holds them.
    """
    bounds = np.array([(side.start, side.stop) for side in box], "<i4")
    return f"{zlib.crc32(bounds.tobytes(), zlib.crc32(np.packbits(mask).tobytes())):08x}"
