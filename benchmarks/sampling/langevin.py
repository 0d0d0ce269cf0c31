"""Langevin dynamics on (w, v) beside this sampler, at the step that biases observables by 1 %.

python benchmarks/sampling/langevin.py --data mnist38_p100.npz --seconds 60
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from _common import Array, arguments, collect, load, note_rival, own_rate, problem_of, show
from _joint import joint_energy, joint_observables, joint_starts

from proplim.sampling import _random

LANGEVIN_TIME = 10
"""A slow chain needs a longer run for an ESS that means something."""


def langevin(problem: Array, starts: list[Any], step: float, seconds: float, thin: int) -> tuple[dict, float]:
    """Discretised Langevin in float32, x -> x - step dU/dx + sqrt(2 step) xi; observables every `thin` steps."""

    @jax.jit
    def advance(problem: Array, key: Array, carry: Array, step: Array) -> Array:
        def one(carry: Array, _: None) -> Array:
            (hidden, v), counter = carry
            slope = jax.grad(joint_energy, argnums=1)(problem, (hidden, v))
            noise = _random.normal(key, (hidden.size + v.size,), counter)
            scale = jnp.sqrt(2.0 * step)
            hidden = hidden - step * slope[0] + scale * noise[: hidden.size].reshape(hidden.shape)
            return (
                (hidden, v - step * slope[1] + scale * noise[hidden.size :]),
                counter + jnp.uint32(1),
            ), None

        def body(carry: Array, _: None) -> Array:
            carry = jax.lax.scan(one, carry, None, length=thin)[0]
            return carry, joint_observables(problem, carry[0])

        return jax.lax.scan(body, carry, None, length=20)

    step = jnp.float32(step)
    chains = [
        (key, (jax.tree.map(lambda x: x.astype(jnp.float32), start), jnp.uint32(0))) for key, start in starts
    ]
    jax.block_until_ready(advance(problem, *chains[0], step))
    return collect(lambda key, carry: advance(problem, key, carry, step), chains, seconds)


def langevin_bias(
    problem: Array, starts: list[Any], step: float, count: int
) -> tuple[dict[str, tuple[float, float]], float]:
    """Relative bias of Langevin means at `step`, with its error, from pairs of chains with common noise.

    The second chain of a pair takes two half steps with the halves of the first one's noise. The bias is linear
    in the step to leading order, so that of the whole step is twice the difference of the means, and the noise
    that both share cancels in it. The first third of `count` steps is thrown away.

    Returns
    -------
    dict
        Name to (bias / mean, standard error), by ten batches a chain.
    float
        Training error of the finer chains.
    """
    thin = 20

    @jax.jit
    def run(problem: Array, key: Array, start: Array, step: Array) -> Array:
        def move(position: Array, step: Array, noise: Array) -> Array:
            hidden, v = position
            slope = jax.grad(joint_energy, argnums=1)(problem, position)
            scale = jnp.sqrt(2.0 * step)
            return (
                hidden - step * slope[0] + scale * noise[: hidden.size].reshape(hidden.shape),
                v - step * slope[1] + scale * noise[hidden.size :],
            )

        def one(carry: Array, _: None) -> Array:
            coarse, fine, counter = carry
            size = coarse[0].size + coarse[1].size
            first, second = (_random.normal(key, (size,), counter + jnp.uint32(i)) for i in range(2))
            coarse = move(coarse, step, (first + second) / jnp.float32(np.sqrt(2.0)))
            fine = move(move(fine, step / 2, first), step / 2, second)
            return (coarse, fine, counter + jnp.uint32(2)), None

        def body(carry: Array, _: None) -> Array:
            carry = jax.lax.scan(one, carry, None, length=thin)[0]
            return carry, tuple(joint_observables(problem, position) for position in carry[:2])

        return jax.lax.scan(body, (start, start, jnp.uint32(0)), None, length=count // thin)[1]

    runs = []
    for key, start in starts:
        single = jax.tree.map(lambda x: x.astype(jnp.float32), start)
        runs.append(jax.tree.map(np.asarray, run(problem, key, single, jnp.float32(step))))
    result = {}
    for name in runs[0][0]:
        batches, level = [], []
        for coarse, fine in runs:
            first = len(fine[name]) // 3
            difference = np.asarray(coarse[name] - fine[name], float)[first:]
            difference = difference.reshape(len(difference), -1)[:, 0]
            batches += [part.mean() for part in np.array_split(difference, 10)]
            level.append(np.asarray(fine[name], float)[first:].reshape(len(difference), -1)[:, 0].mean())
        scale = 2.0 / np.mean(level)
        error = np.std(batches, ddof=1) / np.sqrt(len(batches))
        result[name] = float(scale * np.mean(batches)), float(abs(scale) * error)
    return result, float(np.mean([fine["mse"][len(fine["mse"]) // 3 :].mean() for _, fine in runs]))


def langevin_steps(problem: Array, starts: list[Any]) -> tuple[float, float]:
    """Steps at which the training error, and at which the first of all observables, is biased by 1 %.

    The training error equilibrates fastest and is biased most of the observables of order one. Halve from 0.2 T
    until the bias is below 15 %, which a short run resolves; extrapolate linearly to 1 %, measure again there with a
    run of 12000 steps, and correct once.
    """
    step = 0.2 * float(problem.temperature)
    while True:
        bias = langevin_bias(problem, starts, step, 1500)[0]["mse"]
        print(f"    step {step:.1e}: training error biased by {bias[0]:.1%} +- {bias[1]:.1%}", flush=True)
        if np.isfinite(bias[0]) and 3 * bias[1] < abs(bias[0]) < 0.15:
            break
        if step < 1e-3 * float(problem.temperature):
            raise SystemExit("no step of Langevin dynamics is accurate enough")
        step /= 2.0
    step *= 0.01 / abs(bias[0])
    biases, level = langevin_bias(problem, starts, step, 12000)
    for name, (value, error) in biases.items():
        print(f"    step {step:.2e}: bias of {name} {value:.2%} +- {error:.2%}", flush=True)
    corrected = step * 0.01 / abs(biases["mse"][0])
    strict = step * 0.01 / max(abs(value) for value, _ in biases.values())
    print(f"    1 % at step {corrected:.2e}; training error {level:.5f}", flush=True)
    return float(corrected), float(strict)


if __name__ == "__main__":
    chosen = arguments(__doc__, (0.01,)).parse_args()
    for temperature in chosen.temperature:
        problem = problem_of(load(chosen.data), temperature)
        own = own_rate(problem, temperature, chosen.seconds)
        starts = joint_starts(problem, 2)
        step, strict = langevin_steps(problem, starts)
        draws, spent = langevin(problem, starts, step, LANGEVIN_TIME * chosen.seconds, thin=500)
        rate = show(temperature, f"Langevin on (w, v), step {step:.1e}", own, draws, spent)
        # a diffusion covers the same time with more steps: its rate is proportional to the step
        print(
            f"    with a step of {strict:.1e}, every observable below 1 %: extrapolated to "
            f"{rate * strict / step:.4f} ESS/s, this sampler {own / rate * step / strict:.0f} times"
        )
        note_rival(temperature, "Langevin on (w, v), training error biased by 1 %", own, rate)
        note_rival(
            temperature, "Langevin on (w, v), every bias below 1 % (extrapolated)", own, rate * strict / step
        )
