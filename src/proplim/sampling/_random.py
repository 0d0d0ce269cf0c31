"""Random numbers of the sampler: counter-based bits and Gaussians, vectorised.

JAX draws 10^4 Gaussians on a CPU in the time of a whole gradient (P = N = 100), since its cipher is compiled as
a loop. The same cipher written out as array arithmetic is ten times faster and gives the same bits, which
tests/test_sampling_random.py checks.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

Array = Any

_ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
_PARITY = 0x1BD11BDA

# sin(2 pi t) / t and cos(2 pi t) for |t| <= 1/2 as polynomials in t^2 (least squares on Chebyshev nodes), to 7e-7
_SINE = (6.2831853, -41.34170041, 81.60513139, -76.70301535, 42.02592699, -14.89984667, 3.23813751)
_COSINE = (
    1.0,
    -19.73920874,
    64.93938908,
    -85.45665831,
    60.24213134,
    -26.40466819,
    7.80013144,
    -1.45311232,
)


class Key(NamedTuple):
    """Two 32-bit words that name a chain."""

    word0: Array
    word1: Array


def key_of(seed: int) -> Key:
    """Key of a 63-bit seed."""
    import jax.numpy as jnp

    return Key(jnp.uint32(seed & 0xFFFFFFFF), jnp.uint32(seed >> 32))


def bits(key: Key, count: int, stream: Array) -> tuple[Array, Array]:
    """Two (count,) arrays of random 32-bit words: Threefry-2x32 with 20 rounds (Salmon et al. 2011).

    Parameters
    ----------
    stream : scalar uint32
        Second word of the counter; different streams of one key are independent.
    """
    import jax.numpy as jnp

    x0 = jnp.arange(count, dtype=jnp.uint32)
    x1 = jnp.full(count, stream, dtype=jnp.uint32)
    schedule = (key.word0, key.word1, key.word0 ^ key.word1 ^ jnp.uint32(_PARITY))
    x0, x1 = x0 + schedule[0], x1 + schedule[1]
    for group in range(5):
        for rotation in _ROTATIONS[group % 2]:
            x0 = x0 + x1
            x1 = x0 ^ ((x1 << jnp.uint32(rotation)) | (x1 >> jnp.uint32(32 - rotation)))
        x0 = x0 + schedule[(group + 1) % 3]
        x1 = x1 + schedule[(group + 2) % 3] + jnp.uint32(group + 1)
    return x0, x1


def uniform(key: Key, count: int, stream: Array) -> Array:
    """(count,) float64 uniforms in (0, 1) with 32 random bits each."""
    import jax.numpy as jnp

    return (bits(key, count, stream)[0].astype(jnp.float64) + 0.5) * 2.0**-32


def normal(key: Key, shape: tuple[int, ...], stream: Array) -> Array:
    """Standard Gaussians of the given shape, float32, by the Box-Muller transform.

    The radius takes all 32 bits of its word, so tails reach 6.6 standard deviations; float32 rounding
    changes the second moment by less than 1e-7.
    """
    import jax.numpy as jnp

    size = math.prod(shape)
    half = (size + 1) // 2
    first, second = bits(key, half, stream)
    # a shift or mask of the words here would stop XLA from vectorising the whole chain (measured: 8 times slower)
    radius = jnp.sqrt(-2.0 * jnp.log((first.astype(jnp.float32) + 0.5) * jnp.float32(2.0**-32)))
    turn = second.astype(jnp.int32).astype(jnp.float32) * jnp.float32(2.0**-32)
    square = turn * turn
    sine, cosine = turn * _polynomial(_SINE, square), _polynomial(_COSINE, square)
    return jnp.concatenate([radius * sine, radius * cosine])[:size].reshape(shape)


def _polynomial(coefficients: tuple[float, ...], x: Array) -> Array:
    """Horner's rule in float32, lowest power first."""
    import jax.numpy as jnp

    value = jnp.float32(coefficients[-1])
    for coefficient in coefficients[-2::-1]:
        value = value * x + jnp.float32(coefficient)
    return value
