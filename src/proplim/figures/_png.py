"""Pixels as a PNG file."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping

import numpy as np

LEVEL = 3
"""Of compression: higher ones take longer than they save."""
INCHES_PER_METRE = 1 / 0.0254

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_DEPTH = 8
"""Bits of a colour."""
_COLOURS = {3: 2, 4: 6}
"""Bytes of a pixel -> number by which the format calls what they mean."""
_PER_METRE = 1
"""Number of the unit in which a resolution is given."""
_OPAQUE = np.iinfo(np.uint8).max


def encoded(pixels: np.ndarray, dpi: float, texts: Mapping[str, str]) -> bytes:
    """A picture as the content of a PNG file.

    Parameters
    ----------
    pixels : (rows, columns, 4) array of uint8
        Red, green, blue and opacity; opacity is left out where everything is opaque.
    dpi : float
    texts : mapping
        Keyword -> text.

    Notes
    -----
    Rows are compressed as they are: where most of a page is white, differences of neighbours take longer to find, and
    are no smaller.
    """
    depth = 3 if _smallest_opacity(pixels) == _OPAQUE else 4
    rows, columns, _ = pixels.shape
    lines = np.zeros((rows, 1 + columns * depth), dtype=np.uint8)  # a zero before each row: it is as it is
    lines[:, 1:] = pixels[..., :depth].reshape(rows, -1)
    resolution = round(dpi * INCHES_PER_METRE)
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", columns, rows, _DEPTH, _COLOURS[depth], 0, 0, 0)),
        (b"pHYs", struct.pack(">IIB", resolution, resolution, _PER_METRE)),
        *((b"iTXt", name.encode() + bytes(5) + text.encode()) for name, text in texts.items()),
        (b"IDAT", zlib.compress(lines.data, LEVEL)),
        (b"IEND", b""),
    ]
    return _SIGNATURE + b"".join(_chunk(kind, content) for kind, content in chunks)


def _chunk(kind: bytes, content: bytes) -> bytes:
    """A part of the file: length, kind, content and checksum."""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def _smallest_opacity(pixels: np.ndarray) -> int:
    """Of a picture with red first and opacity last, looked at four bytes at a time."""
    return int(np.bitwise_and.reduce(pixels.view(np.uint32), axis=None).tobytes()[3])
