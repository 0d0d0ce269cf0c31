"""What a page looks like in its file: pixels of the PNG writer, ticks and labels against Matplotlib's own."""

from __future__ import annotations

import gc
import io
import re
import zlib
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib import _mathtext, textpath
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.mathtext import MathTextParser
from matplotlib.text import Text
from matplotlib.ticker import FixedFormatter, LogLocator, NullFormatter
from PIL import Image

from _cubes import theory_cube
from proplim.cube import write_netcdf
from proplim.figures import Style
from proplim.figures._lay_out import lay_out
from proplim.figures._mathematics import Reader
from proplim.figures._measuring import measuring_once
from proplim.figures._png import encoded
from proplim.figures._save import save
from proplim.figures._style import applied
from proplim.study import draw_study


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


def test_no_ticks_are_made_for_axes_between_panels() -> None:
    with applied(Style(dpi=80)):
        usual, ours = page("constrained"), page("constrained")
        lay_out(ours)
        np.testing.assert_array_equal(pixels_of(ours), pixels_of(usual))
    left, right = (len(ax.yaxis.majorTicks) for ax in ours.axes)
    assert left > 1
    assert right == 1  # which all marks look like


def labelled() -> Figure:
    """All that an axis may show: labels of axes and ticks, also of minor ones, a grid, an offset, a map with a bar."""
    figure = Figure(figsize=(5.0, 2.5))
    left, right = figure.subplots(1, 2)
    left.plot([0.0, 1.0], [3e5, 4e5])
    left.set_xlabel("time $t$")
    left.set_ylabel("height $h_1^2$")
    left.grid(True)
    left.set_xticks([1 / 3, 2 / 3], minor=True)
    left.xaxis.set_minor_formatter(FixedFormatter(["a third", "$2/3$"]))
    image = right.imshow(np.arange(6.0).reshape(2, 3))
    right.set_xlabel("column")
    figure.colorbar(image, ax=right).set_label("value")
    figure.subplots_adjust(bottom=0.25, left=0.15)
    return figure


def test_axes_that_stand_still_are_those_of_matplotlib_pixel_by_pixel() -> None:
    with applied(Style(dpi=80)):
        usual, ours = labelled(), labelled()
        lay_out(ours)
        np.testing.assert_array_equal(pixels_of(ours), pixels_of(usual))
        assert not any(axis.get_visible() for ax in ours.axes for axis in (ax.xaxis, ax.yaxis))


def test_labels_keep_their_places_in_other_resolutions() -> None:
    """Vector formats are drawn at 72 dots an inch whatever the page was laid out for; to a dot of either."""
    with applied(Style(dpi=200)):
        figure = labelled()
        lay_out(figure)
        texts = [t for ax in figure.axes for t in (ax.xaxis.label, ax.yaxis.label) if t.get_text()]

        def places(dpi: float) -> np.ndarray:
            figure.set_dpi(dpi)
            renderer = FigureCanvasAgg(figure).get_renderer()
            return np.array([text.get_window_extent(renderer).extents for text in texts]) / dpi

        assert len(texts) == 4
        np.testing.assert_allclose(places(72), places(200), atol=1.5 / 72)


def test_mathematics_is_read_once_for_all_formats(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[tuple] = []
    parse = _mathtext.Parser.parse

    def noted(self, s, fonts_object, fontsize, dpi):
        read.append((s, fontsize))
        return parse(self, s, fonts_object, fontsize, dpi)

    monkeypatch.setattr(_mathtext.Parser, "parse", noted)
    usual = textpath.MathTextParser, textpath.text_to_path.mathtext_parser
    with applied(Style(dpi=137)):
        figure = labelled()
        lay_out(figure)
        for form in ("png", "pdf", "svg"):
            save(figure, tmp_path / f"page.{form}", form)
    assert {"height $h_1^2$", "$2/3$"} <= {text for text, _ in read}
    assert len(read) == len(set(read))
    assert (textpath.MathTextParser, textpath.text_to_path.mathtext_parser) == usual


def test_mathematics_of_a_page_is_where_matplotlib_has_it_in_points() -> None:
    text, font = r"$\sqrt{\lambda_0} + \frac{P}{N}$", FontProperties(size=10)
    ours, usual = Reader(300.0).parse(text, 72, font), MathTextParser("path").parse(text, 72, font)
    assert [glyph[2] for glyph in ours.glyphs] == [glyph[2] for glyph in usual.glyphs]  # characters
    sizes = [[glyph[1] for glyph in read.glyphs] for read in (ours, usual)]
    np.testing.assert_allclose(*sizes, rtol=1e-3)
    # Matplotlib rounds boxes up to whole points, and the baseline with them.
    for mine, theirs in ((ours.glyphs, usual.glyphs), (ours.rects, usual.rects)):
        places = [np.array([item[-2:] for item in items], dtype=float) for items in (mine, theirs)]
        np.testing.assert_allclose(*places, atol=1.0)
    np.testing.assert_allclose(ours[:3], usual[:3], atol=2.0)


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


def test_texts_are_measured_once_and_each_as_it_is() -> None:
    """Whatever changes the box of a text changes what is remembered of it."""
    usual = Text._get_layout
    changes: list[dict] = [
        {},
        {"s": "two\nlines $x$"},
        {"fontsize": 14},
        {"fontfamily": "monospace"},
        {"rotation": 30},
        {"rotation": 30, "rotation_mode": "anchor", "ha": "right"},
        {"ha": "center", "va": "top"},
        {"s": "two\nlines $x$", "linespacing": 3.0},
        {"s": "two\nlines $x$", "multialignment": "right"},
        {"s": "one $x$", "parse_math": False},
    ]

    def boxes(dpi: float) -> list[np.ndarray]:
        figure = Figure(dpi=dpi)
        renderer = FigureCanvasAgg(figure).get_renderer()
        texts = [figure.text(0.3, 0.4, **{"s": "one $x$", **change}) for change in changes]
        for text in texts:
            text.get_window_extent(renderer)
        figure.canvas.draw()
        return [text.get_window_extent(renderer).extents for text in texts]

    expected = [boxes(dpi) for dpi in (80, 200)]
    laid_out: list[Text] = []

    def counted(text, renderer):
        laid_out.append(text)
        return usual(text, renderer)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Text, "_get_layout", counted)
        with measuring_once():
            found = [boxes(dpi) for dpi in (80, 200)]
        assert Text._get_layout is counted
    np.testing.assert_array_equal(found, expected)
    assert len(laid_out) == 2 * len(changes)
    # Lines that are aligned otherwise have the same box.
    assert len({tuple(box) for box in np.round(expected[0], 3)}) == len(changes) - 1


def test_fonts_of_a_pdf_hold_glyphs_alone(tmp_path: Path) -> None:
    from fontTools.subset import Options
    from fontTools.ttLib import TTFont

    before = list(Options._drop_tables_default)
    with applied(Style(dpi=80)):
        figure = labelled()
        lay_out(figure)
        content = save(figure, tmp_path / "page.pdf", "pdf").read_bytes()
    streams = re.findall(rb"/Length1 \d+.*?stream\n(.*?)\nendstream", content, re.DOTALL)
    fonts = [TTFont(io.BytesIO(zlib.decompress(stream))) for stream in streams]
    assert fonts
    for font in fonts:
        assert "glyf" in font
        assert not {"GDEF", "GPOS", "GSUB"} & set(font.keys())
    assert before == Options._drop_tables_default


def test_drawing_a_study_leaves_the_garbage_collector_of_the_process_alone(tmp_path: Path) -> None:
    """It is called from notebooks too; the workflow's own process asks for less collecting itself."""
    write_netcdf(theory_cube(n_train=[60], width=[60]), tmp_path / "theory.nc")
    before = gc.get_threshold(), gc.get_freeze_count()
    draw_study({"theory": tmp_path / "theory.nc"}, tmp_path / "figures", dpi=30)
    assert (gc.get_threshold(), gc.get_freeze_count()) == before
    assert list((tmp_path / "figures").glob("class_distance__*.png"))
