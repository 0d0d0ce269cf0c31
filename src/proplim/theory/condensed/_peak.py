"""The temperature of the largest class distance."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

RUNG = 3.0
"""Ratio of neighbouring temperatures of the first search."""
RUNGS = 8
FALL = 0.03
"""Relative fall of D from its top after which nothing higher is looked for: ten Monte-Carlo errors."""
REFINEMENTS = 4
"""Parabolas through the three highest points around the maximum."""


def find_peaks(distances: Callable[[float], np.ndarray], hottest: float) -> tuple[np.ndarray, np.ndarray]:
    """T* and D(T*) on both splits.

    Parameters
    ----------
    distances : callable
        T -> (2,) D on training and test inputs.
    hottest : float
        Highest temperature of the search, which goes down from there: RUNGS rungs, or until D has fallen well
        below its top on both splits for two of them.

    Returns
    -------
    temperature, height : (2,) arrays
        NaN where D is largest at an end of the range, or unknown.
    """
    seen: dict[float, np.ndarray] = {}

    def at(x: float) -> np.ndarray:
        if x not in seen:
            seen[x] = distances(float(np.exp(x)))
        return seen[x]

    rungs: list[np.ndarray] = []
    for i in range(RUNGS):
        rungs.append(at(float(np.log(hottest) - i * np.log(RUNG))))
        if _past_the_top(np.array(rungs)):
            break
    temperature, height = np.full(2, np.nan), np.full(2, np.nan)
    for split in (0, 1):
        for refinement in range(REFINEMENTS + 1):
            xs = np.array(sorted(x for x, d in seen.items() if np.isfinite(d[split])))
            if len(xs) < 3:
                break
            values = np.array([seen[x][split] for x in xs])
            i = int(values.argmax())
            if i in (0, len(xs) - 1):
                break
            vertex, top = _vertex(xs[i - 1 : i + 2], values[i - 1 : i + 2])
            temperature[split], height[split] = np.exp(vertex), top
            if refinement < REFINEMENTS:
                at(float(vertex))
    return temperature, height


def _past_the_top(heights: np.ndarray) -> bool:
    """Whether D on every split has fallen, well above its errors, for the last two of the (n, 2) rungs.

    Below T* the distance falls on, and the coldest points cost most: they need the most explicit units.
    """
    known = heights[:, np.isfinite(heights).any(axis=0)]
    if len(known) < 3 or not known.size or not np.isfinite(known[-2:]).all():
        return False
    top = np.nanmax(known, axis=0)
    return bool((known[-2:] < (1.0 - FALL) * top).all() and (known[-1] < known[-2]).all())


def _vertex(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """Top of the parabola through three points, the middle one highest."""
    c = np.polyfit(x - x[1], y, 2)
    if not c[0] < 0.0:
        return float(x[1]), float(y[1])
    step = float(np.clip(-0.5 * c[1] / c[0], x[0] - x[1], x[2] - x[1]))
    return float(x[1]) + step, float(np.polyval(c, step))
