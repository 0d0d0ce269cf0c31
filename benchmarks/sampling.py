"""Effective samples per second and core of the posterior sampler, beside other kernels and published practice.

    python benchmarks/sampling.py ours     --data mnist38_p100.npz     # the sampler itself, burn-in out and in
    python benchmarks/sampling.py kernels  --data mnist38_p100.npz     # other kernels on the same collapsed target
    python benchmarks/sampling.py exchange --data mnist38_p100.npz     # replica exchange along the temperature axis
    python benchmarks/sampling.py peers    --data mnist38_p100.npz     # Langevin, NUTS, re-priorised HMC on (w, v)
    python benchmarks/sampling.py gibbs    --data mnist38_p100.npz     # layer-wise Gibbs, both with ReLU
    python benchmarks/sampling.py profile  --data mnist38_p100.npz     # where a gradient spends its time
    python benchmarks/sampling.py scaling                              # N = P from 100 to 800
    python benchmarks/sampling.py coverage                             # do error bars cover exact values
    python benchmarks/sampling.py start    --data mnist38_p100.npz     # imports and compilation of a job

Times are processor time of one thread. Without --data, 3 against 8 of scikit-learn's digits at P = 100 serve.
ESS is the bulk ESS of the slowest observable. Every rival starts from draws of this sampler, so none pays burn-in
unless said. Short runs over-estimate the ESS of a slow chain, so ratios to slow rivals are lower bounds.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"))

import numpy as np

from proplim._jax import configure_jax

configure_jax()
import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402

from proplim.activations import get_activation  # noqa: E402
from proplim.datasets import Dataset  # noqa: E402
from proplim.geometry import centroid_distance_sq_of_features, gyration_radius_sq_of_features  # noqa: E402
from proplim.sampling import SamplingSettings, _kernel, _random, _target, sample_posterior  # noqa: E402
from proplim.sampling._estimates import add_functionals, statistics  # noqa: E402
from proplim.sampling._observables import draw_readout, observables  # noqa: E402
from proplim.theory import signal_direction  # noqa: E402

ERF = get_activation("erf")
WIDTH = 100
Array = Any


def load(path: str | None) -> Dataset:
    """The reference data, or 100 bundled digits."""
    if path:
        with np.load(path) as arrays:
            return Dataset(*(arrays[name] for name in ("x_train", "y_train", "x_test", "y_test")))
    from sklearn.datasets import load_digits

    x, label = load_digits(return_X_y=True)
    chosen = np.isin(label, (3, 8))
    x, y = x[chosen], np.where(label[chosen] == 8, 1.0, -1.0)
    x = (x - x[:100].mean()) / x[:100].std()
    return Dataset(x[:100], y[:100], x[100:300], y[100:300])


def point_of(temperature: float, width: int = WIDTH) -> dict[str, float]:
    return {"width": width, "temperature": temperature, "lambda0": 1.0, "lambda1": 1.0}


def problem_of(dataset: Dataset, temperature: float, width: int = WIDTH) -> _target.Problem:
    point = point_of(temperature, width)
    direction = signal_direction(dataset, ERF, **point)
    return jax.device_put(_target.make_problem(dataset, _target.whiten(dataset), direction, **point))


def ours(
    dataset: Dataset, temperatures: list[float], draws: int, activation: str = "erf"
) -> dict[float, tuple[float, dict[str, float]]]:
    """ESS per second of the slowest cube observable, burn-in excluded and included; with training means."""
    print(
        f"{'T':>8} {'ESS':>7} {'slowest':>28} {'ESS/s':>8} {'with burn-in':>12} "
        f"{'to done':>9} {'accept':>7} {'steps':>6}"
    )
    rates = {}
    for temperature in temperatures:
        fixed = SamplingSettings(min_draws=draws, max_draws=draws)
        marks: list[float] = []
        tiny = SamplingSettings(min_draws=50, max_draws=50)
        point = point_of(temperature)
        sample_posterior(dataset, activation, settings=tiny, **point)  # compiles
        start = time.process_time()
        result = sample_posterior(
            dataset,
            activation,
            settings=fixed,
            progress=lambda _, m=marks: m.append(time.process_time()),
            **point,
        ).summary
        names = [name for name in result.data_vars if result[name].dims[:1] == ("statistic",)]
        slowest = min(names, key=lambda name: float(result[name].sel(statistic="ess").min()))
        ess = float(result[slowest].sel(statistic="ess").min())
        # marks fall after each block; the first one ends a block of 50, so warm-up ends one block before it
        block = (marks[-2] - marks[0]) / (len(marks) - 2)
        sampling = block * len(marks)
        burn_in = marks[0] - start - block
        means = {name: float(result[name].sel(statistic="mean").values.flat[0]) for name in names}
        rates[temperature] = ess / sampling, means
        needed = 400.0 / ess * sampling + burn_in
        steps = result.attrs["gradients"] / (4 * draws)
        print(
            f"{temperature:8g} {ess:7.0f} {slowest:>28} {ess / sampling:8.0f} {400.0 / needed:12.0f} {needed:8.1f}s "
            f"{result.attrs['acceptance']:7.2f} {steps:6.1f}",
            flush=True,
        )
    return rates


# ------------------------------------ kernels on the collapsed posterior of the hidden weights


def start_states(
    problem: _target.Problem, chains: int, warmup: int = 200
) -> list[tuple[_random.Key, _kernel.State]]:
    """States of the posterior from this package's own warm-up."""
    rule = rule_of()
    warm = jax.jit(partial(_kernel.warm_up, activation=ERF, width=WIDTH, count=warmup, dtype=jnp.float32))
    keys = [_random.key_of(0x9E3779B97F4A7C15 * (c + 1) % 2**63) for c in range(chains)]
    return [(key, warm(problem, rule, key)[0]) for key in keys]


def rule_of(path: float = np.pi / 2, acceptance: float = 0.7, jitter: float = 0.2) -> _kernel.Rule:
    return _kernel.Rule(jnp.float64(path), jnp.float64(jitter), jnp.float64(acceptance))


def rotation(problem: Array, key: Array, state: Array, rule: Array, stiffness: Array) -> Array:
    """This package's kernel."""
    return _kernel.trajectory(problem, ERF, rule, key, state, jnp.float32, measured=False)


def general(
    problem: Array, key: Array, state: Array, rule: Array, stiffness: Array, *, splitting: str, single: bool
) -> Array:
    """HMC with a metric over input directions: leapfrog, or exact rotation; `single` takes one step a trajectory."""
    stream = state.trajectory * jnp.uint32(4)
    mass = (1.0 + stiffness)[:, None]
    momentum = _random.normal(key, state.hidden.shape, stream).astype(jnp.float64) * jnp.sqrt(mass)
    uniform = _random.uniform(key, 2, stream + jnp.uint32(1))
    spread = 1.0 + rule.jitter * (2.0 * uniform[0] - 1.0)
    length = jnp.exp(state.log_step) if single else rule.path_length * spread
    count = jnp.clip(jnp.ceil(length * jnp.exp(-state.log_step) - 1e-9), 1, 1000).astype(jnp.int32)
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
    return state._replace(trajectory=state.trajectory + jnp.uint32(1)), _kernel.Info(
        acceptance, count, error > 1e3
    )


def crank_nicolson(problem: Array, key: Array, state: Array, rule: Array, stiffness: Array) -> Array:
    """pCN: rotate towards a fresh prior draw, accept on the likelihood."""
    stream = state.trajectory * jnp.uint32(4)
    fresh = _random.normal(key, state.hidden.shape, stream).astype(jnp.float64)
    step = jnp.exp(state.log_step)
    position = jnp.cos(step) * state.hidden + jnp.sin(step) * fresh
    value = _target.likelihood(problem, ERF, position)[2].log_likelihood
    acceptance = jnp.nan_to_num(jnp.exp(jnp.minimum(value - state.log_likelihood, 0.0)))
    proposal = state._replace(hidden=position, log_likelihood=value)
    accept = _random.uniform(key, 2, stream + jnp.uint32(1))[1] < acceptance
    state = jax.tree.map(partial(jnp.where, accept), proposal, state)
    return state._replace(trajectory=state.trajectory + jnp.uint32(1)), _kernel.Info(acceptance, 1, False)


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
        jnp.exp(state.log_step),
        jnp.ones(state.hidden.size),
    )
    return own_state(state, end), _kernel.Info(info.acceptance_rate, info.num_integration_steps, False)


def microcanonical(problem: Array, key: Array, state: Array, rule: Array, stiffness: Array) -> Array:
    """BlackJAX microcanonical dynamics with a Metropolis test, in units where its speed is that of HMC."""
    from blackjax.mcmc import adjusted_mclmc, hmc

    uniform = _random.uniform(key, 2, state.trajectory * jnp.uint32(4) + jnp.uint32(1))
    length = rule.path_length * (1.0 + rule.jitter * (2.0 * uniform[0] - 1.0))
    count = jnp.clip(jnp.ceil(length * jnp.exp(-state.log_step)), 1, 1000).astype(jnp.int32)
    end, info = adjusted_mclmc.build_kernel()(
        library_key(key, state),
        library_state(state, hmc.HMCState),
        collapsed_density(problem),
        length / count * np.sqrt(state.hidden.size),
        (count,),
    )
    return own_state(state, end), _kernel.Info(info.acceptance_rate, count, False)


def run_kernel(
    problem: Array,
    starts: list[Any],
    kernel: Callable,
    rule: Array,
    stiffness: Array,
    seconds: float,
    thin: int = 1,
) -> tuple[float, str, float, float]:
    """Adapt the step, run for about `seconds` of processor time; returns ESS per second and what it rests on."""

    @jax.jit
    def settle(problem: Array, key: Array, state: Array) -> Array:
        def body(state: Array, index: Array) -> Array:
            state, info = kernel(problem, key, state, rule, stiffness)
            return _kernel.adapt(rule, state, info, index), None

        state = jax.lax.scan(body, _kernel._restart(state, True), jnp.arange(200.0))[0]
        return state._replace(log_step=state.adaptation[1])

    @jax.jit
    def advance(problem: Array, key: Array, state: Array) -> Array:
        def body(state: Array, _: None) -> Array:
            state, info = jax.lax.scan(
                lambda s, _: kernel(problem, key, s, rule, stiffness), state, None, length=thin
            )
            measured = observables(
                problem,
                ERF,
                state.hidden,
                *_target.likelihood(problem, ERF, state.hidden),
                key,
                state.trajectory * 4 + 2,
            )
            return state, (measured, info)

        return jax.lax.scan(body, state, None, length=20)

    # random streams of a rival must not repeat those of the warm-up
    chains = [
        (key, settle(problem, key, state._replace(trajectory=jnp.uint32(10**6)))) for key, state in starts
    ]
    jax.block_until_ready(advance(problem, *chains[0]))
    records: list[list[Any]] = [[] for _ in chains]
    accepted, spent = [], 0.0
    while spent < seconds or len(records[0]) < 5:
        start = time.process_time()
        for i, (key, state) in enumerate(chains):
            state, (measured, info) = jax.block_until_ready(advance(problem, key, state))
            chains[i] = key, state
            records[i].append(measured)
            accepted.append(float(info.acceptance.mean()))
        spent += time.process_time() - start
    draws = {
        name: np.stack([np.concatenate([np.asarray(block[name]) for block in record]) for record in records])
        for name in records[0][0]
    }
    ess, slowest = slowest_of(add_functionals(draws, np.asarray(problem.y_train), np.asarray(problem.y_test)))
    return ess / spent, slowest, float(np.mean(accepted)), float(np.exp(chains[0][1].log_step))


def exchange_replicas(
    dataset: Dataset, temperature: float, hottest: float, rungs: int, seconds: float
) -> tuple[float, str, float, float, float]:
    """This package's kernel at `rungs` temperatures up to `hottest`, neighbours exchanging states after every draw.

    Returns ESS per second and per draw of the coldest rung, whose draws alone count, its slowest observable, and
    the mean and the smallest rate of exchange between neighbours.
    """
    ladder = np.geomspace(temperature, hottest, rungs)
    cold = problem_of(dataset, temperature)
    rule = rule_of()
    every = [start_states(cold._replace(temperature=jnp.float64(t)), 2) for t in ladder]
    keys = [key for key, _ in every[0]]
    steps = jnp.stack([jnp.mean(jnp.stack([s.log_step for _, s in rung])) for rung in every])
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
                rule,
                here,
                state._replace(log_step=steps[index]),
                jnp.float32,
                measured=False,
                move=_kernel.Move(fresh=True),
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
            measured = observables(
                cold,
                ERF,
                states.hidden[0],
                *_target.likelihood(cold, ERF, states.hidden[0]),
                key,
                time * 4 + 2,
            )
            return states, (measured, jnp.where(partner > jnp.arange(rungs), chance, jnp.nan))

        return jax.lax.scan(body, states, None, length=20)

    chains = []
    for index, key in enumerate(keys):
        stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *(rung[index][1] for rung in every))
        chains.append((key, stacked._replace(trajectory=stacked.trajectory + jnp.uint32(10**6))))
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
    draws = {
        name: np.stack([np.concatenate([np.asarray(block[name]) for block in record]) for record in records])
        for name in records[0][0]
    }
    ess, slowest = slowest_of(add_functionals(draws, np.asarray(cold.y_train), np.asarray(cold.y_test)))
    swaps = np.nanmean(np.concatenate(rates)[:, :-1], axis=0) if rungs > 1 else np.ones(1)
    count = draws["mse"].shape[0] * draws["mse"].shape[1]
    return ess / spent, slowest, ess / count, float(swaps.mean()), float(swaps.min())


def slowest_of(draws: dict[str, np.ndarray]) -> tuple[float, str]:
    ess = {
        name: float(np.nanmin(statistics(value)[2]))
        for name, value in draws.items()
        if name not in ("accuracy", "equipartition_defect")
    }
    slowest = min(ess, key=lambda name: ess[name])
    return ess[slowest], slowest


def kernels(
    dataset: Dataset, temperatures: list[float], seconds: float, only: list[str] | None = None
) -> None:
    """Kernels on the collapsed posterior, same gradient and observables for all; `only` names parts of rows."""
    table: dict[str, tuple[Callable, _kernel.Rule, bool, int]] = {
        "rotation HMC (ours)": (rotation, rule_of(), False, 1),
        "rotation HMC, no jitter": (rotation, rule_of(jitter=0.0), False, 1),
        "rotation HMC, path pi": (rotation, rule_of(path=np.pi), False, 1),
        "rotation HMC + theory metric": (
            partial(general, splitting="rotation", single=False),
            rule_of(),
            True,
            1,
        ),
        "leapfrog HMC": (partial(general, splitting="leapfrog", single=False), rule_of(), False, 1),
        "MALA": (partial(general, splitting="leapfrog", single=True), rule_of(acceptance=0.574), False, 10),
        "pCNL": (partial(general, splitting="rotation", single=True), rule_of(acceptance=0.574), False, 10),
        "pCN": (crank_nicolson, rule_of(acceptance=0.25), False, 100),
        "NUTS": (collapsed_nuts, rule_of(acceptance=0.8), False, 1),
        "microcanonical with Metropolis": (microcanonical, rule_of(acceptance=0.9), False, 1),
    }
    for temperature in temperatures:
        problem = problem_of(dataset, temperature)
        starts = start_states(problem, 2)
        for name, (kernel, rule, metric, thin) in table.items():
            if only and not any(part in name for part in only):
                continue
            stiffness = theory_stiffness(problem) if metric else jnp.zeros(problem.inputs_train.shape[1])
            rate, slowest, acceptance, step = run_kernel(
                problem, starts, kernel, rule, stiffness, seconds, thin
            )
            print(
                f"T = {temperature:<6g} {name:30} {rate:8.2f} ESS/s ({slowest}), "
                f"acceptance {acceptance:.2f}, step {step:.3f}",
                flush=True,
            )


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


def theory_stiffness(problem: _target.Problem) -> Array:
    """Mean curvature of -l along input directions, diag of A^T Sigma^-1 A / N from the infinite-width kernel."""
    a = np.asarray(problem.inputs_train)
    c = a @ a.T
    d = np.sqrt(1 + 2 * np.diag(c))
    kernel = 2 / np.pi * np.arcsin(2 * c / np.outer(d, d))
    sigma = kernel + float(problem.temperature) * np.eye(len(c))
    slope = a * (2 / np.sqrt(np.pi) / d)[:, None]
    return jnp.asarray(np.einsum("pr,pr->r", slope, np.linalg.solve(sigma, slope)))


# ------------------------------------------------------------------ published practice: sampling (w, v) jointly


def joint_energy(problem: Array, position: tuple[Array, Array]) -> Array:
    """-log posterior of whitened hidden weights and of v in units of its prior."""
    hidden, v = position
    phi = ERF.jax_function(problem.inputs_train.astype(hidden.dtype) @ hidden)
    f = jnp.sqrt(problem.readout_scale).astype(hidden.dtype) * (phi @ v)
    misfit = ((problem.y_train.astype(hidden.dtype) - f) ** 2).sum() / (
        2 * problem.temperature.astype(hidden.dtype)
    )
    return 0.5 * (hidden * hidden).sum() + 0.5 * (v * v).sum() + misfit


def joint_observables(problem: Array, position: tuple[Array, Array]) -> dict[str, Array]:
    """Observables of the training set as plain functions of (w, v)."""
    hidden, v = position
    return training_observables(
        problem, hidden, ERF.jax_function(problem.inputs_train.astype(hidden.dtype) @ hidden), v
    )


def training_observables(problem: Array, hidden: Array, features: Array, v: Array) -> dict[str, Array]:
    """Observables of the training set as functions of hidden weights, features and readout in units of its prior."""
    along = problem.signal @ hidden
    f = jnp.sqrt(problem.readout_scale).astype(v.dtype) * (features @ v)
    return {
        "readout_variance": (v * v).mean(),
        "hidden_trace_shift": (hidden * hidden).sum() / len(v) - len(hidden),
        "signal_variance": (along * along).mean(),
        "readout_signal_covariance": (v * along).mean(),
        "centroid_distance_sq": centroid_distance_sq_of_features(features, problem.weights_train),
        "gyration_radius_sq": gyration_radius_sq_of_features(features, problem.weights_train),
        "mse": ((problem.y_train - f) ** 2).mean(),
    }


def joint_starts(problem: Array, chains: int) -> list[tuple[_random.Key, tuple[Array, Array]]]:
    """Posterior draws of (w, v) from this package."""
    result = []
    for key, state in start_states(problem, chains):
        _, features, factor = _target.likelihood(problem, ERF, state.hidden)
        result.append((key, (state.hidden, draw_readout(problem, features, factor, key, jnp.uint32(2**30)))))
    return result


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


def collect(advance: Callable, chains: list[Any], seconds: float) -> tuple[dict[str, np.ndarray], float]:
    records: list[list[Any]] = [[] for _ in chains]
    spent = 0.0
    while spent < seconds or len(records[0]) < 3:
        start = time.process_time()
        for i, (key, carry) in enumerate(chains):
            carry, measured = jax.block_until_ready(advance(key, carry))
            chains[i] = key, carry
            records[i].append(measured)
        spent += time.process_time() - start
    return {
        name: np.stack([np.concatenate([np.asarray(b[name], float) for b in record]) for record in records])
        for name in records[0][0]
    }, spent


def joint_nuts(problem: Array, starts: list[Any], seconds: float) -> tuple[dict, float, float]:
    """BlackJAX NUTS on (w, v), step by dual averaging to acceptance 0.8, unit metric (the prior's)."""
    import blackjax

    def density(position: Array) -> Array:
        return -joint_energy(problem, position)

    kernel = blackjax.nuts.build_kernel()
    inverse_mass = jnp.ones(sum(x.size for x in starts[0][1]))

    @jax.jit
    def settle(key: Array, position: Array) -> Array:
        rule = rule_of(acceptance=0.8)
        adaptation = _kernel.State(
            0, 0, 0, jnp.log(0.01), jnp.array([0.0, np.log(0.01), np.log(0.01)]), 0, {}
        )

        def body(carry: Array, index: Array) -> Array:
            state, adaptation = carry
            state, info = kernel(
                jax.random.fold_in(key, index.astype(int)),
                state,
                density,
                jnp.exp(adaptation.log_step),
                inverse_mass,
            )
            info = _kernel.Info(info.acceptance_rate, 0, False)
            return (state, _kernel.adapt(rule, adaptation, info, index)), None

        first = blackjax.nuts.init(position, density)
        (state, adaptation), _ = jax.lax.scan(body, (first, adaptation), jnp.arange(60.0))
        return state, jnp.exp(adaptation.adaptation[1])

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


def repriorised(problem: Array, starts: list[Any], seconds: float) -> tuple[dict, float]:
    """HMC in (w, phi), v = E[v | w] + cov[v | w]^(1/2) phi (arXiv:2206.07673), differentiated automatically.

    phi is a standard Gaussian independent of w, so its part of the dynamics is exact; w is moved by leapfrog in
    float64 through the factorisation, and observables are functions of the drawn (w, v).
    """

    def density(hidden: Array) -> Array:
        return _target.likelihood(problem, ERF, hidden)[2].log_likelihood - 0.5 * (hidden * hidden).sum()

    slope_of = jax.value_and_grad(density)

    def one(key: Array, carry: Array, rule: Array) -> Array:
        hidden, value, slope, state = carry
        stream = state.trajectory * jnp.uint32(4)
        momentum = _random.normal(key, hidden.shape, stream).astype(jnp.float64)
        uniform = _random.uniform(key, 2, stream + jnp.uint32(1))
        length = np.pi / 2 * (1 + 0.2 * (2 * uniform[0] - 1))
        count = jnp.clip(jnp.ceil(length * jnp.exp(-state.log_step)), 1, 1000).astype(int)
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
        state = state._replace(trajectory=state.trajectory + jnp.uint32(1))
        return (hidden, value, slope, state), _kernel.Info(acceptance, count, False)

    @jax.jit
    def settle(key: Array, hidden: Array) -> Array:
        rule = rule_of(acceptance=0.8)
        state = _kernel.State(
            0, 0, 0, jnp.log(0.1), jnp.array([0.0, np.log(0.1), np.log(0.1)]), jnp.uint32(10**6), {}
        )

        def body(carry: Array, index: Array) -> Array:
            carry, info = one(key, carry, rule)
            return (*carry[:3], _kernel.adapt(rule, carry[3], info, index)), None

        carry = jax.lax.scan(body, (hidden, *slope_of(hidden), state), jnp.arange(80.0))[0]
        return (*carry[:3], carry[3]._replace(log_step=carry[3].adaptation[1]))

    @jax.jit
    def advance(key: Array, carry: Array) -> Array:
        def body(carry: Array, _: None) -> Array:
            carry, _ = one(key, carry, None)
            _, features, factor = _target.likelihood(problem, ERF, carry[0])
            v = draw_readout(
                problem, features, factor, key, carry[3].trajectory * jnp.uint32(4) + jnp.uint32(3)
            )
            return carry, joint_observables(problem, (carry[0], v))

        return jax.lax.scan(body, carry, None, length=10)

    chains = [(key, settle(key, position[0])) for key, position in starts]
    jax.block_until_ready(advance(*chains[0]))
    return collect(advance, chains, seconds)


def peers(dataset: Dataset, temperatures: list[float], seconds: float, only: list[str] | None = None) -> None:
    """This sampler against published practice, in the same run and on the same posterior."""
    for temperature in temperatures:
        problem = problem_of(dataset, temperature)
        own, slowest, *_ = run_kernel(
            problem,
            start_states(problem, 2),
            rotation,
            rule_of(),
            jnp.zeros(problem.inputs_train.shape[1]),
            seconds,
        )
        print(f"T = {temperature:g}  this sampler {own:36.2f} ESS/s ({slowest})", flush=True)
        starts = joint_starts(problem, 2)

        def wanted(name: str) -> bool:
            return not only or any(part in name for part in only)

        if wanted("re-priorised"):
            draws, spent = repriorised(problem, starts, seconds)
            show(temperature, "re-priorised HMC", own, draws, spent)
        if wanted("NUTS"):
            draws, spent, steps = joint_nuts(problem, starts, seconds)
            show(temperature, f"NUTS on (w, v), {steps:.0f} steps a draw", own, draws, spent)
        if wanted("Langevin"):
            step, strict = langevin_steps(problem, starts)
            draws, spent = langevin(problem, starts, step, LANGEVIN_TIME * seconds, thin=500)
            rate = show(temperature, f"Langevin on (w, v), step {step:.1e}", own, draws, spent)
            # a diffusion covers the same time with more steps: its rate is proportional to the step
            print(
                f"    with a step of {strict:.1e}, every observable below 1 %: extrapolated to "
                f"{rate * strict / step:.4f} ESS/s, this sampler {own / rate * step / strict:.0f} times",
                flush=True,
            )


LANGEVIN_TIME = 10
"""A slow chain needs a longer run for an ESS that means something."""


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


# ------------------------------------------------------------------ layer-wise Gibbs for ReLU


def gibbs(dataset: Dataset, temperatures: list[float], seconds: float, draws: int) -> None:
    """Layer-wise Gibbs with noise between the layers (arXiv:2306.02729) beside this sampler, both with ReLU.

    The Gibbs sampler needs Gaussian noise of variance Delta on preactivations and on features; all noises are equal
    there, Delta = T. Its posterior is that of another model, which the limit Delta -> 0 makes ours while the chain
    slows down as 1 / Delta. The means printed beside the rate say how far the two are apart.
    """
    relu = get_activation("relu")
    for temperature in temperatures:
        own, means = ours(dataset, [temperature], draws, "relu")[temperature]
        point = point_of(temperature)
        direction = signal_direction(dataset, relu, **point)
        problem = jax.device_put(_target.make_problem(dataset, _target.whiten(dataset), direction, **point))
        names = ("mse", "centroid_distance_sq", "readout_variance")
        print("    this sampler: " + ", ".join(f"{name} {means[name]:.4g}" for name in names))
        for share in (1.0, 0.1):
            found, spent = run_gibbs(problem, share * temperature, seconds)
            show(temperature, f"layer-wise Gibbs, Delta = {share:g} T", own, found, spent)
            print("    " + ", ".join(f"{name} {np.mean(found[name]):.4g}" for name in names), flush=True)


def run_gibbs(problem: Array, delta: float, seconds: float) -> tuple[dict[str, np.ndarray], float]:
    """Two chains of layer-wise Gibbs from the prior, the first third thrown away; observables every 20 sweeps."""
    rank, width = problem.inputs_train.shape[1], round(1.0 / float(problem.readout_scale))

    @jax.jit
    def advance(problem: Array, key: Array, carry: Array) -> Array:
        def body(carry: Array, _: None) -> Array:
            carry = jax.lax.scan(
                lambda c, _: (gibbs_sweep(problem, delta, key, c), None), carry, None, length=20
            )[0]
            hidden, features, v, _ = carry
            return carry, training_observables(problem, hidden, features, v)

        return jax.lax.scan(body, carry, None, length=10)

    chains = []
    for index in range(2):
        key = _random.key_of(0x9E3779B97F4A7C15 * (index + 11) % 2**63)
        hidden = _random.normal(key, (rank, width), jnp.uint32(0)).astype(jnp.float64)
        v = _random.normal(key, (width,), jnp.uint32(1)).astype(jnp.float64)
        features = jnp.maximum(problem.inputs_train @ hidden, 0.0)
        chains.append((key, (hidden, features, v, jnp.uint32(1))))
    jax.block_until_ready(advance(problem, *chains[0]))
    draws, spent = collect(partial(advance, problem), chains, 1.5 * seconds)
    return {name: value[:, value.shape[1] // 3 :] for name, value in draws.items()}, spent * 2.0 / 3.0


def gibbs_sweep(problem: Array, delta: float, key: Array, carry: Array) -> Array:
    """Preactivations H, features X, readout v and hidden weights Z, each drawn given the rest.

    H = A Z + noise, X = relu(H) + noise, y = X g + sqrt(T) noise with g = c^(1/2) v.
    """
    from jax.scipy.special import log_ndtr, ndtr, ndtri

    hidden, features, v, sweep = carry
    a, y, temperature = problem.inputs_train, problem.y_train, problem.temperature
    shape = features.shape
    root = np.sqrt(delta)

    def normal(size: tuple[int, ...], stream: int) -> Array:
        return _random.normal(key, size, sweep * jnp.uint32(8) + jnp.uint32(stream)).astype(jnp.float64)

    def uniform(stream: int) -> Array:
        flat = _random.uniform(key, features.size, sweep * jnp.uint32(8) + jnp.uint32(stream))
        return flat.reshape(shape)

    # H: a Gaussian cut to h < 0, where relu is silent, or another cut to h > 0
    mean = a @ hidden
    middle, narrow = 0.5 * (mean + features), root / np.sqrt(2.0)
    silent = log_ndtr(-mean / root) - features**2 / (2 * delta)
    active = log_ndtr(middle / narrow) - (features - mean) ** 2 / (4 * delta) - 0.5 * np.log(2.0)
    positive = uniform(0) < jax.nn.sigmoid(active - silent)
    centre, spread = jnp.where(positive, middle, -mean), jnp.where(positive, narrow, root)
    tail = ndtri(jnp.maximum(uniform(1) * ndtr(centre / spread), 1e-300))
    magnitude = jnp.maximum(centre - spread * tail, 0.0)  # x > 0 of N(centre, spread^2)
    preactivation = jnp.where(positive, magnitude, -magnitude)
    # X: the prior's draw corrected by what the label says along g
    g = jnp.sqrt(problem.readout_scale) * v
    features = jnp.maximum(preactivation, 0.0) + root * normal(shape, 2)
    miss = y - features @ g - jnp.sqrt(temperature) * normal(y.shape, 3)
    features = features + delta * jnp.outer(miss, g) / (temperature + delta * (g @ g))
    # v: linear regression on the features
    design = jnp.sqrt(problem.readout_scale) * features
    v = regression_draw(design, y[:, None], temperature, normal((len(v), 1), 4))[:, 0]
    # Z: linear regression of every unit's preactivations on the inputs
    hidden = regression_draw(a, preactivation, delta, normal(hidden.shape, 5))
    return hidden, features, v, sweep + jnp.uint32(1)


def regression_draw(design: Array, target: Array, variance: Array, noise: Array) -> Array:
    """Posterior draw of Gaussian linear regression with a standard normal prior."""
    chol = jnp.linalg.cholesky(jnp.eye(design.shape[1]) + design.T @ design / variance)
    half = _target.solve_lower(chol, design.T @ target / variance)
    return _target.solve_lower(chol, half + noise, transpose=True)


def show(temperature: float, name: str, own: float, draws: dict[str, np.ndarray], spent: float) -> float:
    ess, slowest = slowest_of(draws)
    rate = ess / spent
    print(
        f"T = {temperature:g}  {name:34} {rate:14.4f} ESS/s ({slowest}), this sampler {own / rate:.0f} times",
        flush=True,
    )
    return rate


# ------------------------------------------------------------------ where the time goes, and how it grows


def per_call(function: Callable, problem: Array, value: Array, repeats: int) -> float:
    """Processor seconds of one call inside a compiled loop, best of three."""
    loop = jax.jit(lambda p, x: jax.lax.fori_loop(0, repeats, lambda _, y: function(p, y), x))
    jax.block_until_ready(loop(problem, value))
    best = np.inf
    for _ in range(3):
        start = time.process_time()
        jax.block_until_ready(loop(problem, value))
        best = min(best, (time.process_time() - start) / repeats)
    return best


def profile_one(problem: _target.Problem, width: int, dtype: Any, repeats: int) -> dict[str, float]:
    """Seconds of the parts of a gradient."""
    inputs, y = problem.inputs_train.astype(dtype), problem.y_train.astype(dtype)
    count, rank = inputs.shape
    c, temperature = problem.readout_scale.astype(dtype), problem.temperature.astype(dtype)
    rng = np.random.default_rng(0)
    hidden = jnp.asarray(rng.standard_normal((rank, width)), dtype)
    square = jnp.asarray(np.linalg.qr(rng.standard_normal((256, 256)))[0], dtype)
    small = min(count, width)
    features = ERF.jax_function(inputs @ hidden)
    gram = features @ features.T if count <= width else features.T @ features
    gram = c * gram + temperature * jnp.eye(small, dtype=dtype)
    root = jnp.zeros((small, max(count, width)), dtype) + 0.1
    chol = jnp.linalg.cholesky(gram)

    def products(_: Array, z: Array) -> Array:
        h = inputs @ z
        g = h @ h.T if count <= width else h.T @ h
        return z * 0.9 + 1e-9 * (inputs.T @ h) + 1e-30 * g.sum()

    return {
        "gradient": per_call(
            lambda p, z: 0.9999 * z + 1e-9 * _target.gradient(p, ERF, z, dtype), problem, hidden, repeats
        ),
        "products": per_call(products, problem, hidden, repeats),
        "factorisation": per_call(lambda _, g: gram + 1e-9 * _target._cholesky(g), problem, gram, repeats)
        + 2 * per_call(lambda _, r: root + 1e-9 * _target.solve_lower(chol, r), problem, root, repeats),
        # the loop's own two operations are a few per cent of it
        "activation": per_call(
            lambda _, h: 0.5 * ERF.jax_function(h) + 0.1 * ERF.jax_derivative(h),
            problem,
            inputs @ hidden,
            repeats,
        ),
        "machine_rate": 2 * 256**3 / per_call(lambda _, s: s @ square, problem, square, max(repeats // 4, 5)),
        "flops": 2.0 * count * rank * width * 2 + 2.0 * small**2 * max(count, width) * 2 + small**3 / 3,
        "y": float(y[0]),
    }


def profile(dataset: Dataset) -> None:
    problem = problem_of(dataset, 0.01)
    for dtype in (jnp.float32, jnp.float64):
        parts = profile_one(problem, WIDTH, dtype, 200)
        total, rate = parts["gradient"], parts["machine_rate"]
        print(
            f"{np.dtype(dtype).name}: gradient {total * 1e6:.0f} us = products {parts['products'] / total:.0%}, "
            f"factorisation and solves {parts['factorisation'] / total:.0%}, "
            f"activation {parts['activation'] / total:.0%}; "
            f"{parts['flops'] / total / 1e9:.1f} Gflop/s = {parts['flops'] / total / rate:.0%} of {rate / 1e9:.0f}"
        )


def scaling() -> None:
    """Cost of a gradient at N = P and at N = P / 2, iid inputs with N0 = P."""
    rng = np.random.default_rng(0)
    for alpha in (1, 2):
        sizes, costs = [], []
        for count in (100, 200, 400, 800):
            width = count // alpha
            y = np.where(np.arange(count) % 2, 1.0, -1.0)
            dataset = Dataset(rng.standard_normal((count, count)), y, np.zeros((0, count)), np.zeros(0))
            whitened = _target.whiten(dataset)
            point = point_of(0.01, width)
            problem = jax.device_put(_target.make_problem(dataset, whitened, np.eye(count)[0], **point))
            parts = profile_one(problem, width, jnp.float32, max(5, 20000 // count))
            total, rate = parts["gradient"], parts["machine_rate"]
            sizes.append(count)
            costs.append(total)
            print(
                f"alpha {alpha} P = {count:4d} N = {width:4d}: gradient {total * 1e3:8.2f} ms, "
                f"products {parts['products'] / total:.0%}, factorisation {parts['factorisation'] / total:.0%}, "
                f"activation {parts['activation'] / total:.0%}, "
                f"{parts['flops'] / total / rate:.0%} of the product rate",
                flush=True,
            )
        exponent = np.polyfit(np.log(sizes), np.log(costs), 1)[0]
        print(f"alpha {alpha}: cost of a gradient grows as P^{exponent:.2f}")


# ------------------------------------------------------------------ error bars, and what a job costs before it samples


def coverage(runs: int) -> None:
    """How often error bars of independent runs cover exact values: linear network, P = 6, N = 5, N0 = 4.

    Every run stops by the default rule at a target ESS of 100, the hardest case for an error bar.
    """
    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
    from conftest import gaussian_dataset
    from sampling_exact import linear_moments

    dataset = gaussian_dataset(6, 4, 6, seed=2)
    point = {"width": 5, "temperature": 0.3, "lambda0": 1.3, "lambda1": 0.8}
    direction = signal_direction(dataset, "linear", **point)
    exact = linear_moments(dataset, *point.values(), direction)
    scores: dict[str, list[np.ndarray]] = {name: [] for name in exact}
    for seed in range(runs):
        settings = SamplingSettings(
            seed=10_000 + seed, target_ess=100, max_rhat=1.05, min_draws=50, warmup=60
        )
        summary = sample_posterior(dataset, "linear", settings=settings, **point).summary
        for name, value in exact.items():
            mean, mcse = summary[name].values[:2]
            scores[name].append(np.ravel((mean - value) / mcse))
    print(
        f"{runs} runs; binomial error of a 68 (95) % share {np.sqrt(0.683 * 0.317 / runs):.1%} "
        f"({np.sqrt(0.95 * 0.05 / runs):.1%})"
    )
    print("| observable | in 1 error | in 1.96 errors | mean of z | spread of z |\n|---|---|---|---|---|")
    for name, values in [
        *scores.items(),
        ("all", [np.concatenate(v) for v in zip(*scores.values(), strict=True)]),
    ]:
        z = np.stack(values)
        print(
            f"| {name} | {(np.abs(z) < 1).mean():.1%} | {(np.abs(z) < 1.96).mean():.1%} "
            f"| {z.mean():.2f} | {z.std():.2f} |"
        )


JOB = """
import time
begin = time.perf_counter(), time.process_time()
import numpy as np
from proplim.datasets import Dataset
from proplim.sampling import SamplingSettings, sample_posterior
imported = time.perf_counter(), time.process_time()
with np.load({path!r}) as arrays:
    dataset = Dataset(*(arrays[name] for name in ("x_train", "y_train", "x_test", "y_test")))
marks = [begin, imported]
for seed in (0, 1):
    settings = SamplingSettings(min_draws=50, max_draws=50, chains=2, seed=seed)
    sample_posterior(dataset, "erf", width=100, temperature=1.0, settings=settings)
    marks.append((time.perf_counter(), time.process_time()))
print(*np.diff(marks, axis=0).ravel())
"""


def start(dataset: Dataset) -> None:
    """What a job costs besides its trajectories: imports and compilation, in a fresh process.

    A point is sampled twice with other seeds; what the first takes longer than the second was compilation, or reading
    compiled code back. The first process finds an empty cache, the others what it left.
    """
    arrays = {name: getattr(dataset, name) for name in ("x_train", "y_train", "x_test", "y_test")}
    with tempfile.TemporaryDirectory() as folder:
        np.savez(Path(folder) / "data.npz", **arrays)
        environment = os.environ | {"PROPLIM_CACHE": str(Path(folder) / "cache")}
        print(
            "| cache | imports | compilation or loading | both | of it processor time |\n|---|---|---|---|---|"
        )
        for name in ("empty", "warm", "warm"):
            job = JOB.format(path=str(Path(folder) / "data.npz"))
            done = subprocess.run(
                [sys.executable, "-c", job], env=environment, check=True, capture_output=True, text=True
            )
            wall, used = np.array(done.stdout.split(), float).reshape(3, 2).T
            fixed = [t[0] + t[1] - t[2] for t in (wall, used)]
            print(
                f"| {name} | {wall[0]:.1f} s | {wall[1] - wall[2]:.1f} s | {fixed[0]:.1f} s | {fixed[1]:.1f} s |"
            )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "what",
        choices=["ours", "kernels", "exchange", "peers", "gibbs", "profile", "scaling", "coverage", "start"],
    )
    parser.add_argument("--data", help="npz file with x_train, y_train, x_test, y_test")
    parser.add_argument("--temperature", type=float, nargs="+", default=None)
    parser.add_argument("--draws", type=int, default=600, help="draws per chain of `ours`")
    parser.add_argument("--seconds", type=float, default=5.0, help="processor time of each rival")
    parser.add_argument("--runs", type=int, default=200, help="independent runs of `coverage`")
    parser.add_argument(
        "--only", nargs="+", help="rows of `kernels` or `peers` whose name contains one of these"
    )
    chosen = parser.parse_args()
    if chosen.what == "scaling":
        return scaling()
    if chosen.what == "coverage":
        return coverage(chosen.runs)
    dataset = load(chosen.data)
    if chosen.what == "profile":
        profile(dataset)
    elif chosen.what == "start":
        start(dataset)
    elif chosen.what == "ours":
        ours(dataset, chosen.temperature or [1.0, 0.1, 0.01, 0.001], chosen.draws)
    elif chosen.what == "kernels":
        kernels(dataset, chosen.temperature or [0.1, 0.01], chosen.seconds, chosen.only)
    elif chosen.what == "exchange":
        exchange(dataset, chosen.temperature or [0.01, 0.001], chosen.seconds)
    elif chosen.what == "gibbs":
        gibbs(dataset, chosen.temperature or [0.01], chosen.seconds, chosen.draws)
    else:
        peers(dataset, chosen.temperature or [0.01], chosen.seconds, chosen.only)


if __name__ == "__main__":
    main()
