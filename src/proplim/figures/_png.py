"""Pixels as a PNG file."""

from __future__ import annotations

import io
from collections.abc import Mapping

import numpy as np

LEVEL = 3
"""Of compression: higher ones take longer than they save."""


def encoded(pixels: np.ndarray, dpi: float, texts: Mapping[str, str]) -> bytes:
    """A picture as the content of a PNG file.

    Parameters
    ----------
    pixels : (rows, columns, 4) array of uint8
        Red, green, blue and opacity; opacity is left out where everything is opaque.
    dpi : float
    texts : mapping
        Keyword -> text.
    """
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    opaque = _smallest_opacity(pixels) == np.iinfo(np.uint8).max
    rows, columns, _ = pixels.shape
    picture = Image.frombytes(
        "RGB" if opaque else "RGBA", (columns, rows), pixels.data, "raw", "RGBX" if opaque else "RGBA"
    )
    about = PngInfo()
    for name, text in texts.items():
        about.add_text(name, text)
    file = io.BytesIO()
    picture.save(file, "PNG", dpi=(dpi, dpi), pnginfo=about, compress_level=LEVEL)
    return file.getvalue()


def _smallest_opacity(pixels: np.ndarray) -> int:
    """Of a picture with red first and opacity last, looked at four bytes at a time."""
    return int(np.bitwise_and.reduce(pixels.view(np.uint32), axis=None).tobytes()[3])
