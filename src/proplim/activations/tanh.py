"""The hyperbolic tangent: odd, smooth, and without a closed form for its Gaussian averages."""

import numpy as np

from proplim.activations._base import Activation, Array, add


def _jax_function(h: Array) -> Array:
    import jax.numpy as jnp

    return jnp.tanh(h)


def _jax_derivative(h: Array) -> Array:
    import jax.numpy as jnp

    return 1.0 - jnp.tanh(h) ** 2


tanh = add(
    Activation(
        name="tanh",
        function=np.tanh,
        jax_function=_jax_function,
        jax_derivative=_jax_derivative,
        odd=True,
        mean=lambda c11: np.zeros_like(c11),
    )
)
