"""Input kernel C, feature kernel K and Stein vectors B of docs/theory.md, section 2.

Inputs in, kernels out; the Gaussian averages behind them are in ``_averages.py``.
"""

from __future__ import annotations

import numpy as np

from proplim._cores import cut, side_by_side
from proplim.activations import Activation, get_activation
from proplim.errors import InvalidInput
from proplim.kernels._averages import feature_covariance, mean_feature, mean_slope

LARGE = 2_000_000
"""Elements of a kernel whose rows the cores share."""
ROWS = 256
"""Rows in a part; fixed, so that the cut does not depend on the cores."""
CACHED = 2**16
"""Elements of a closed form at once: what it passes over several times stays in the cache."""


def input_kernel(x1: np.ndarray, x2: np.ndarray, lambda0: float) -> np.ndarray:
    """Covariance of the preactivations, C(x, x') = x . x' / (lambda0 N0) (docs/theory.md, eq. 2.1).

    Parameters
    ----------
    x1 : (P1, N0) array
    x2 : (P2, N0) array
    lambda0 : float
        Precision of the prior of a hidden weight, positive.

    Returns
    -------
    (P1, P2) array

    Raises
    ------
    InvalidInput
        If `lambda0` is not positive and finite.
    """
    return (x1 @ x2.T) / (_positive("lambda0", lambda0) * x1.shape[1])


def input_kernel_diagonal(x: np.ndarray, lambda0: float) -> np.ndarray:
    """C(x, x) of every input, shape (P,) (docs/theory.md, eq. 2.1)."""
    return (x * x).sum(axis=1) / (_positive("lambda0", lambda0) * x.shape[1])


def feature_kernel(
    activation: str | Activation, x1: np.ndarray, x2: np.ndarray, lambda0: float = 1.0
) -> np.ndarray:
    """Prior feature kernel K(x, x') = E[sigma(h(x)) sigma(h(x'))] (docs/theory.md, eq. 2.2).

    Parameters
    ----------
    activation : str or Activation
    x1 : (P1, N0) array
    x2 : (P2, N0) array
    lambda0 : float
        Precision of the prior of a hidden weight, positive.

    Returns
    -------
    (P1, P2) array
        Symmetric to the last bit where `x1` is `x2`.
    """
    activation = get_activation(activation)
    if len(x1) * len(x2) >= LARGE and activation.kernel is not None:
        return _large_kernel(activation, x1, x2, lambda0)
    c12 = input_kernel(x1, x2, lambda0)
    c11 = input_kernel_diagonal(x1, lambda0)[:, None]
    c22 = input_kernel_diagonal(x2, lambda0)[None, :]
    kernel = feature_covariance(activation, c12, c11, c22)
    return 0.5 * (kernel + kernel.T) if x1 is x2 else kernel


def _large_kernel(activation: Activation, x1: np.ndarray, x2: np.ndarray, lambda0: float) -> np.ndarray:
    """The same in rows that the cores share; of a symmetric one the upper triangle is a copy of the lower."""
    symmetric = x1 is x2
    c11, c22 = input_kernel_diagonal(x1, lambda0), input_kernel_diagonal(x2, lambda0)
    out = np.empty((len(x1), len(x2)))

    def fill(rows: slice) -> None:
        columns = slice(0, rows.stop if symmetric else len(x2))
        c12 = input_kernel(x1[rows], x2[columns], lambda0)
        for some in cut(len(c12), max(CACHED // c12.shape[1], 1)):
            own = slice(rows.start + some.start, rows.start + some.stop)
            out[own, columns] = feature_covariance(activation, c12[some], c11[own, None], c22[None, columns])
        if symmetric:
            out[: rows.start, rows] = out[rows, : rows.start].T
            square = out[rows, rows]
            out[rows, rows] = 0.5 * (square + square.T)

    longest_first = cut(len(x1), ROWS)[::-1]
    side_by_side(fill, longest_first)
    return out


def feature_kernel_diagonal(activation: str | Activation, x: np.ndarray, lambda0: float = 1.0) -> np.ndarray:
    """K(x, x) of every input, shape (P,) (docs/theory.md, eq. 2.2)."""
    c = input_kernel_diagonal(x, lambda0)
    return feature_covariance(get_activation(activation), c, c, c)


def feature_mean(activation: str | Activation, x: np.ndarray, lambda0: float = 1.0) -> np.ndarray:
    """m(x) = E[sigma(h(x))], shape (P,); zero for an odd activation (docs/theory.md, eq. 2.3)."""
    return mean_feature(get_activation(activation), input_kernel_diagonal(x, lambda0))


def stein_coefficients(activation: str | Activation, x: np.ndarray, lambda0: float = 1.0) -> np.ndarray:
    """E[sigma'(h(x))] / (lambda0 sqrt(N0)), shape (P,): B_a(x) is x_a times it (docs/theory.md, eq. 2.4)."""
    slope = mean_slope(get_activation(activation), input_kernel_diagonal(x, lambda0))
    return slope / (lambda0 * np.sqrt(x.shape[1]))


def stein_vectors(activation: str | Activation, x: np.ndarray, lambda0: float = 1.0) -> np.ndarray:
    """B = E[w sigma(h(x))] of every input by Stein's lemma, shape (N0, P) (docs/theory.md, eq. 2.4)."""
    return (x * stein_coefficients(activation, x, lambda0)[:, None]).T


def _positive(key: str, value: float) -> float:
    if not (np.isfinite(value) and value > 0):
        raise InvalidInput(key, value, "a positive finite number")
    return float(value)
