"""HMC in the re-priorised parameterisation (arXiv:2206.07673) beside this sampler.

python benchmarks/sampling/repriorised.py --data mnist38_p100.npz --seconds 60
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from _common import ERF, Array, arguments, collect, draw_at, load, note_rival, own_rate, problem_of, show
from _joint import joint_observables, joint_starts

from proplim.sampling import _adaptation, _random, _target


def repriorised(problem: Array, starts: list[Any], seconds: float) -> tuple[dict, float]:
    """HMC in (w, phi), v = E[v | w] + cov[v | w]^(1/2) phi (arXiv:2206.07673), differentiated automatically.

    phi is a standard Gaussian independent of w, so its part of the dynamics is exact; w is moved by leapfrog in
    float64 through the factorisation, and observables are functions of the drawn (w, v).
    """

    def density(hidden: Array) -> Array:
        return _target.likelihood(problem, ERF, hidden)[2].log_likelihood - 0.5 * (hidden * hidden).sum()

    slope_of = jax.value_and_grad(density)

    def one(key: Array, carry: Array) -> Array:
        hidden, value, slope, size, counter = carry
        stream = counter * jnp.uint32(4)
        momentum = _random.normal(key, hidden.shape, stream).astype(jnp.float64)
        uniform = _random.uniform(key, 2, stream + jnp.uint32(1))
        length = np.pi / 2 * (1 + 0.2 * (2 * uniform[0] - 1))
        count = jnp.clip(jnp.ceil(length * jnp.exp(-size.log_step)), 1, 1000).astype(int)
        step = length / count

        def body(_: Array, inner: Array) -> Array:
            position, p, _, g = inner
            p = p + 0.5 * step * g
            position = position + step * p
            new, g = slope_of(position)
            return position, p + 0.5 * step * g, new, g

        position, end, new, g = jax.lax.fori_loop(0, count, body, (hidden, momentum, value, slope))
        error = value - new + 0.5 * ((end * end).sum() - (momentum * momentum).sum())
        acceptance = jnp.nan_to_num(jnp.exp(-jnp.maximum(error, 0.0)))
        accept = uniform[1] < acceptance
        hidden, value, slope = (
            jnp.where(accept, a, b) for a, b in ((position, hidden), (new, value), (g, slope))
        )
        return (hidden, value, slope, size, counter + jnp.uint32(1)), acceptance

    @jax.jit
    def settle(key: Array, hidden: Array) -> Array:
        def body(carry: Array, age: Array) -> Array:
            (*rest, size, counter), acceptance = one(key, carry)
            return (*rest, _adaptation.adapted(size, acceptance, 0.8, age), counter), None

        size = _adaptation.first_step(float(np.log(0.1)))
        start = (hidden, *slope_of(hidden), size, jnp.uint32(10**6))
        *rest, size, counter = jax.lax.scan(body, start, jnp.arange(80.0))[0]
        return (*rest, size._replace(log_step=size.average), counter)

    @jax.jit
    def advance(key: Array, carry: Array) -> Array:
        def body(carry: Array, _: None) -> Array:
            carry, _ = one(key, carry)
            v = draw_at(problem, carry[0], key, carry[4]).readout
            return carry, joint_observables(problem, (carry[0], v))

        return jax.lax.scan(body, carry, None, length=10)

    chains = [(key, settle(key, position[0])) for key, position in starts]
    jax.block_until_ready(advance(*chains[0]))
    return collect(advance, chains, seconds)


if __name__ == "__main__":
    chosen = arguments(__doc__, (0.01,)).parse_args()
    for temperature in chosen.temperature:
        problem = problem_of(load(chosen.data), temperature)
        own = own_rate(problem, temperature, chosen.seconds)
        draws, spent = repriorised(problem, joint_starts(problem, 2), chosen.seconds)
        rate = show(temperature, "re-priorised HMC", own, draws, spent)
        note_rival(temperature, "re-priorised HMC", own, rate)
