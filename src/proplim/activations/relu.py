"""The rectified linear unit: not odd, with a kink, and the arc-cosine kernel of order one."""

import numpy as np

from proplim.activations._base import Activation, Array, add


def _jax_function(h: Array) -> Array:
    import jax.numpy as jnp

    return jnp.maximum(h, 0.0)


def _jax_derivative(h: Array) -> Array:
    import jax.numpy as jnp

    return jnp.where(h > 0.0, 1.0, 0.0)


def _kernel(c12: np.ndarray, c11: np.ndarray, c22: np.ndarray) -> np.ndarray:
    """E[relu(h1) relu(h2)] = (sqrt(c11 c22)/2 pi) (sin t + (pi - t) cos t), t the angle between the inputs.

    The arc-cosine kernel of order one (Cho and Saul 2009). The angle comes from the arctangent of its sine
    and cosine, which keeps its digits for nearly parallel inputs where the arccosine loses half of them.
    """
    product = c11 * c22
    root = np.sqrt(np.maximum(product - c12 * c12, 0.0))  # |x||x'| sin t
    angle = np.arctan2(root, c12)
    return (root + (np.pi - angle) * c12) / (2.0 * np.pi)


relu = add(
    Activation(
        name="relu",
        function=lambda h: np.maximum(h, 0.0),
        jax_function=_jax_function,
        jax_derivative=_jax_derivative,
        odd=False,
        kernel=_kernel,
        mean=lambda c11: np.sqrt(np.asarray(c11) / (2.0 * np.pi)),
        mean_derivative=lambda c11: np.full_like(c11, 0.5, dtype=float),
        kinks=(0.0,),
    )
)
