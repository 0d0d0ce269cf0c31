"""The temperature of the largest class distance, from points with Monte-Carlo errors."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

RUNG = 3.0
"""Ratio of neighbouring temperatures of the first search."""
RUNGS = 8
FALL = 0.03
"""Relative fall of D from its top after which nothing higher is looked for, on two rungs or twice as much on one: ten
Monte-Carlo errors."""
SURE = 3.0
"""Errors by which the top has to lie above the coldest temperature: on a level D noise alone has a top."""
REACH = 0.6
"""Points that the curve through the top is fitted to lie within so many rungs of the highest."""
MOST_PARAMETERS = 4
"""Of the polynomial in ln T: a cubic, the distance falling more slowly on one side."""

Distances = Callable[[float], tuple[np.ndarray, np.ndarray]]
Seen = dict[float, tuple[np.ndarray, np.ndarray]]
"""ln T -> D on both splits and its errors."""


class Peaks(NamedTuple):
    """T* and D(T*) on training and test inputs with their standard errors, (2,) arrays.

    NaN where D is largest at an end of the range, does not fall below it by more than its errors, or is unknown.
    """

    temperature: np.ndarray
    temperature_error: np.ndarray
    distance: np.ndarray
    distance_error: np.ndarray


def _unknown() -> Peaks:
    return Peaks(*(np.full(2, np.nan) for _ in Peaks._fields))


UNKNOWN = _unknown()


class _Top(NamedTuple):
    """Maximum of a curve and its errors."""

    x: float
    error: float
    height: float


def find_peaks(distances: Distances, hottest: float) -> Peaks:
    """T* and D(T*) on both splits.

    Rungs of temperatures lead down to where D has fallen; around the highest of them half a rung is added on either
    side, around the highest then a quarter of one, and a curve is fitted to what is near.

    Parameters
    ----------
    distances : callable
        T -> D on training and test inputs and its standard errors, two (2,) arrays.
    hottest : float
        Highest temperature of the search, which goes down from there: RUNGS rungs, or until D has fallen well
        below its top on both splits.
    """
    seen: Seen = {}

    def at(x: float) -> np.ndarray:
        if x not in seen:
            seen[x] = distances(float(np.exp(x)))
        return seen[x][0]

    rungs: list[np.ndarray] = []
    xs: list[float] = []
    for i in range(RUNGS):
        xs.append(float(np.log(hottest) - i * np.log(RUNG)))
        rungs.append(at(xs[-1]))
        if _past_the_top(np.array(rungs)):
            break
    heights = np.array(rungs)
    result = _unknown()
    for split in (0, 1):
        known = np.nonzero(np.isfinite(heights[:, split]))[0]
        top = known[heights[known, split].argmax()] if len(known) else 0
        if len(known) < 3 or top in (known[0], known[-1]):
            continue
        highest = xs[top]
        for part in (0.5, 0.25):
            for step in (-part, part):
                at(highest + step * float(np.log(RUNG)))
            highest = max(_known(seen, split), key=lambda x: seen[x][0][split])
        found = _top(seen, split, highest)
        nearest = min(_known(seen, split), key=lambda x: abs(x - found.x))
        coldest = min(_known(seen, split))
        rise = found.height - seen[coldest][0][split]
        if rise < SURE * np.hypot(seen[coldest][1][split], seen[nearest][1][split]):
            continue
        temperature = float(np.exp(found.x))
        one = (temperature, temperature * found.error, found.height, float(seen[nearest][1][split]))
        for values, value in zip(result, one, strict=True):
            values[split] = value
    return result


def _known(seen: Seen, split: int) -> list[float]:
    """ln T of the points that have a D on this split, in the order in which they were solved."""
    return [x for x, (distances, _) in seen.items() if np.isfinite(distances[split])]


def _past_the_top(heights: np.ndarray) -> bool:
    """Whether D on every split has fallen well above its errors, or has a top and ends: (n, 2) rungs.

    Below T* the distance falls on or stays, and the coldest points cost most: they need the most explicit units. Where
    they have no solution, colder ones hardly have one.
    """
    known = heights[:, np.isfinite(heights).any(axis=0)]
    if len(known) < 3 or not known.size:
        return False
    top = np.nanmax(known, axis=0)
    if np.isnan(known[-1]).all():
        return bool((known[-2] < top).all())
    if not np.isfinite(known[-2:]).all():
        return False
    fall = 1.0 - known[-2:] / top
    return bool(((fall > FALL).all(axis=0) | (fall[-1] > 2.0 * FALL)).all())


def _top(seen: Seen, split: int, around: float) -> _Top:
    """Maximum of the polynomial in ln T through the points around one, weighted by their errors.

    The errors of the points count as independent. They are not, since points share draws, but what they share moves the
    height alone. Where the curve misses the points by more than their errors, these are raised to what it misses by.
    """
    near = sorted(x for x in _known(seen, split) if abs(x - around) < REACH * np.log(RUNG))
    x = np.array(near) - around
    y, error = (np.array([seen[v][i][split] for v in near]) for i in (0, 1))
    error = np.maximum(error, 1e-9 * np.abs(y))
    parameters = min(MOST_PARAMETERS, len(x) - 1)
    powers = x[:, None] ** np.arange(parameters)
    scaled = powers / error[:, None]
    coefficients = np.linalg.lstsq(scaled, y / error, rcond=None)[0]
    covariance = np.linalg.pinv(scaled.T @ scaled)
    missed = ((y - powers @ coefficients) / error) ** 2
    covariance *= max(1.0, float(missed.sum()) / (len(x) - parameters))
    curve = np.polynomial.Polynomial(coefficients)
    slope, bend = curve.deriv(), curve.deriv(2)
    tops = [
        r.real for r in slope.roots() if abs(r.imag) < 1e-9 and x[0] < r.real < x[-1] and bend(r.real) < 0.0
    ]
    if not tops:
        best = int(y.argmax())
        return _Top(around + float(x[best]), float(np.diff(x).max()), float(y[best]))
    at = float(max(tops, key=curve))
    by = np.arange(parameters) * at ** np.maximum(np.arange(parameters) - 1, 0)  # slope by coefficient
    return _Top(around + at, float(np.sqrt(by @ covariance @ by)) / abs(float(bend(at))), float(curve(at)))
