"""The empirical neural tangent kernel: what limits the step, and how it aligns with the labels."""

from __future__ import annotations

from typing import Any

from proplim._jax import jax, jnp
from proplim.activations import Activation

Array = Any


def tangent_kernel(gram: Array, h: Array, readout: Array, activation: Activation) -> Array:
    """Theta(x, x') = (1/N) sum_i [sigma(h_i) sigma(h_i') + v_i^2 sigma'(h_i) sigma'(h_i') x . x'/N0].

    Parameters
    ----------
    gram : (P, P) array
        x . x' / N0.
    h : (P, N) array
        Preactivations.
    readout : (N,) or (N, C) array

    Returns
    -------
    (P, P) array
        Of C outputs (P C, P C), outputs of an input side by side: the readout's part is the same for each output, the
        hidden weights' couples outputs by v_c v_c'.
    """
    return tangent_kernel_of(
        gram, activation.jax_features(h), slopes_of(activation.jax_derivative(h), readout)
    )


def slopes_of(derivative: Array, readout: Array) -> Array:
    """v sigma'(h) from sigma'(h), (P, N), and v: (P, N), of C outputs (P, C, N)."""
    return derivative * readout if readout.ndim == 1 else derivative[:, None, :] * readout.T


def tangent_kernel_of(gram: Array, features: Array, slopes: Array) -> Array:
    """The same from sigma(h), (P, N), and :func:`slopes_of`."""
    if slopes.ndim == 3:
        inputs, outputs, width = slopes.shape
        flat = slopes.reshape(inputs * outputs, width)
        hidden = jnp.kron(gram, jnp.ones((outputs, outputs))) * (flat @ flat.T)
        return (jnp.kron(features @ features.T, jnp.eye(outputs)) + hidden) / width
    return (features @ features.T + gram * (slopes @ slopes.T)) / features.shape[1]


def largest_eigenvalue(kernel: Array, iterations: int = 60) -> Array:
    """Largest eigenvalue of a positive semi-definite kernel, by power iteration.

    The Rayleigh quotient is a lower bound, short by less than about ln(P) / (2 iterations) relative, whatever
    the spectral gap.
    """
    size = kernel.shape[0]
    # A fixed direction that is orthogonal to no eigenvector one meets in practice.
    z = jnp.cos(jnp.arange(1, size + 1) ** 2 * 0.7)
    unit = jax.lax.fori_loop(0, iterations, lambda _, z: _normalise(kernel @ z), _normalise(z))
    return unit @ (kernel @ unit)


def _normalise(z: Array) -> Array:
    """z / |z|, and zero where z is."""
    norm = jnp.sqrt((z * z).sum())
    return z / jnp.where(norm > 0.0, norm, 1.0)
