"""Cubic curves through points: the spline, and one that never turns between them.

Both are those of SciPy (``CubicSpline``, ``PchipInterpolator``) to rounding. Importing it takes longer than all that a
figure asks of them.
"""

from __future__ import annotations

import math

import numpy as np

STEEPEST_END = 3.0
"""Slope of a monotone curve at an end, over that of the straight line next to it, that it may not exceed."""


def spline_slopes(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Slopes, at all points, of the cubic spline through them that is one cubic in the first and last two intervals.

    Parameters
    ----------
    x : (n,) array
        Increasing, three values or more.
    y : (n,) array

    Returns
    -------
    (n,) array

    Notes
    -----
    de Boor, A Practical Guide to Splines, chapter IV: curvatures agree at inner points ("not-a-knot" at the second and
    the last but one), which is a tridiagonal system. Its pivots are positive, none is looked for.
    """
    step, chord = np.diff(x).tolist(), (np.diff(y) / np.diff(x)).tolist()
    if len(step) == 2:  # a parabola
        middle = (step[1] * chord[0] + step[0] * chord[1]) / (step[0] + step[1])
        return np.array([2 * chord[0] - middle, middle, 2 * chord[1] - middle])
    above, right = [(step[0] + step[1]) / step[1]], [_end_side(step[:2], chord[:2]) / step[1]]
    for k in range(1, len(step)):
        pivot = 2 * (step[k - 1] + step[k]) - step[k] * above[-1]
        side = 3 * (step[k] * chord[k - 1] + step[k - 1] * chord[k])
        right.append((side - step[k] * right[-1]) / pivot)
        above.append(step[k - 1] / pivot)
    both = step[-1] + step[-2]
    last = _end_side(step[:-3:-1], chord[:-3:-1]) - both * right[-1]
    slopes = [last / (step[-2] - both * above[-1])]
    for factor, side in zip(reversed(above), reversed(right), strict=True):
        slopes.append(side - factor * slopes[-1])
    return np.array(slopes[::-1])


def _end_side(step: list[float], chord: list[float]) -> float:
    """Right side of the equation of an end: steps and chords from there on."""
    both = step[0] + step[1]
    return ((step[0] + 2 * both) * step[1] * chord[0] + step[0] ** 2 * chord[1]) / both


def monotone_slopes(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Slopes, at all points, of the cubic curve that rises and falls as its points do.

    Parameters
    ----------
    x : (n,) array
        Increasing, three values or more.
    y : (n,) array

    Returns
    -------
    (n,) array

    Notes
    -----
    Fritsch and Butland, SIAM J. Sci. Stat. Comput. 5, 300 (1984): weighted harmonic means of the slopes of the two
    chords, zero where these differ in sign.
    """
    step = np.diff(x)
    chord = np.diff(y) / step
    before, after = 2 * step[1:] + step[:-1], step[1:] + 2 * step[:-1]
    same = chord[:-1] * chord[1:] > 0
    left, right = np.where(same, chord[:-1], 1.0), np.where(same, chord[1:], 1.0)
    inner = np.where(same, (before + after) / (before / left + after / right), 0.0)
    ends = [_end_slope(*step[:2], *chord[:2]), _end_slope(*step[:-3:-1], *chord[:-3:-1])]
    return np.array([ends[0], *inner, ends[1]])


def _end_slope(near: float, far: float, chord: float, next_chord: float) -> float:
    """Slope at an end, from the parabola through the three points there."""
    slope = ((2 * near + far) * chord - near * next_chord) / (near + far)
    if slope * chord <= 0:
        return 0.0
    if chord * next_chord < 0 and abs(slope) > STEEPEST_END * abs(chord):
        return STEEPEST_END * chord
    return float(slope)


class Piece:
    """A cubic between two neighbouring points.

    Parameters
    ----------
    x, y, slopes : (n,) arrays
    k : int
        The piece from point k to point k+1.
    """

    def __init__(self, x: np.ndarray, y: np.ndarray, slopes: np.ndarray, k: int) -> None:
        self._start, self._step = float(x[k]), float(x[k + 1] - x[k])
        chord, first, second = float(y[k + 1] - y[k]) / self._step, float(slopes[k]), float(slopes[k + 1])
        self._powers = float(y[k]), first, 3 * chord - 2 * first - second, first + second - 2 * chord

    def __call__(self, x: float) -> float:
        """Height of the curve."""
        share = (x - self._start) / self._step
        height, *powers = self._powers
        return height + self._step * sum(c * share**n for n, c in enumerate(powers, start=1))

    def stationary(self) -> list[float]:
        """Where it neither rises nor falls, from its start to its end."""
        _, slope, bend, twist = self._powers
        inside = bend**2 - 3 * slope * twist
        if inside < 0:
            return []
        # The two roots of slope + 2 bend u + 3 twist u^2, neither of them a difference of nearly equal numbers.
        sum_ = -(bend + math.copysign(math.sqrt(inside), bend))
        shares = [above / below for above, below in ((sum_, 3 * twist), (slope, sum_)) if below]
        return [self._start + share * self._step for share in shares if 0 <= share <= 1]
