"""Other kernels on the same collapsed target, with the same gradient and observables.

python benchmarks/sampling/kernels.py --data mnist38_p100.npz --temperature 0.01 --seconds 20
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from _common import (
    ERF,
    Array,
    arguments,
    load,
    path_of,
    problem_of,
    report,
    rotation,
    run_kernel,
    start_states,
)

from proplim.datasets import Dataset
from proplim.sampling import _program, _random, _target


def kernels(
    dataset: Dataset, temperatures: list[float], seconds: float, only: list[str] | None = None
) -> None:
    """Kernels on the collapsed posterior, same gradient and observables for all; `only` names parts of rows."""
    table: dict[str, tuple[Callable, _program.Path, bool, int]] = {
        "rotation HMC (ours)": (rotation, path_of(), False, 1),
        "rotation HMC, no jitter": (rotation, path_of(jitter=0.0), False, 1),
        "rotation HMC, path pi": (rotation, path_of(length=np.pi), False, 1),
        "rotation HMC + theory metric": (
            partial(general, splitting="rotation", single=False),
            path_of(),
            True,
            1,
        ),
        "leapfrog HMC": (partial(general, splitting="leapfrog", single=False), path_of(), False, 1),
        "MALA": (partial(general, splitting="leapfrog", single=True), path_of(acceptance=0.574), False, 10),
        "pCNL": (partial(general, splitting="rotation", single=True), path_of(acceptance=0.574), False, 10),
        "pCN": (crank_nicolson, path_of(acceptance=0.25), False, 100),
        "NUTS": (collapsed_nuts, path_of(acceptance=0.8), False, 1),
        "microcanonical with Metropolis": (microcanonical, path_of(acceptance=0.9), False, 1),
    }
    for temperature in temperatures:
        # all kernels follow the weights themselves, so that their gradients are the same
        problem = problem_of(dataset, temperature)._replace(kernel_train=None)
        starts = start_states(problem, 2)
        for name, (kernel, path, metric, thin) in table.items():
            if only and not any(part in name for part in only):
                continue
            stiffness = theory_stiffness(problem) if metric else jnp.zeros(problem.inputs_train.shape[1])
            rate, slowest, acceptance, step = run_kernel(
                problem, starts, kernel, path, stiffness, seconds, thin
            )
            print(
                f"T = {temperature:<6g} {name:30} {rate:8.2f} ESS/s ({slowest}), "
                f"acceptance {acceptance:.2f}, step {step:.3f}",
                flush=True,
            )


def theory_stiffness(problem: _target.Problem) -> Array:
    """Mean curvature of -l along input directions, diag of A^T Sigma^-1 A / N from the infinite-width kernel."""
    a = np.asarray(problem.inputs_train)
    c = a @ a.T
    d = np.sqrt(1 + 2 * np.diag(c))
    kernel = 2 / np.pi * np.arcsin(2 * c / np.outer(d, d))
    sigma = kernel + float(problem.temperature) * np.eye(len(c))
    slope = a * (2 / np.sqrt(np.pi) / d)[:, None]
    return jnp.asarray(np.einsum("pr,pr->r", slope, np.linalg.solve(sigma, slope)))


def general(
    problem: Array, key: Array, state: Array, rule: Array, stiffness: Array, *, splitting: str, single: bool
) -> Array:
    """HMC with a metric over input directions: leapfrog, or exact rotation; `single` takes one step a trajectory."""
    stream = state.trajectory * jnp.uint32(4)
    mass = (1.0 + stiffness)[:, None]
    momentum = _random.normal(key, state.hidden.shape, stream).astype(jnp.float64) * jnp.sqrt(mass)
    uniform = _random.uniform(key, 2, stream + jnp.uint32(1))
    spread = 1.0 + rule.jitter * (2.0 * uniform[0] - 1.0)
    length = jnp.exp(rule.log_step) if single else rule.path_length * spread
    count = jnp.clip(jnp.ceil(length * jnp.exp(-rule.log_step) - 1e-9), 1, 1000).astype(jnp.int32)
    step = length / count

    def force(position: Array, slope: Array) -> Array:
        return slope + stiffness[:, None] * position if splitting == "rotation" else slope - position

    def body(_: Array, carry: Array) -> Array:
        position, momentum, slope = carry
        momentum = momentum + 0.5 * step * force(position, slope)
        if splitting == "rotation":
            cosine, sine = jnp.cos(step), jnp.sin(step)
            position, momentum = (
                cosine * position + sine * momentum / mass,
                cosine * momentum - sine * mass * position,
            )
        else:
            position = position + step * momentum / mass
        slope = _target.gradient(problem, ERF, position, jnp.float32)
        return position, momentum + 0.5 * step * force(position, slope), slope

    position, end, slope = jax.lax.fori_loop(0, count, body, (state.hidden, momentum, state.gradient))
    value = _target.likelihood(problem, ERF, position)[2].log_likelihood

    def energy(z: Array, p: Array) -> Array:
        return 0.5 * ((z * z).sum() + (p * p / mass).sum())

    error = state.log_likelihood - value + energy(position, end) - energy(state.hidden, momentum)
    acceptance = jnp.nan_to_num(jnp.exp(-jnp.maximum(error, 0.0)))
    proposal = state._replace(hidden=position, log_likelihood=value, gradient=slope)
    state = jax.tree.map(partial(jnp.where, uniform[1] < acceptance), proposal, state)
    return state._replace(trajectory=state.trajectory + jnp.uint32(1)), report(acceptance, count, error > 1e3)


def crank_nicolson(problem: Array, key: Array, state: Array, rule: Array, stiffness: Array) -> Array:
    """pCN: rotate towards a fresh prior draw, accept on the likelihood."""
    stream = state.trajectory * jnp.uint32(4)
    fresh = _random.normal(key, state.hidden.shape, stream).astype(jnp.float64)
    step = jnp.exp(rule.log_step)
    position = jnp.cos(step) * state.hidden + jnp.sin(step) * fresh
    value = _target.likelihood(problem, ERF, position)[2].log_likelihood
    acceptance = jnp.nan_to_num(jnp.exp(jnp.minimum(value - state.log_likelihood, 0.0)))
    proposal = state._replace(hidden=position, log_likelihood=value)
    accept = _random.uniform(key, 2, stream + jnp.uint32(1))[1] < acceptance
    state = jax.tree.map(partial(jnp.where, accept), proposal, state)
    return state._replace(trajectory=state.trajectory + jnp.uint32(1)), report(acceptance, 1, False)


def collapsed_density(problem: Array) -> Callable:
    """Log posterior of Z in float64, with the hand-written float32 gradient that all kernels share."""

    @jax.custom_vjp
    def density(hidden: Array) -> Array:
        return _target.likelihood(problem, ERF, hidden)[2].log_likelihood - 0.5 * (hidden * hidden).sum()

    def forward(hidden: Array) -> tuple[Array, Array]:
        return density(hidden), _target.gradient(problem, ERF, hidden, jnp.float32) - hidden

    density.defvjp(forward, lambda slope, weight: (weight * slope,))
    return density


def library_state(state: Array, library: Array) -> Array:
    """Our state as the library's; Z . Z and Z are the prior's part of energy and gradient."""
    norm = 0.5 * (state.hidden * state.hidden).sum()
    return library(state.hidden, state.log_likelihood - norm, state.gradient - state.hidden)


def own_state(state: Array, end: Array) -> Array:
    """The library's state as ours."""
    norm = 0.5 * (end.position * end.position).sum()
    return state._replace(
        hidden=end.position,
        log_likelihood=end.logdensity + norm,
        gradient=end.logdensity_grad + end.position,
        trajectory=state.trajectory + jnp.uint32(1),
    )


def library_key(key: Array, state: Array) -> Array:
    return jax.random.fold_in(jax.random.wrap_key_data(jnp.stack([key.word0, key.word1])), state.trajectory)


def collapsed_nuts(problem: Array, key: Array, state: Array, rule: Array, stiffness: Array) -> Array:
    """BlackJAX NUTS, metric of the prior; the energy of every step costs a factorisation in float64."""
    from blackjax.mcmc import hmc, nuts

    end, info = nuts.build_kernel()(
        library_key(key, state),
        library_state(state, hmc.HMCState),
        collapsed_density(problem),
        jnp.exp(rule.log_step),
        jnp.ones(state.hidden.size),
    )
    return own_state(state, end), report(info.acceptance_rate, info.num_integration_steps, False)


def microcanonical(problem: Array, key: Array, state: Array, rule: Array, stiffness: Array) -> Array:
    """BlackJAX microcanonical dynamics with a Metropolis test, in units where its speed is that of HMC."""
    from blackjax.mcmc import adjusted_mclmc, hmc

    uniform = _random.uniform(key, 2, state.trajectory * jnp.uint32(4) + jnp.uint32(1))
    length = rule.path_length * (1.0 + rule.jitter * (2.0 * uniform[0] - 1.0))
    count = jnp.clip(jnp.ceil(length * jnp.exp(-rule.log_step)), 1, 1000).astype(jnp.int32)
    end, info = adjusted_mclmc.build_kernel()(
        library_key(key, state),
        library_state(state, hmc.HMCState),
        collapsed_density(problem),
        length / count * np.sqrt(state.hidden.size),
        (count,),
    )
    return own_state(state, end), report(info.acceptance_rate, count, False)


if __name__ == "__main__":
    parser = arguments(__doc__, (0.1, 0.01))
    parser.add_argument("--only", nargs="+", help="rows whose name contains one of these")
    chosen = parser.parse_args()
    kernels(load(chosen.data), chosen.temperature, chosen.seconds, chosen.only)
