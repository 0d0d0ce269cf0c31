"""The error function, the odd sigmoid whose kernel is an arcsine."""

import numpy as np

from proplim.activations._base import Activation, Array, add
from proplim.activations._rational_erf import rational_erf


def _function(h: np.ndarray) -> np.ndarray:
    from scipy.special import erf  # on first use: every job of a workflow knows of this file

    return np.asarray(erf(h))


def _jax_function(h: Array) -> Array:
    from jax.scipy.special import erf

    return erf(h)


def _jax_derivative(h: Array) -> Array:
    import jax.numpy as jnp

    # a plain float: a NumPy scalar would lift float32 to float64
    return float(2.0 / np.sqrt(np.pi)) * jnp.exp(-h * h)


def _kernel(c12: np.ndarray, c11: np.ndarray, c22: np.ndarray) -> np.ndarray:
    """E[erf(h1) erf(h2)] = (2/pi) arcsin(2 c12 / sqrt((1 + 2 c11)(1 + 2 c22))) (Williams 1997)."""
    sine = 2.0 * c12 / np.sqrt((1.0 + 2.0 * c11) * (1.0 + 2.0 * c22))
    return (2.0 / np.pi) * np.arcsin(np.clip(sine, -1.0, 1.0))


erf = add(
    Activation(
        name="erf",
        function=_function,
        jax_function=_jax_function,
        jax_derivative=_jax_derivative,
        odd=True,
        kernel=_kernel,
        mean=lambda c11: np.zeros_like(c11),
        mean_derivative=lambda c11: 2.0 / np.sqrt(np.pi * (1.0 + 2.0 * c11)),
        jax_quick=rational_erf,
    )
)
