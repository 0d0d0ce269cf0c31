"""BlackJAX NUTS on (w, v) beside this sampler.

python benchmarks/sampling/joint_nuts.py --data mnist38_p100.npz --seconds 60
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from _common import Array, arguments, collect, load, note_rival, own_rate, problem_of, show
from _joint import joint_energy, joint_observables, joint_starts

from proplim.sampling import _adaptation


def joint_nuts(problem: Array, starts: list[Any], seconds: float) -> tuple[dict, float, float]:
    """BlackJAX NUTS on (w, v), step by dual averaging to acceptance 0.8, unit metric (the prior's)."""
    import blackjax

    def density(position: Array) -> Array:
        return -joint_energy(problem, position)

    kernel = blackjax.nuts.build_kernel()
    inverse_mass = jnp.ones(sum(x.size for x in starts[0][1]))

    @jax.jit
    def settle(key: Array, position: Array) -> Array:
        def body(carry: Array, index: Array) -> Array:
            state, size = carry
            state, info = kernel(
                jax.random.fold_in(key, index.astype(int)),
                state,
                density,
                jnp.exp(size.log_step),
                inverse_mass,
            )
            return (state, _adaptation.adapted(size, info.acceptance_rate, 0.8, index)), None

        first = blackjax.nuts.init(position, density)
        (state, size), _ = jax.lax.scan(
            body, (first, _adaptation.first_step(float(np.log(0.01)))), jnp.arange(60.0)
        )
        return state, jnp.exp(size.average)

    @jax.jit
    def advance(key: Array, carry: Array) -> Array:
        state, step, counter = carry

        def body(state: Array, index: Array) -> Array:
            state, info = kernel(jax.random.fold_in(key, index), state, density, step, inverse_mass)
            return state, joint_observables(problem, state.position) | {"steps": info.num_integration_steps}

        state, measured = jax.lax.scan(body, state, counter + jnp.arange(5))
        return (state, step, counter + 5), measured

    chains = []
    for index, (_, position) in enumerate(starts):
        key = jax.random.key(index)
        chains.append((key, (*settle(key, position), 1000)))
    jax.block_until_ready(advance(*chains[0]))
    draws, spent = collect(advance, chains, seconds)
    return draws, spent, float(draws.pop("steps").mean())


if __name__ == "__main__":
    chosen = arguments(__doc__, (0.01,)).parse_args()
    for temperature in chosen.temperature:
        problem = problem_of(load(chosen.data), temperature)
        own = own_rate(problem, temperature, chosen.seconds)
        draws, spent, steps = joint_nuts(problem, joint_starts(problem, 2), chosen.seconds)
        rate = show(temperature, f"NUTS on (w, v), {steps:.0f} steps a draw", own, draws, spent)
        note_rival(temperature, "NUTS of BlackJAX on (w, v)", own, rate)
