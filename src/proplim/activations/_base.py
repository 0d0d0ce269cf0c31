"""What an activation is: one object shared by the kernels, the theory, the sampler and the dynamics."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from proplim._registry import Registry

Array = Any  # a NumPy or a JAX array: an activation is evaluated on both


@dataclass(frozen=True)
class Activation:
    """A hidden-unit nonlinearity sigma together with the Gaussian averages known in closed form.

    Where a closed form is None, :mod:`proplim.kernels` integrates numerically.

    Parameters
    ----------
    name : str
        Name used in configurations and in the ``activation`` coordinate of the cubes.
    function : callable
        sigma(h), elementwise on NumPy arrays of float64.
    jax_function, jax_derivative : callable
        sigma(h) and sigma'(h) on JAX arrays, traceable.
    odd : bool
        Whether sigma(-h) = -sigma(h); then E[sigma] = 0 and one order parameter is enough.
    kernel : callable or None
        ``kernel(c12, c11, c22)`` = E[sigma(h1) sigma(h2)] for centred Gaussians with that covariance.
    mean : callable or None
        ``mean(c11)`` = E[sigma(h)].
    mean_derivative : callable or None
        ``mean_derivative(c11)`` = E[sigma'(h)].
    kinks : tuple of float
        Where sigma or sigma' jumps; numerical integrals are cut there.
    jax_quick : callable or None
        sigma(h) within a few roundings at less cost, for loops that spend their time in it.
    """

    name: str
    function: Callable[[np.ndarray], np.ndarray]
    jax_function: Callable[[Array], Array]
    jax_derivative: Callable[[Array], Array]
    odd: bool
    kernel: Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray] | None = None
    mean: Callable[[np.ndarray], np.ndarray] | None = None
    mean_derivative: Callable[[np.ndarray], np.ndarray] | None = None
    kinks: tuple[float, ...] = ()
    jax_quick: Callable[[Array], Array] | None = None

    def jax_features(self, h: Array) -> Array:
        """sigma(h) on JAX arrays in the form that costs least."""
        return (self.jax_quick or self.jax_function)(h)


ACTIVATIONS: Registry[Activation] = Registry("activation", "proplim.activations")

add = ACTIVATIONS.add
names = ACTIVATIONS.names


def get_activation(activation: str | Activation) -> Activation:
    """Look an activation up by name (an :class:`Activation` is passed through).

    Raises
    ------
    InvalidInput
        If no activation of that name is registered.
    """
    return activation if isinstance(activation, Activation) else ACTIVATIONS.get(activation)
