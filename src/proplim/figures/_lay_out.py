"""The places of all that a page shows: found once, and then the same in all formats."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis, Tick
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D
    from matplotlib.ticker import Locator

_ON_THE_EDGE = 1e-10
"""Share of an axis by which a tick may lie outside it."""


def lay_out(figure: Figure) -> None:
    """Place the panels, ticks and labels, once for all formats: it takes longer than drawing them."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.textpath import text_to_path
    from matplotlib.ticker import NullFormatter, NullLocator

    # The renderer that measures also draws the page, and mathematics that one has read no other reads again.
    renderer = FigureCanvasAgg(figure).get_renderer()
    renderer.mathtext_parser = text_to_path.mathtext_parser
    shown = [
        (ax, axis)
        for ax in figure.axes
        if ax.get_visible() and ax.axison
        for axis in (ax.xaxis, ax.yaxis)
        if axis.get_visible()
    ]
    # Ticks without labels point inwards: they take no room, but time to be measured.
    silent = {
        axis: axis.get_minor_locator()
        for _, axis in shown
        if isinstance(axis.get_minor_formatter(), NullFormatter)
    }
    for axis in silent:
        axis.set_minor_locator(NullLocator())
    # Axes between panels have marks and nothing else: no ticks are made for them, which takes longer than all labels.
    bare = {axis for axis in silent if _is_bare(axis)}
    for axis in bare:
        axis.set_visible(False)
    _spare_measuring(figure)
    if (engine := figure.get_layout_engine()) is not None:
        engine.execute(figure)
        figure.set_layout_engine(None)
    for ax in figure.axes:
        locator: Callable | None = ax.get_axes_locator()
        ax.apply_aspect(None if locator is None else locator(ax, renderer))
    for _, axis in shown:
        axis.get_tightbbox(renderer)  # gives ticks and labels the places that they have now
    for ax, axis in shown:
        if axis in bare:
            _stop_bare(ax, axis, silent[axis])
        elif axis in silent:
            _stop_silent(ax, axis, silent[axis])
        else:
            _stop_labelled(ax, axis)


def _is_bare(axis: Axis) -> bool:
    """Whether an axis has no labels, of ticks or its own, and no grid."""
    ticks = {
        name: on for which in ("major", "minor") for name, on in axis.get_tick_params(which).items() if on
    }
    words = any(name.startswith(("label", "grid")) for name in ticks)
    return not words and not axis.get_label_text() and not axis.offsetText.get_visible()


def _spare_measuring(figure: Figure) -> None:
    """Leave out of the layout what takes no room: frames, on the edge of panels, and labels that there are not."""
    for ax in figure.axes:
        for spine in ax.spines.values():
            spine.set_in_layout(False)
        for axis in (ax.xaxis, ax.yaxis):
            if not axis.get_label_text():
                axis.set_label_coords(0.5, 0.5)  # a place of its own is not looked for among labels of ticks


def _stop_bare(ax: Axes, axis: Axis, minor: Locator) -> None:
    """Put what an axis without labels shows in its place; `minor` finds its minor ticks."""
    places = np.asarray(axis.get_majorticklocs(), dtype=float)
    marks = _marks(ax, axis, axis.get_major_ticks(1), places[_lie_inside(axis, places)])
    _put(ax, axis, [], [*marks, *_minor_marks(ax, axis, minor)])


def _stop_silent(ax: Axes, axis: Axis, minor: Locator) -> None:
    """Put what an axis shows in its place; `minor` finds its minor ticks, which have no labels."""
    ticks = _inside(axis, axis.get_major_ticks(), axis.get_majorticklocs())
    _put(ax, axis, ticks, [*_marks(ax, axis, ticks, _places(ticks)), *_minor_marks(ax, axis, minor)])


def _stop_labelled(ax: Axes, axis: Axis) -> None:
    """Put what an axis shows in its place; its minor ticks may have labels too."""
    major = _inside(axis, axis.get_major_ticks(), axis.get_majorticklocs())
    minor = _inside(axis, axis.get_minor_ticks(), axis.get_minorticklocs())
    marks = [mark for ticks in (major, minor) for mark in _marks(ax, axis, ticks, _places(ticks))]
    _put(ax, axis, [*major, *minor], marks)


def _put(ax: Axes, axis: Axis, ticks: Sequence[Tick], marks: Sequence[Line2D]) -> None:
    """Show labels and grid lines of some ticks, and marks, in place of the axis."""
    from proplim.figures._still import Still

    ax.add_artist(Still(axis, ticks, marks))
    axis.set_visible(False)


def _minor_marks(ax: Axes, axis: Axis, locator: Locator) -> list[Line2D]:
    from matplotlib.ticker import NullLocator

    axis.set_minor_locator(locator)
    places = np.asarray(axis.get_minorticklocs())
    axis.set_minor_locator(NullLocator())
    low, high = sorted(axis.get_view_interval())
    return _marks(ax, axis, axis.get_minor_ticks(1), places[(places >= low) & (places <= high)])


def _places(ticks: Sequence[Tick]) -> np.ndarray:
    return np.array([tick.get_loc() for tick in ticks], dtype=float)


def _inside(axis: Axis, ticks: Sequence[Tick], places: np.ndarray) -> list[Tick]:
    """Ticks that lie on an axis, of those that its locator has found."""
    lie = _lie_inside(axis, np.asarray(places, dtype=float))
    return [tick for tick, inside in zip(ticks, lie, strict=False) if inside]


def _lie_inside(axis: Axis, places: np.ndarray) -> np.ndarray:
    """Which places lie on an axis."""
    scale = axis.get_transform().transform
    low, high = sorted(scale(np.asarray(axis.get_view_interval())))
    margin, scaled = _ON_THE_EDGE * (high - low), scale(places)
    return np.asarray((scaled >= low - margin) & (scaled <= high + margin))


def _marks(ax: Axes, axis: Axis, pattern: Sequence[Tick], places: np.ndarray) -> list[Line2D]:
    """Marks of ticks that all look like the first one: a line of markers a side, where Matplotlib has one a tick."""
    from matplotlib.lines import Line2D

    if not places.size:
        return []
    horizontal = axis is ax.xaxis
    across = ax.get_xaxis_transform(which="grid") if horizontal else ax.get_yaxis_transform(which="grid")
    lines = []
    for side, mark in enumerate((pattern[0].tick1line, pattern[0].tick2line)):
        if mark.get_visible():
            ends = np.full(len(places), float(side))
            line = Line2D(
                *((places, ends) if horizontal else (ends, places)),
                linestyle="",
                marker=mark.get_marker(),
                markersize=mark.get_markersize(),
                markeredgewidth=mark.get_markeredgewidth(),
                color=mark.get_color(),
                transform=across,
                clip_on=False,
            )
            line.set_figure(ax.figure)
            line.axes = ax
            lines.append(line)
    return lines
