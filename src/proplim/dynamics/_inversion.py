"""The inversion: when the centroid distance stops rising and turns, although training goes on."""

from __future__ import annotations

import numpy as np
from scipy.interpolate import CubicSpline, PchipInterpolator

MIN_TURN = 1e-3
"""Share of its height by which D has to rise before the maximum, and fall after it, to count as turning."""


def find_inversion(time: np.ndarray, distance: np.ndarray, mse: np.ndarray) -> tuple[float, float, float]:
    """Time, training error and height of the maximum of D(t).

    Parameters
    ----------
    time : (T,) array
        Increasing, positive.
    distance : (T,) array
        D at these times.
    mse : (T,) array
        Training error at these times.

    Returns
    -------
    tuple of float
        (t*, mse(t*), D(t*)); all NaN where D is monotone, not finite, or turns by less than `MIN_TURN`.

    Notes
    -----
    The maximum is that of the cubic spline of D in ln t; the error is interpolated monotonely in
    (ln t, ln mse).
    """
    none = (np.nan, np.nan, np.nan)
    if len(time) < 4 or not (np.isfinite(distance).all() and np.isfinite(mse).all()):
        return none
    top = int(np.argmax(distance))
    turn = MIN_TURN * distance[top]
    if distance[top] - distance[:top].min(initial=np.inf) < turn or top == 0:
        return none
    if distance[top] - distance[top:].min() < turn:
        return none
    log_time = np.log(time)
    spline = CubicSpline(log_time, distance)
    # The spline has its maximum within one interval of the largest sample.
    inside = spline.derivative().roots(extrapolate=False)
    near = inside[(inside >= log_time[top - 1]) & (inside <= log_time[top + 1])]
    candidates = np.append(near, log_time[top])
    best = float(candidates[np.argmax(spline(candidates))])
    floor = np.finfo(float).tiny
    error = np.exp(PchipInterpolator(log_time, np.log(np.maximum(mse, floor)))(best))
    return float(np.exp(best)), float(error), float(spline(best))


def inversions(time: np.ndarray, distance: np.ndarray, mse_train: np.ndarray) -> dict[str, np.ndarray]:
    """Inversion of every trajectory.

    Parameters
    ----------
    time : (T,) array
    distance : (..., T, splits) array
    mse_train : (..., T) array

    Returns
    -------
    dict of (..., splits) arrays
        ``inversion_time``, ``inversion_mse`` (training error for both splits) and ``inversion_height``.
    """
    shape = (*distance.shape[:-2], distance.shape[-1])
    found = np.empty((3, *shape))
    for index in np.ndindex(*shape):
        trajectory = (*index[:-1], slice(None))
        found[(slice(None), *index)] = find_inversion(
            time, distance[(*trajectory, index[-1])], mse_train[trajectory]
        )
    return dict(zip(("inversion_time", "inversion_mse", "inversion_height"), found, strict=True))
