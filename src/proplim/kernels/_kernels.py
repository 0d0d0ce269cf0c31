"""Input kernel C, feature kernel K and Stein vectors B of docs/theory.md, section 2.

Closed forms where the activation has them, vectorised Gauss-Hermite quadrature where it does not.
"""

from __future__ import annotations

import numpy as np

from proplim.activations import Activation, get_activation
from proplim.errors import InvalidInput


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
    c12 = input_kernel(x1, x2, lambda0)
    c11 = input_kernel_diagonal(x1, lambda0)[:, None]
    c22 = input_kernel_diagonal(x2, lambda0)[None, :]
    kernel = _kernel(get_activation(activation), c12, c11, c22)
    return 0.5 * (kernel + kernel.T) if x1 is x2 else kernel


def feature_kernel_diagonal(activation: str | Activation, x: np.ndarray, lambda0: float = 1.0) -> np.ndarray:
    """K(x, x) of every input, shape (P,) (docs/theory.md, eq. 2.2)."""
    c = input_kernel_diagonal(x, lambda0)
    return _kernel(get_activation(activation), c, c, c)


def feature_mean(activation: str | Activation, x: np.ndarray, lambda0: float = 1.0) -> np.ndarray:
    """m(x) = E[sigma(h(x))], shape (P,); zero for an odd activation (docs/theory.md, eq. 2.3)."""
    activation = get_activation(activation)
    c = input_kernel_diagonal(x, lambda0)
    if activation.mean is not None:
        return np.asarray(activation.mean(c), dtype=float)
    if activation.odd:
        return np.zeros_like(c)
    from proplim.kernels._quadrature import gaussian_mean

    return gaussian_mean(activation, c)


def stein_coefficients(activation: str | Activation, x: np.ndarray, lambda0: float = 1.0) -> np.ndarray:
    """E[sigma'(h(x))] / (lambda0 sqrt(N0)), shape (P,): B_a(x) is x_a times it (docs/theory.md, eq. 2.4)."""
    activation = get_activation(activation)
    c = input_kernel_diagonal(x, lambda0)
    if activation.mean_derivative is not None:
        slope = np.asarray(activation.mean_derivative(c), dtype=float)
    else:
        from proplim.kernels._quadrature import gaussian_mean_derivative

        slope = gaussian_mean_derivative(activation, c)
    return slope / (lambda0 * np.sqrt(x.shape[1]))


def stein_vectors(activation: str | Activation, x: np.ndarray, lambda0: float = 1.0) -> np.ndarray:
    """B = E[w sigma(h(x))] of every input by Stein's lemma, shape (N0, P) (docs/theory.md, eq. 2.4)."""
    return (x * stein_coefficients(activation, x, lambda0)[:, None]).T


def _kernel(activation: Activation, c12: np.ndarray, c11: np.ndarray, c22: np.ndarray) -> np.ndarray:
    if activation.kernel is not None:
        return np.asarray(activation.kernel(c12, c11, c22), dtype=float)
    from proplim.kernels._quadrature import gaussian_kernel

    return gaussian_kernel(activation, c12, c11, c22)


def _positive(key: str, value: float) -> float:
    if not (np.isfinite(value) and value > 0):
        raise InvalidInput(key, value, "a positive finite number")
    return float(value)
