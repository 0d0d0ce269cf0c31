"""Replica exchange along the temperature axis.

python benchmarks/sampling/exchange.py --data mnist38_p100.npz
"""

from __future__ import annotations

import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from _common import (
    ERF,
    Array,
    arguments,
    draw_at,
    load,
    path_of,
    problem_of,
    slowest_of,
    stacked,
    start_states,
    with_functionals,
)

from proplim.datasets import Dataset
from proplim.sampling import _draw, _kernel, _random, _target


def exchange(dataset: Dataset, temperatures: list[float], seconds: float) -> None:
    """Replica exchange along the temperature axis, from one rung (none) to ladders that reach T = 0.1."""
    for temperature in temperatures:
        for rungs in (1, 3, 5, 8, 12):
            hottest = temperature if rungs == 1 else max(0.1, 10 * temperature)
            rate, slowest, each, mean, least = exchange_replicas(
                dataset, temperature, hottest, rungs, seconds
            )
            print(
                f"T = {temperature:<6g} {rungs:2d} rungs to T = {hottest:<5g} {rate:8.2f} ESS/s, {each:.3f} a draw "
                f"({slowest}), exchanged {mean:.2f}, least {least:.2f}",
                flush=True,
            )


def exchange_replicas(
    dataset: Dataset, temperature: float, hottest: float, rungs: int, seconds: float
) -> tuple[float, str, float, float, float]:
    """This package's kernel at `rungs` temperatures up to `hottest`, neighbours exchanging states after every draw.

    Returns ESS per second and per draw of the coldest rung, whose draws alone count, its slowest observable, and
    the mean and the smallest rate of exchange between neighbours.
    """
    ladder = np.geomspace(temperature, hottest, rungs)
    cold = problem_of(dataset, temperature)
    every = [start_states(cold._replace(temperature=jnp.float64(t)), 2) for t in ladder]
    keys = [key for key, _ in every[0]]
    steps = jnp.stack([jnp.mean(jnp.stack([c.step.log_step for _, c in rung])) for rung in every])
    path, what = path_of(), _draw.recorded()
    temperatures = jnp.asarray(ladder)

    @jax.jit
    def advance(key: Array, states: Array, temperatures: Array) -> Array:
        def at(index: Array) -> Array:
            return cold._replace(temperature=temperatures[index])

        def energy(index: Array, hidden: Array) -> Array:
            return _target.likelihood(at(index), ERF, hidden)[2].log_likelihood

        def move(_: None, indexed: Array) -> Array:
            index, state = indexed
            here = _random.Key(key.word0 + index.astype(jnp.uint32), key.word1)
            # where a neighbour's state has come in, energy and gradient belong to another temperature
            return None, _kernel.trajectory(
                at(index),
                ERF,
                _kernel.Rule(path.length, path.jitter, steps[index]),
                here,
                state._replace(temperature=jnp.nan),
                jnp.float32,
            )[0]

        def body(states: Array, _: None) -> Array:
            states = jax.lax.scan(move, None, (jnp.arange(rungs), states))[1]
            time = states.trajectory[0]
            own = states.log_likelihood
            partner = jnp.arange(rungs) + jnp.where((jnp.arange(rungs) + time) % 2 == 0, 1, -1)
            partner = jnp.where((partner < 0) | (partner >= rungs), jnp.arange(rungs), partner)
            there = jax.lax.map(lambda i: energy(i, states.hidden[partner[i]]), jnp.arange(rungs))
            gain = there - own
            pair = jnp.minimum(jnp.arange(rungs), partner)
            random = _random.uniform(key, rungs, time * jnp.uint32(4) + jnp.uint32(3))[pair]
            chance = jnp.exp(jnp.minimum(gain + gain[partner], 0.0))
            swapped = (random < chance) & (partner != jnp.arange(rungs))
            source = jnp.where(swapped, partner, jnp.arange(rungs))
            states = states._replace(hidden=states.hidden[source])
            measured = _draw.measure(draw_at(cold, states.hidden[0], key, time), what)
            return states, (measured, jnp.where(partner > jnp.arange(rungs), chance, jnp.nan))

        return jax.lax.scan(body, states, None, length=20)

    chains = []
    for index, key in enumerate(keys):
        states = jax.tree.map(lambda *leaves: jnp.stack(leaves), *(rung[index][1].state for rung in every))
        chains.append((key, states._replace(trajectory=states.trajectory + jnp.uint32(10**6))))
    jax.block_until_ready(advance(*chains[0], temperatures))
    records: list[list[Any]] = [[] for _ in chains]
    rates, spent = [], 0.0
    while spent < seconds:
        start = time.process_time()
        for i, (key, states) in enumerate(chains):
            states, (measured, chance) = jax.block_until_ready(advance(key, states, temperatures))
            chains[i] = key, states
            records[i].append(measured)
            rates.append(np.asarray(chance))
        spent += time.process_time() - start
    draws = stacked(records)
    ess, slowest = slowest_of(with_functionals(draws, cold))
    swaps = np.nanmean(np.concatenate(rates)[:, :-1], axis=0) if rungs > 1 else np.ones(1)
    count = draws["mse"].shape[0] * draws["mse"].shape[1]
    return ess / spent, slowest, ess / count, float(swaps.mean()), float(swaps.min())


if __name__ == "__main__":
    chosen = arguments(__doc__, (0.01, 0.001)).parse_args()
    exchange(load(chosen.data), chosen.temperature, chosen.seconds)
