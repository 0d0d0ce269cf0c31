"""Labels at the powers of ten of a curve's parameter, placed where they cover little."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Decade = tuple[str, tuple[float, float], str]
"""Text, place on the curve and colour of a label."""
_SIDES = tuple((dx, dy) for dy in (-8, 8, -14, 14, 0) for dx in (18, -18, 0, 26, -26) if dx or dy)
"""Where a label may stand, in points from its mark."""


def mark_decades(
    ax: Axes, parameter: np.ndarray, x: np.ndarray, y: np.ndarray, color: str, letter: str
) -> list[Decade]:
    """Small marks on a curve at every second power of ten of its parameter, and what to write at them."""
    low, high = np.log10(parameter.min()), np.log10(parameter.max())
    decades = []
    for k in range(int(np.ceil(low - 1e-9)), int(np.floor(high + 1e-9)) + 1, 2):
        spot = (float(np.interp(k, np.log10(parameter), x)), float(np.interp(k, np.log10(parameter), y)))
        if spot[0] > 0.6 * x.max():
            continue  # the curves leave the prior together; labels would lie on each other
        ax.plot([spot[0]], [spot[1]], marker=".", color=color, markersize=5)
        decades.append((f"${letter}=10^{{{k}}}$", spot, color))
    return decades


def write_decades(ax: Axes, decades: Sequence[Decade]) -> None:
    """Write each label beside its mark, near it and where it covers little; limits have to be final."""
    from matplotlib.patheffects import withStroke

    points = ax.figure.dpi / 72
    width, height = 26 * points, 8 * points
    points_of = [np.asarray(line.get_xydata()) for line in ax.get_lines()]
    lines = [ax.transData.transform(found) for found in points_of if len(found)]
    crowd = np.concatenate([_filled_in(line, 2 * points) for line in lines])
    inside = ax.get_window_extent()
    for text, spot, color in decades:
        center = ax.transData.transform(spot)
        costs = []
        for side in _SIDES:
            middle = center + np.array(side) * points
            covered = (np.abs(crowd - middle) < (0.5 * width, 0.5 * height)).all(axis=1).sum()
            half = 0.5 * np.array([width, height])
            low, high = middle - half, middle + half
            fits = (low >= inside.min).all() and (high <= inside.max).all()
            costs.append(int(covered) + 0.3 * float(np.hypot(*side)) + (0.0 if fits else 1000.0))
        best = _SIDES[int(np.argmin(costs))]
        ax.annotate(
            text,
            spot,
            xytext=best,
            textcoords="offset points",
            ha="center",
            va="center",
            fontsize=6,
            color=color,
            zorder=5,
            path_effects=[withStroke(linewidth=1.8, foreground="white")],
            arrowprops={"arrowstyle": "-", "color": color, "linewidth": 0.4, "shrinkA": 0.0, "shrinkB": 1.5},
        )
        # What comes next keeps clear of this label.
        grid = np.stack(np.meshgrid(np.linspace(-0.5, 0.5, 9), np.linspace(-0.5, 0.5, 5)), axis=-1)
        taken = center + np.array(best) * points + grid.reshape(-1, 2) * (width, height)
        crowd = np.concatenate([crowd, np.repeat(taken, 5, axis=0)])


def _filled_in(path: np.ndarray, spacing: float) -> np.ndarray:
    """Points along a path in pixels, no further apart than about `spacing`."""
    length = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(path, axis=0).T))])
    if not np.isfinite(length[-1]) or length[-1] == 0.0:
        return path[np.isfinite(path).all(axis=1)]
    at_length = np.linspace(0.0, length[-1], int(length[-1] / spacing) + 2)
    return np.stack([np.interp(at_length, length, path[:, k]) for k in (0, 1)], axis=1)
