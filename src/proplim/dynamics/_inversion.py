"""The inversion: when the centroid distance stops rising and turns, although training goes on."""

from __future__ import annotations

import numpy as np

MIN_TURN = 0.01
"""Share of its height by which D has to rise before a maximum, and to fall after it, to count as turning."""


def find_turn(distance: np.ndarray) -> tuple[int, int] | None:
    """Where D stops rising for the first time, and where the fall that follows ends.

    Parameters
    ----------
    distance : (T,) array
        D in the order of time.

    Returns
    -------
    (int, int) or None
        Index of the first maximum that D rose to, and then fell from, by at least `MIN_TURN` of its height,
        and index of the smallest D between it and the next time D is as large. None if D does not turn, or
        is not finite.
    """
    if not np.isfinite(distance).all():
        return None
    top, lowest = 0, np.minimum.accumulate(distance)
    for k in range(1, len(distance)):
        if distance[k] > distance[top]:
            top = k
        elif min(distance[top] - distance[k], distance[top] - lowest[top]) >= MIN_TURN * distance[top]:
            above = np.flatnonzero(distance[k:] >= distance[top])
            end = k + int(above[0]) if above.size else len(distance)
            return top, top + int(np.argmin(distance[top:end]))
    return None


def find_inversion(time: np.ndarray, distance: np.ndarray, mse: np.ndarray) -> tuple[float, float, float]:
    """Time, training error and height of the first maximum of D(t).

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
        (t*, mse(t*), D(t*)); all NaN where D does not turn, see :func:`find_turn`.

    Notes
    -----
    The maximum is that of the cubic spline of D in ln t next to the largest recorded value; the error is
    interpolated monotonely in (ln t, ln mse).
    """
    from scipy.interpolate import CubicSpline, PchipInterpolator

    turn = find_turn(distance)
    if turn is None or not np.isfinite(mse).all():
        return np.nan, np.nan, np.nan
    log_time, top = np.log(time), turn[0]
    spline = CubicSpline(log_time, distance)
    inside = spline.derivative().roots(extrapolate=False)
    near = inside[(inside >= log_time[top - 1]) & (inside <= log_time[top + 1])]
    candidates = np.append(near, log_time[top])
    best = float(candidates[np.argmax(spline(candidates))])
    smallest = np.finfo(float).tiny
    error = np.exp(PchipInterpolator(log_time, np.log(np.maximum(mse, smallest)))(best))
    return float(np.exp(best)), float(error), float(spline(best))


def inversions(time: np.ndarray, distance: np.ndarray, mse_train: np.ndarray) -> dict[str, np.ndarray]:
    """Inversion of every trajectory.

    Parameters
    ----------
    time : (T,) array
    distance : (..., T, splits) array
        Of many classes (..., T, splits, pairs).
    mse_train : (..., T) array

    Returns
    -------
    dict of (..., splits) or (..., splits, pairs) arrays
        ``inversion_time``, ``inversion_mse`` (training error for both splits) and ``inversion_height``.
    """
    kinds = distance.shape[mse_train.ndim :]
    distance = distance.reshape(*mse_train.shape, -1)
    shape = (*distance.shape[:-2], distance.shape[-1])
    found = np.empty((3, *shape))
    for index in np.ndindex(*shape):
        trajectory = (*index[:-1], slice(None))
        found[(slice(None), *index)] = find_inversion(
            time, distance[(*trajectory, index[-1])], mse_train[trajectory]
        )
    found = found.reshape(3, *mse_train.shape[:-1], *kinds)
    return dict(zip(("inversion_time", "inversion_mse", "inversion_height"), found, strict=True))
