"""Gaussian averages of an activation: its closed forms where it has them, numerical integrals where it has not."""

from __future__ import annotations

import numpy as np

from proplim.activations import Activation


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
        return np.asarray(activation.kernel(c12, c11, c22), dtype=float)
    from proplim.kernels._quadrature import gaussian_kernel

    return gaussian_kernel(activation, c12, c11, c22)


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
