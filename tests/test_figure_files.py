"""What a page looks like in its file: pixels of the PNG writer, minor ticks against Matplotlib's own."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter
from PIL import Image

from proplim.figures import Style
from proplim.figures._lay_out import lay_out
from proplim.figures._png import encoded
from proplim.figures._save import save
from proplim.figures._style import applied


def pixels_of(figure: Figure) -> np.ndarray:
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba()).copy()


def page(layout: str | None = None) -> Figure:
    """Shared logarithmic axes with minor ticks that have no labels."""
    figure = Figure(figsize=(4.0, 2.0), layout=layout)
    axes = figure.subplots(1, 2, sharex=True, sharey=True)
    axes[0].loglog([1e-3, 10.0], [0.1, 3.0])
    axes[1].loglog([1e-3, 10.0], [2.0, 0.2])
    for axis in (axes[0].xaxis, axes[0].yaxis):
        axis.set_minor_locator(LogLocator(base=10.0, subs=(2.0, 5.0), numticks=99))
        axis.set_minor_formatter(NullFormatter())
    return figure


@pytest.mark.parametrize(
    "settings", [{}, {"xtick.direction": "out", "ytick.right": False, "xtick.minor.size": 5}]
)
def test_minor_ticks_are_those_of_matplotlib_pixel_by_pixel(settings: dict) -> None:
    with applied(Style(dpi=80)), mpl.rc_context(settings):
        usual = pixels_of(page())
        ours = page()
        lay_out(ours)
        np.testing.assert_array_equal(pixels_of(ours), usual)
        without = page()
        for ax in without.axes:
            ax.minorticks_off()
        assert (pixels_of(without) != usual).any(), "the page has no minor ticks to compare"


def test_constrained_pages_keep_all_panels_apart() -> None:
    with applied(Style(dpi=80)):
        figure = page("constrained")
        lay_out(figure)
        left, right = (ax.get_position() for ax in figure.axes)
    assert 0.0 < left.x0 < left.x1 < right.x0 < right.x1 < 1.0


@pytest.mark.parametrize("opaque", [True, False])
def test_a_png_holds_the_pixels_the_resolution_and_the_texts(tmp_path: Path, opaque: bool) -> None:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (7, 11, 4)).astype(np.uint8)
    if opaque:
        pixels[..., 3] = 255
    path = tmp_path / "picture.png"
    path.write_bytes(encoded(pixels, 300.0, {"Software": "proplim", "Description": '{"study": "digits"}'}))
    with Image.open(path) as picture:
        picture.load()
        assert picture.mode == ("RGB" if opaque else "RGBA")
        np.testing.assert_array_equal(np.asarray(picture.convert("RGBA")), pixels)
        assert picture.info["dpi"] == pytest.approx((300.0, 300.0), abs=0.01)
        assert picture.text == {"Software": "proplim", "Description": '{"study": "digits"}'}


@pytest.mark.parametrize("width", [4.0, 6.02, 4.34])
def test_a_saved_page_is_what_was_drawn(tmp_path: Path, width: float) -> None:
    with applied(Style()):
        figure = page()
        figure.set_figwidth(width)
        lay_out(figure)
        path = save(figure, tmp_path / "page.png", "png", "about")
        with Image.open(path) as picture:
            np.testing.assert_array_equal(np.asarray(picture.convert("RGBA")), pixels_of(figure))


def test_a_style_sheet_of_its_own_resolution_and_background(tmp_path: Path) -> None:
    sheet = tmp_path / "own.mplstyle"
    sheet.write_text("savefig.dpi: 50\nsavefig.transparent: True\n")
    with applied(Style(style=str(sheet))):
        figure = page()
        lay_out(figure)
        path = save(figure, tmp_path / "page.png", "png")
    with Image.open(path) as picture:
        assert picture.size == (200, 100)
        assert np.asarray(picture.convert("RGBA"))[..., 3].min() == 0
