"""The identity: a deep linear network, where every finite-width statement can be checked exactly."""

import numpy as np

from proplim.activations._base import Activation, Array, add


def _jax_derivative(h: Array) -> Array:
    import jax.numpy as jnp

    return jnp.ones_like(h)


linear = add(
    Activation(
        name="linear",
        function=lambda h: h,
        jax_function=lambda h: h,
        jax_derivative=_jax_derivative,
        odd=True,
        kernel=lambda c12, c11, c22: np.array(np.broadcast_arrays(c12, c11, c22)[0], dtype=float),
        mean=lambda c11: np.zeros_like(c11),
        mean_derivative=lambda c11: np.ones_like(c11),
    )
)
