"""Mathematics in figures, read once: the same axis labels and powers of ten stand on every page."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from matplotlib.font_manager import FontProperties
from matplotlib.mathtext import MathTextParser


class Reader(MathTextParser):
    """Matplotlib's reader, which keeps the last fifty pieces; a page of panels has more, in two resolutions."""

    def __init__(self) -> None:
        super().__init__("path")
        self._known: dict[tuple, Any] = {}

    def parse(
        self, s: str, dpi: float = 72, prop: FontProperties | None = None, *, antialiased: bool | None = None
    ) -> Any:
        """Boxes and glyphs of a text."""
        key = s, dpi, None if prop is None else prop.copy(), antialiased
        if key not in self._known:
            self._known[key] = super().parse(s, dpi, prop, antialiased=antialiased)
        return self._known[key]


@lru_cache(maxsize=1)
def reader(sheet: str | None) -> Reader:
    """The reader that all pages of one style sheet share."""
    return Reader()
