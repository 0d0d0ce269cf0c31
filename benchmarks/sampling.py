"""Effective samples per second and core of the posterior sampler, beside other kernels and published practice.

    python benchmarks/sampling.py ours     --data mnist38_p100.npz     # the sampler itself, burn-in out and in
    python benchmarks/sampling.py kernels  --data mnist38_p100.npz     # other kernels on the same collapsed target
    python benchmarks/sampling.py peers    --data mnist38_p100.npz     # Langevin, NUTS, re-priorised HMC on (w, v)
    python benchmarks/sampling.py profile  --data mnist38_p100.npz     # where a gradient spends its time
    python benchmarks/sampling.py scaling                              # N = P from 100 to 800

Times are processor time of one thread. Without --data, 3 against 8 of scikit-learn's digits at P = 100 serve.
ESS is the bulk ESS of the slowest observable. Every rival starts from draws of this sampler, so none pays burn-in
unless said. Short runs over-estimate the ESS of a slow chain, so ratios to slow rivals are lower bounds.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from functools import partial
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


def ours(dataset: Dataset, temperatures: list[float], draws: int) -> dict[float, float]:
    """ESS per second of the slowest cube observable, burn-in excluded and included."""
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
        sample_posterior(dataset, "erf", settings=tiny, **point)  # compiles
        start = time.process_time()
        result = sample_posterior(
            dataset, "erf", settings=fixed, progress=lambda _, m=marks: m.append(time.process_time()), **point
        ).summary
        names = [name for name in result.data_vars if result[name].dims[:1] == ("statistic",)]
        slowest = min(names, key=lambda name: float(result[name].sel(statistic="ess").min()))
        ess = float(result[slowest].sel(statistic="ess").min())
        # marks fall after each block; the first one ends a block of 50, so warm-up ends one block before it
        block = (marks[-2] - marks[0]) / (len(marks) - 2)
        sampling = block * len(marks)
        burn_in = marks[0] - start - block
        rates[temperature] = ess / sampling
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


def slowest_of(draws: dict[str, np.ndarray]) -> tuple[float, str]:
    ess = {
        name: float(np.nanmin(statistics(value)[2]))
        for name, value in draws.items()
        if name not in ("accuracy", "equipartition_defect")
    }
    slowest = min(ess, key=lambda name: ess[name])
    return ess[slowest], slowest


def kernels(dataset: Dataset, temperatures: list[float], seconds: float) -> None:
    """Table of kernels on the collapsed posterior, same gradient and observables for all."""
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
        "pCN": (crank_nicolson, rule_of(acceptance=0.25), False, 10),
    }
    for temperature in temperatures:
        problem = problem_of(dataset, temperature)
        starts = start_states(problem, 2)
        for name, (kernel, rule, metric, thin) in table.items():
            stiffness = theory_stiffness(problem) if metric else jnp.zeros(problem.inputs_train.shape[1])
            rate, slowest, acceptance, step = run_kernel(
                problem, starts, kernel, rule, stiffness, seconds, thin
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
    phi = ERF.jax_function(problem.inputs_train.astype(hidden.dtype) @ hidden)
    f = jnp.sqrt(problem.readout_scale).astype(hidden.dtype) * (phi @ v)
    along = problem.signal @ hidden
    return {
        "readout_variance": (v * v).mean(),
        "hidden_trace_shift": (hidden * hidden).sum() / len(v) - len(hidden),
        "signal_variance": (along * along).mean(),
        "readout_signal_covariance": (v * along).mean(),
        "centroid_distance_sq": centroid_distance_sq_of_features(phi, problem.weights_train),
        "gyration_radius_sq": gyration_radius_sq_of_features(phi, problem.weights_train),
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


def peers(dataset: Dataset, temperatures: list[float], seconds: float) -> None:
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
        draws, spent = repriorised(problem, starts, seconds)
        reference = draws["mse"].mean()
        show(temperature, "re-priorised HMC", own, draws, spent)
        draws, spent, steps = joint_nuts(problem, starts, seconds)
        show(temperature, f"NUTS on (w, v), {steps:.0f} steps a draw", own, draws, spent)
        step = largest_langevin_step(problem, starts, reference)
        draws, spent = langevin(problem, starts, step, 2 * seconds, thin=200)
        show(temperature, f"Langevin on (w, v), step {step:.1e}", own, draws, spent)


def largest_langevin_step(problem: Array, starts: list[Any], reference: float) -> float:
    """Largest step of a halving sequence whose training error is biased by less than 1 %.

    The training error equilibrates fastest and is biased most.
    """
    step = 0.2 * float(problem.temperature)
    while True:
        draws, _ = langevin(problem, starts, step, 0.0, thin=300)
        settled = draws["mse"][:, draws["mse"].shape[1] // 3 :]
        bias = settled.mean() / reference - 1.0
        if np.isfinite(bias) and abs(bias) < 0.01:
            return step
        if step < 1e-9:
            raise SystemExit("no step of Langevin dynamics is accurate enough")
        step /= 1.5


def show(temperature: float, name: str, own: float, draws: dict[str, np.ndarray], spent: float) -> None:
    ess, slowest = slowest_of(draws)
    rate = ess / spent
    print(
        f"T = {temperature:g}  {name:34} {rate:14.4f} ESS/s ({slowest}), this sampler {own / rate:.0f} times",
        flush=True,
    )


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


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=["ours", "kernels", "peers", "profile", "scaling"])
    parser.add_argument("--data", help="npz file with x_train, y_train, x_test, y_test")
    parser.add_argument("--temperature", type=float, nargs="+", default=None)
    parser.add_argument("--draws", type=int, default=600, help="draws per chain of `ours`")
    parser.add_argument("--seconds", type=float, default=5.0, help="processor time of each rival")
    chosen = parser.parse_args()
    if chosen.what == "scaling":
        return scaling()
    dataset = load(chosen.data)
    if chosen.what == "profile":
        profile(dataset)
    elif chosen.what == "ours":
        ours(dataset, chosen.temperature or [1.0, 0.1, 0.01, 0.001], chosen.draws)
    elif chosen.what == "kernels":
        kernels(dataset, chosen.temperature or [0.1, 0.01], chosen.seconds)
    else:
        peers(dataset, chosen.temperature or [0.01], chosen.seconds)


if __name__ == "__main__":
    main()
