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

    opaque = bool((pixels[..., 3] == np.iinfo(np.uint8).max).all())
    shown = np.ascontiguousarray(pixels[..., :3] if opaque else pixels)
    about = PngInfo()
    for name, text in texts.items():
        about.add_text(name, text)
    file = io.BytesIO()
    Image.fromarray(shown).save(file, "PNG", dpi=(dpi, dpi), pnginfo=about, compress_level=LEVEL)
    return file.getvalue()
