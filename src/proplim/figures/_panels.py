"""Figures of panels: one a (P, N) pair, shared axes, a legend above, the parameters stated below."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Literal

import numpy as np

from proplim.cube import PARTIAL
from proplim.datasets import features_of
from proplim.figures._base import Cubes
from proplim.figures._classes import AVERAGED
from proplim.figures._looks import SAMPLING_COLOR, Look, words
from proplim.figures._slices import Curve
from proplim.figures._style import Style
from proplim.observables import OBSERVABLES, variable
from proplim.schema import AXES, resolved

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Sharing = Literal["none", "all", "row", "col"] | bool
MAX_COLUMNS = 4
MAX_ROWS = 4
DEFAULT_WIDTH = 7.0


def symbol(name: str) -> str:
    """LaTeX symbol of a variable, in math mode; the name in words where it is not known."""
    return f"${variable(name).symbol}$" if name in OBSERVABLES else words(name)


def number(value: object) -> str:
    """A parameter value as it is read: 1, 0.5, 1e-05."""
    return f"{value:g}" if isinstance(value, int | float | np.number) else str(value)


def pages(values: Sequence, size: int) -> list[list]:
    """Cut an axis into figure pages of at most `size` panels, as even as possible."""
    if not len(values):
        return []
    count = math.ceil(len(values) / size)
    return [list(part) for part in np.array_split(np.asarray(values, dtype=object), count)]


def panel_title(point: Mapping[str, object]) -> str:
    """P, N and alpha = P/N of a panel; where alpha is the axis, its value."""
    known = resolved(point)
    load = known.get("alpha", float(known["n_train"]) / float(known["width"]))
    return rf"$P={number(known['n_train'])},\ N={number(known['width'])},\ \alpha={float(load):.3g}$"


def parameters_text(cubes: Cubes, point: Mapping[str, object], *more: str, spread: str = "s.d.") -> str:
    """The line below a figure that states what it shows; `spread` is what bars and bands over draws are."""
    parts = [str(point[axis.name]) for axis in AXES.values() if axis.kind == "name" and axis.name in point]
    features = _n_features(cubes, point)
    if features:
        parts.append(f"$N_0={features}$")
    for axis in AXES.values():
        if axis.kind != "name" and axis.name in point:
            parts.append(f"${axis.symbol}={number(point[axis.name])}$")
    seeds = _seed_count(cubes)
    parts.append(f"{seeds} training-set draw" + (f"s (mean, spread: {spread})" if seeds > 1 else ""))
    averaged = [str(cube.attrs[AVERAGED]) for cube in cubes.values() if cube.attrs.get(AVERAGED)]
    return "   ·   ".join([*parts, *[m for m in more if m], *averaged[:1], *_missing(cubes)])


def _missing(cubes: Cubes) -> list[str]:
    """What partial cubes lack, as they say themselves."""
    lacking = [f"{stage}: {cube.attrs[PARTIAL]}" for stage, cube in cubes.items() if PARTIAL in cube.attrs]
    return [f"partial, {text}" for text in lacking]


def _n_features(cubes: Cubes, point: Mapping[str, object]) -> int:
    for cube in cubes.values():
        for entry in configuration_of(cube).get("datasets") or []:
            if entry.get("name") == point.get("dataset"):
                return features_of(entry) or 0
    return 0


@lru_cache(maxsize=8)
def _parsed(text: str) -> dict:
    import yaml

    content = yaml.safe_load(text)
    return content if isinstance(content, dict) else {}


def configuration_of(cube: xr.Dataset) -> dict:
    """The configuration that a cube carries; empty where it carries none."""
    return _parsed(str(cube.attrs.get("configuration", "")))


def _seed_count(cubes: Cubes) -> int:
    return max((int(c.sizes.get("seed", 1)) for c in cubes.values()), default=1)


def panel_figure(
    rows: int, columns: int, style: Style, *, sharex: Sharing = "all", sharey: Sharing = "all"
) -> tuple[Figure, np.ndarray]:
    """An empty figure and its (rows, columns) axes, sized for print."""
    from matplotlib.figure import Figure

    width = style.width or DEFAULT_WIDTH * {1: 0.62, 2: 0.86}.get(columns, 1.0)
    panel_width = width / columns
    height = style.height or 0.95 + rows * min(0.85 * panel_width, 2.3)
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False, sharex=sharex, sharey=sharey)
    return figure, axes


def finish(figure: Figure, axes: np.ndarray, footer: str, *, legend_columns: int | None = None) -> Figure:
    """Put one legend above and the parameters below, and leave them room."""
    import matplotlib as mpl

    entries: dict[str, Artist] = {}
    for ax in axes.flat:
        handles, labels = ax.get_legend_handles_labels()
        for handle, label in zip(handles, labels, strict=True):
            entries.setdefault(label, handle)
    width = float(figure.get_size_inches()[0])
    size = 0.8 * mpl.rcParams["font.size"]
    figure.supxlabel("\n".join(_wrapped(footer, width, size)), fontsize=size, color="0.35")
    if entries:
        columns = legend_columns or max(1, min(len(entries), int(width / _entry_width(entries))))
        figure.legend(list(entries.values()), list(entries), loc="outside upper center", ncols=columns)
    return figure


def _entry_width(labels: Iterable[str]) -> float:
    """Inches that the longest entry of a legend takes, with its handle and the space to the next."""
    import matplotlib as mpl
    from matplotlib.font_manager import FontProperties

    # The style sheet in force may name its size ("medium") instead of giving points.
    size = FontProperties(size=mpl.rcParams["legend.fontsize"]).get_size_in_points() / 72
    return size * (4.6 + 0.47 * max(_printed_length(label) for label in labels))


def _wrapped(text: str, width: float, size: float) -> list[str]:
    """Break the parameter line between its items where it would be wider than the figure."""
    limit = width * 72 / (0.5 * size)
    lines: list[str] = []
    for item in text.split("   ·   "):
        joined = f"{lines[-1]}   ·   {item}" if lines else item
        if lines and _printed_length(joined) <= limit:
            lines[-1] = joined
        else:
            lines.append(item)
    return lines


def _printed_length(text: str) -> int:
    return len(text.replace("$", "").replace("\\lambda_", "l").replace("\\", ""))


def label_bottom(axes: np.ndarray, text: str) -> None:
    """Label the horizontal axis under every column."""
    for ax in axes[-1]:
        ax.set_xlabel(text)


def draw_line(ax: Axes, curve: Curve, look: Look, label: str | None, *, linestyle: str | None = None) -> None:
    """A theory curve: line, band for the spread over draws, hollow where it did not converge."""
    y = np.where(curve.solid, curve.y, np.nan)
    few = int(np.isfinite(y).sum()) < 3
    style = linestyle or look.linestyle
    ax.plot(
        curve.x, y, color=look.color, linestyle=style, marker="D" if few else "", markersize=3.5, label=label
    )
    if np.any(curve.spread > 0):
        # On a logarithmic axis the band is as high below as above; y - spread may be negative there.
        low = y / (1 + curve.spread / y) if ax.get_yscale() == "log" else y - curve.spread
        ax.fill_between(curve.x, low, y + curve.spread, color=look.color, alpha=0.18, linewidth=0)
    hollow = ~curve.solid
    if hollow.any():
        ax.plot(
            curve.x[hollow],
            curve.y[hollow],
            linestyle="",
            marker="o",
            mfc="none",
            mec=look.color,
            markersize=3,
        )


def draw_points(
    ax: Axes, curve: Curve, label: str | None, *, color: str = SAMPLING_COLOR, marker: str = "o"
) -> None:
    """Sampled points with error bars, hollow where sampling did not meet its targets."""
    for solid in (True, False):
        chosen = curve.solid == solid
        if not chosen.any():
            continue
        ax.errorbar(
            curve.x[chosen],
            curve.y[chosen],
            yerr=curve.spread[chosen],
            linestyle="",
            marker=marker,
            color=color,
            mfc=color if solid else "white",
            markersize=3.8,
            elinewidth=0.9,
            zorder=4,
            label=label if solid else (f"{label}, not converged" if label else None),
        )


def log_axis(ax: Axes, values: Sequence[np.ndarray], axis: str = "x") -> None:
    """Logarithmic axis with one labelled tick a decade (every second or third on a long or narrow axis)."""
    from matplotlib.ticker import LogLocator, NullFormatter

    getattr(ax, f"set_{axis}scale")("log")
    finite = np.concatenate([v[np.isfinite(v) & (v > 0)] for v in values if len(v)] or [np.array([1.0])])
    if not finite.size:
        return
    low, high = float(finite.min()), float(finite.max())
    margin = (high / low) ** 0.03 if high > low else 3.0
    getattr(ax, f"set_{axis}lim")(low / margin, high * margin)
    which = getattr(ax, f"{axis}axis")
    decades = math.log10(high / low) if high > low else 1.0
    if decades >= 2:
        step = max(1, math.ceil(decades / 5))
        which.set_major_locator(LogLocator(base=10.0**step))
        subs = (1.0,) if step > 1 else (2.0, 5.0)
        which.set_minor_locator(LogLocator(base=10.0, subs=subs, numticks=99))
        which.set_minor_formatter(NullFormatter())
