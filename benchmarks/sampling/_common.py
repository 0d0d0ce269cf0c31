"""What the benchmarks of the sampler share: data, problems, starts, and how a rate is found.

Times are processor time of one thread. Without --data, 3 against 8 of scikit-learn's digits at P = 100 serve.
ESS is the bulk ESS of the slowest observable. Every rival starts from draws of this sampler, so none pays burn-in
unless said. Short runs over-estimate the ESS of a slow chain, so ratios to slow rivals are lower bounds.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"))

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from _ratios import note
from proplim._jax import configure_jax

configure_jax()
import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402

from proplim.activations import get_activation  # noqa: E402
from proplim.datasets import Dataset  # noqa: E402
from proplim.sampling import _adaptation, _draw, _kernel, _program, _random, _target  # noqa: E402
from proplim.sampling._estimates import statistics  # noqa: E402
from proplim.sampling._phases import whole  # noqa: E402
from proplim.sampling._predictor import Targets, functionals, reduced, reference_of  # noqa: E402
from proplim.theory import signal_direction  # noqa: E402

ERF = get_activation("erf")
WIDTH = 100
Array = Any


def arguments(
    doc: str | None, temperatures: tuple[float, ...] = (), seconds: float = 5.0
) -> argparse.ArgumentParser:
    """Parser of a benchmark: data, temperatures, and processor time of each row."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help="npz file with x_train, y_train, x_test, y_test")
    parser.add_argument("--temperature", type=float, nargs="+", default=list(temperatures))
    parser.add_argument("--seconds", type=float, default=seconds, help="processor time of each row")
    return parser


def report(acceptance: Array, gradients: Array, diverged: Array = False) -> _kernel.Info:
    """Report of a rival's trajectory, which knows no more than this."""
    unknown = jnp.float64(jnp.nan)
    return _kernel.Info(acceptance, gradients, jnp.asarray(diverged), unknown, unknown, unknown)


def draw_at(problem: Array, hidden: Array, key: Array, trajectory: Array) -> _draw.Draw:
    """The draw at hidden weights Z, with the random streams of that trajectory."""
    at = _target.likelihood(problem, ERF, hidden)
    return _draw.Draw(
        problem, ERF, hidden, *at, key, jnp.asarray(trajectory, jnp.uint32) * jnp.uint32(_draw.STREAMS)
    )


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


def point_of(temperature: float, width: int = WIDTH) -> dict[str, Any]:
    """Width, temperature and priors of all benchmarks."""
    return {"width": width, "temperature": temperature, "lambda0": 1.0, "lambda1": 1.0}


def problem_of(dataset: Dataset, temperature: float, width: int = WIDTH) -> _target.Problem:
    """That point with erf, as arrays on the device."""
    point = point_of(temperature, width)
    direction = signal_direction(dataset, ERF, **point)
    return jax.device_put(_target.make_problem(dataset, _target.whiten(dataset), direction, **point))


def path_of(length: float = np.pi / 2, acceptance: float = 0.7, jitter: float = 0.2) -> _program.Path:
    """Path length, jitter and acceptance to adapt the step to."""
    return _program.Path(jnp.float64(length), jnp.float64(jitter), jnp.float64(acceptance))


def start_states(
    problem: _target.Problem, chains: int, warmup: int = 200
) -> list[tuple[_random.Key, _program.Chain]]:
    """Chains at the posterior from this package's own warm-up."""
    schedule = _adaptation.cooling(float(problem.temperature), warmup)
    advance = _program.program(ERF, _draw.Recorded(()), jnp.float32)

    def warm(key: _random.Key) -> _program.Chain:
        state = _kernel.empty_state(problem, WIDTH)
        chain = _program.Chain(state, _adaptation.first_step())
        for first in range(0, warmup, _program.BLOCK):
            stretch = _program.warmup_stretch(schedule, first, opening=first == 0)
            chain, _ = advance(problem, path_of(), key, chain, stretch)
        return _program.settled(chain)

    keys = [_random.key_of(0x9E3779B97F4A7C15 * (c + 1) % 2**63) for c in range(chains)]
    return [(key, warm(key)) for key in keys]


def rotation(problem: Array, key: Array, state: Array, rule: Array, stiffness: Array) -> Array:
    """This package's kernel."""
    return _kernel.trajectory(problem, ERF, rule, key, state, jnp.float32)


def run_kernel(
    problem: Array,
    starts: list[Any],
    kernel: Callable,
    path: Array,
    stiffness: Array,
    seconds: float,
    thin: int = 1,
) -> tuple[float, str, float, float]:
    """Adapt the step, run for about `seconds` of processor time; returns ESS per second and what it rests on."""
    what = _draw.recorded()

    def one(problem: Array, key: Array, chain: Array) -> Array:
        rule = _kernel.Rule(path.length, path.jitter, chain.step.log_step)
        state, info = kernel(problem, key, chain.state, rule, stiffness)
        return chain._replace(state=state), info

    @jax.jit
    def settle(problem: Array, key: Array, chain: Array) -> Array:
        def body(chain: Array, age: Array) -> Array:
            chain, info = one(problem, key, chain)
            step = _adaptation.adapted(chain.step, info.acceptance, path.target_acceptance, age)
            return chain._replace(step=step), None

        chain = chain._replace(step=_adaptation.renewed(chain.step, True))
        return _program.settled(jax.lax.scan(body, chain, jnp.arange(200.0))[0])

    @jax.jit
    def advance(problem: Array, key: Array, chain: Array) -> Array:
        def body(chain: Array, _: None) -> Array:
            chain, info = jax.lax.scan(lambda c, _: one(problem, key, c), chain, None, length=thin)
            draw = draw_at(problem, chain.state.hidden, key, chain.state.trajectory)
            return chain, (_draw.measure(draw, what), info.acceptance)

        return jax.lax.scan(body, chain, None, length=20)

    # random streams of a rival must not repeat those of the warm-up
    def apart(chain: Array) -> Array:
        return chain._replace(state=chain.state._replace(trajectory=jnp.uint32(10**6)))

    chains = [(key, settle(problem, key, apart(chain))) for key, chain in starts]
    jax.block_until_ready(advance(problem, *chains[0]))
    records: list[list[Any]] = [[] for _ in chains]
    accepted, spent = [], 0.0
    while spent < seconds or len(records[0]) < 5:
        start = time.process_time()
        for i, (key, chain) in enumerate(chains):
            chain, (measured, acceptance) = jax.block_until_ready(advance(problem, key, chain))
            chains[i] = key, chain
            records[i].append(measured)
            accepted.append(float(acceptance.mean()))
        spent += time.process_time() - start
    ess, slowest = slowest_of(with_functionals(stacked(records), problem))
    return ess / spent, slowest, float(np.mean(accepted)), float(np.exp(chains[0][1].step.log_step))


def own_rate(problem: Array, temperature: float, seconds: float) -> float:
    """ESS per second of this sampler."""
    rank = problem.inputs_train.shape[1]
    starts = start_states(problem, 2)
    own, slowest, *_ = run_kernel(problem, starts, rotation, path_of(), jnp.zeros(rank), seconds)
    print(f"T = {temperature:g}  this sampler {own:36.2f} ESS/s ({slowest})", flush=True)
    return own


def stacked(records: list[list[Any]]) -> dict[str, np.ndarray]:
    """Draws (chain, draw, ...) by name from the blocks of every chain."""
    return {
        name: np.stack([np.concatenate([np.asarray(b[name], float) for b in record]) for record in records])
        for name in records[0][0]
    }


def with_functionals(draws: dict[str, np.ndarray], problem: _target.Problem) -> dict[str, np.ndarray]:
    """Draws with bias, predictive variance and accuracy in place of the predictors that they come from."""
    draws, found = dict(draws), []
    parts = whole(*draws["mse"].shape[:2])
    for split, labels in (("train", problem.y_train), ("test", problem.y_test)):
        predictor, targets = draws.pop(f"predictor_{split}"), Targets(np.asarray(labels))
        reference = reference_of(predictor, targets)
        found.append(functionals(reduced(predictor, reference, parts.heavy), reference, targets, parts))
    bias, accuracy = (np.stack(values, axis=-1) for values in zip(*found, strict=True))
    return draws | {"bias_sq": bias, "predictive_variance": draws["mse"] - bias, "accuracy": accuracy}


def slowest_of(draws: dict[str, np.ndarray]) -> tuple[float, str]:
    """Bulk ESS of the slowest observable, and its name."""
    ess = {
        name: float(np.nanmin(statistics(value)[2]))
        for name, value in draws.items()
        if name not in ("accuracy", "equipartition_defect")
    }
    slowest = min(ess, key=lambda name: ess[name])
    return ess[slowest], slowest


def collect(advance: Callable, chains: list[Any], seconds: float) -> tuple[dict[str, np.ndarray], float]:
    """Run chains for about `seconds` of processor time; returns draws (chain, draw, ...) and the time taken."""
    records: list[list[Any]] = [[] for _ in chains]
    spent = 0.0
    while spent < seconds or len(records[0]) < 3:
        start = time.process_time()
        for i, (key, carry) in enumerate(chains):
            carry, measured = jax.block_until_ready(advance(key, carry))
            chains[i] = key, carry
            records[i].append(measured)
        spent += time.process_time() - start
    return stacked(records), spent


def show(temperature: float, name: str, own: float, draws: dict[str, np.ndarray], spent: float) -> float:
    """Print and return the rate of a rival beside `own`, that of this sampler."""
    ess, slowest = slowest_of(draws)
    rate = ess / spent
    print(
        f"T = {temperature:g}  {name:34} {rate:14.4f} ESS/s ({slowest}), this sampler {own / rate:.0f} times",
        flush=True,
    )
    return rate


def note_rival(temperature: float, rival: str, own: float, rate: float) -> None:
    """Keep the ratio of two rates for the table of peers."""
    note(
        f"sampler, P = N = {WIDTH}, T = {temperature:g}",
        rival, own / rate, "ESS of the slowest observable; the rival starts in equilibrium",
    )  # fmt: skip
