"""Mathematics in figures, read once: the same axis labels and powers of ten stand on every page, in every format."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

from matplotlib import textpath
from matplotlib.font_manager import FontProperties
from matplotlib.mathtext import MathTextParser, VectorParse

POINTS = 72
"""Per inch: the resolution in which formats of lines and glyphs ask for mathematics."""


class Reader(MathTextParser):
    """Matplotlib's reader, which keeps the last fifty pieces; a page of panels has more.

    Parameters
    ----------
    dpi : float
        Resolution of the pages. What was read for it is scaled where points are asked for.
    """

    def __init__(self, dpi: float) -> None:
        super().__init__("path")
        self._dpi = dpi
        self._known: dict[tuple, Any] = {}

    def parse(
        self,
        s: str,
        dpi: float = POINTS,
        prop: FontProperties | None = None,
        *,
        antialiased: bool | None = None,
    ) -> Any:
        """Boxes and glyphs of a text."""
        key = s, dpi, None if prop is None else prop.copy(), antialiased
        if key not in self._known:
            if dpi == POINTS < self._dpi:
                fine = self.parse(s, self._dpi, prop, antialiased=antialiased)
                self._known[key] = _scaled(fine, dpi / self._dpi)
            else:
                self._known[key] = super().parse(s, dpi, prop, antialiased=antialiased)
        return self._known[key]


def _scaled(read: VectorParse, factor: float) -> VectorParse:
    """Boxes and glyphs in another resolution; the size of a glyph is in points in each."""
    return VectorParse(
        read.width * factor,
        read.height * factor,
        read.depth * factor,
        [(*glyph[:-2], glyph[-2] * factor, glyph[-1] * factor) for glyph in read.glyphs],
        [(x * factor, y * factor, width * factor, height * factor) for x, y, width, height in read.rects],
    )


@lru_cache(maxsize=1)
def reader(sheet: str | None, dpi: float) -> Reader:
    """The reader that all pages of one style sheet and resolution share."""
    return Reader(dpi)


@contextmanager
def reading_once(shared: Reader) -> Iterator[None]:
    """Have all renderers read mathematics with one reader: each has one of its own otherwise, of no use to the next."""
    names, common = vars(textpath), textpath.text_to_path
    usual = names["MathTextParser"], common.mathtext_parser
    names["MathTextParser"] = lambda output: shared
    common.mathtext_parser = shared
    try:
        yield
    finally:
        names["MathTextParser"], common.mathtext_parser = usual
