"""Sizes and fonts of figures: the style file, and what a user may choose on top of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from proplim.errors import InvalidInput
from proplim.figures._thinning import MOST_SLICES, Slices, check_slices

STYLE_FILE = Path(__file__).with_name("proplim.mplstyle")
FORMATS = ("png", "pdf", "svg", "eps")


@dataclass(frozen=True)
class Style:
    """What a user may choose about figures.

    Parameters
    ----------
    style : str or None
        A Matplotlib style sheet (path or name) applied on top of proplim's own.
    width, height : float or None
        Size of a whole figure in inches; by default 7 (the text width of a page) and what the rows need.
    font_size : float or None
        Base font size in points.
    dpi : int or None
        Resolution of raster formats.
    slices : int or mapping
        How many (P, N) a figure shows, evenly chosen, or axis -> values to show.
    """

    style: str | None = None
    width: float | None = None
    height: float | None = None
    font_size: float | None = None
    dpi: int | None = None
    slices: Slices = MOST_SLICES

    def __post_init__(self) -> None:
        check_slices(self.slices)
        for name in ("width", "height", "font_size", "dpi"):
            value = getattr(self, name)
            if value is not None and not 0 < value < 1e5:
                raise InvalidInput(f"figures.{name}", value, "a positive number")


@contextmanager
def applied(style: Style) -> Iterator[None]:
    """Matplotlib's settings for the duration of one figure; the caller's own settings come back afterwards.

    Raises
    ------
    InvalidInput
        If the user's style sheet cannot be read.
    """
    import matplotlib as mpl
    import matplotlib.style

    from proplim.figures._mathematics import reader, reading_once
    from proplim.figures._measuring import measuring_once

    sheets = [str(STYLE_FILE), *([style.style] if style.style else [])]
    with mpl.rc_context():
        mpl.rcdefaults()
        for sheet in sheets:
            try:
                matplotlib.style.use(sheet)
            except OSError:
                raise InvalidInput(
                    "figures.style", sheet, "a style file, or a name of matplotlib.style.available"
                ) from None
        if style.font_size:
            _scale_fonts(style.font_size / mpl.rcParams["font.size"])
        if style.dpi:
            mpl.rcParams["figure.dpi"] = mpl.rcParams["savefig.dpi"] = style.dpi
        with reading_once(reader(style.style, mpl.rcParams["figure.dpi"])), measuring_once():
            yield


def _scale_fonts(factor: float) -> None:
    import matplotlib as mpl

    keys = [k for k in mpl.rcParams if k.endswith(("fontsize", "labelsize", "titlesize"))]
    for key in [*keys, "font.size"]:
        if isinstance(mpl.rcParams[key], int | float):
            mpl.rcParams[key] = mpl.rcParams[key] * factor
