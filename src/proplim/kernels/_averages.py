"""Gaussian averages of an activation: its closed forms where it has them, numerical integrals where it has not."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from proplim._cores import cut, side_by_side
from proplim.activations import Activation

LARGE = 2_000_000
"""Elements of a matrix whose rows the cores share."""
ROWS = 256
"""Rows in a part; fixed, so that the cut does not depend on the cores."""


def feature_covariance(
    activation: Activation, c12: np.ndarray, c11: np.ndarray, c22: np.ndarray
) -> np.ndarray:
    """E[sigma(h) sigma(h')] for centred Gaussians with covariance [[c11, c12], [c12, c22]].

    Parameters
    ----------
    activation : Activation
    c12, c11, c22 : arrays that broadcast together

    Returns
    -------
    array of the broadcast shape
    """
    if activation.kernel is not None:
        return _in_rows(activation.kernel, c12, c11, c22)
    from proplim.kernels._quadrature import gaussian_kernel

    return gaussian_kernel(activation, c12, c11, c22)


def _in_rows(
    kernel: Callable[..., np.ndarray], c12: np.ndarray, c11: np.ndarray, c22: np.ndarray
) -> np.ndarray:
    """A closed form; the rows of a large matrix are shared by the cores."""
    if c12.ndim != 2 or c12.size < LARGE:
        return np.asarray(kernel(c12, c11, c22), dtype=float)
    out = np.empty(c12.shape)

    def fill(part: slice) -> None:
        out[part] = kernel(*(array[part] if len(array) == len(c12) else array for array in (c12, c11, c22)))

    side_by_side(fill, cut(len(c12), ROWS))
    return out


def mean_feature(activation: Activation, variance: np.ndarray) -> np.ndarray:
    """E[sigma(h)] for h of the given variances; exactly zero for an odd activation."""
    if activation.mean is not None:
        return np.asarray(activation.mean(variance), dtype=float)
    if activation.odd:
        return np.zeros_like(variance)
    from proplim.kernels._quadrature import gaussian_mean

    return gaussian_mean(activation, variance)


def mean_slope(activation: Activation, variance: np.ndarray) -> np.ndarray:
    """E[sigma'(h)] for h of the given variances."""
    if activation.mean_derivative is not None:
        return np.asarray(activation.mean_derivative(variance), dtype=float)
    from proplim.kernels._quadrature import gaussian_mean_derivative

    return gaussian_mean_derivative(activation, variance)
