"""Where NIfTI-1 and NIfTI-2 keep the fields of their headers."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from FractureSegmentationLib.io.image_header import HeaderError


@dataclass(frozen=True, slots=True)
class _Layout:
    """Where a NIfTI version keeps its fields: byte offset and struct code of each."""

    header_bytes: int
    magic: tuple[int, bytes]
    dim: tuple[int, str]
    kind: tuple[int, str]
    bits: tuple[int, str]
    pixdim: tuple[int, str]
    data_offset: tuple[int, str]
    scale: tuple[int, str]
    units: tuple[int, str]
    codes: tuple[int, str]
    quaternion: tuple[int, str]
    rows: tuple[int, str]


_LAYOUTS = (
    _Layout(
        348,
        (344, b"n+1\0"),
        (40, "8h"),
        (70, "h"),
        (72, "h"),
        (76, "8f"),
        (108, "f"),
        (112, "2f"),
        (123, "B"),
        (252, "2h"),
        (256, "6f"),
        (280, "12f"),
    ),
    _Layout(
        540,
        (4, b"n+2\0\r\n\x1a\n"),
        (16, "8q"),
        (12, "h"),
        (14, "h"),
        (104, "8d"),
        (168, "q"),
        (176, "2d"),
        (500, "i"),
        (344, "2i"),
        (352, "6d"),
        (400, "12d"),
    ),
)


class NiftiFields:
    """The fields of one header.

    Attributes:
        layout: where each is.
        order: the byte order, < or >.

    Args:
        header: the first 544 bytes of the file, or all there are.

    Raises:
        HeaderError: it is no NIfTI header.
    """

    def __init__(self, header: bytes) -> None:
        self._header = header
        self.layout, self.order = self._recognised()

    def get(self, field: tuple[int, str]) -> tuple[float, ...]:
        """The values of a field."""
        return struct.unpack_from(self.order + field[1], self._header, field[0])

    def _recognised(self) -> tuple[_Layout, str]:
        for layout in _LAYOUTS:
            offset, magic = layout.magic
            for order in "<>":
                if (
                    len(self._header) >= layout.header_bytes
                    and struct.unpack_from(f"{order}i", self._header)[0] == layout.header_bytes
                    and self._header[offset : offset + len(magic)] == magic
                ):
                    return layout, order
        raise HeaderError("no NIfTI header")
