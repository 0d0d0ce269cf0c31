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
        _stop(ax, axis, silent.get(axis))


def _spare_measuring(figure: Figure) -> None:
    """Leave out of the layout what takes no room: frames, on the edge of panels, and labels that there are not."""
    for ax in figure.axes:
        for spine in ax.spines.values():
            spine.set_in_layout(False)
        for axis in (ax.xaxis, ax.yaxis):
            if not axis.get_label_text():
                axis.set_label_coords(0.5, 0.5)  # a place of its own is not looked for among labels of ticks


def _stop(ax: Axes, axis: Axis, minor: Locator | None) -> None:
    """Put what an axis shows in its place; `minor` finds its minor ticks where they have no labels."""
    from matplotlib.ticker import NullLocator

    from proplim.figures._still import Still

    ticks = _inside(axis, axis.get_major_ticks(), axis.get_majorticklocs())
    marks = _marks(ax, axis, ticks, _places(ticks))
    if minor is None:
        labelled = _inside(axis, axis.get_minor_ticks(), axis.get_minorticklocs())
        marks += _marks(ax, axis, labelled, _places(labelled))
        ticks += labelled
    else:
        axis.set_minor_locator(minor)
        places = np.asarray(axis.get_minorticklocs())
        axis.set_minor_locator(NullLocator())
        low, high = sorted(axis.get_view_interval())
        within = places[(places >= low) & (places <= high)]
        marks += _marks(ax, axis, axis.get_minor_ticks(1), within)
    ax.add_artist(Still(axis, ticks, marks))
    axis.set_visible(False)


def _places(ticks: Sequence[Tick]) -> np.ndarray:
    return np.array([tick.get_loc() for tick in ticks], dtype=float)


def _inside(axis: Axis, ticks: Sequence[Tick], places: np.ndarray) -> list[Tick]:
    """Ticks that lie on an axis, of those that its locator has found."""
    scale = axis.get_transform().transform
    low, high = sorted(scale(np.asarray(axis.get_view_interval())))
    margin = _ON_THE_EDGE * (high - low)
    return [
        tick
        for tick, place in zip(ticks, scale(np.asarray(places, dtype=float)), strict=False)
        if low - margin <= place <= high + margin
    ]


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
