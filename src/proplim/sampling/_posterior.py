"""Sample the posterior of a finite network until every observable is known well enough, or a budget is spent."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache, partial
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from proplim._jax import configure_jax
from proplim.activations import Activation, get_activation
from proplim.datasets import Dataset
from proplim.errors import InvalidInput
from proplim.geometry import LABELS
from proplim.observables import variables_of
from proplim.sampling import _kernel
from proplim.sampling._estimates import Draws, add_functionals, statistics
from proplim.sampling._random import key_of
from proplim.sampling._settings import SamplingSettings
from proplim.sampling._target import Problem, make_problem, whiten
from proplim.schema import SPLITS, STATISTICS
from proplim.seeds import derive_seed

BLOCK = 50
"""Draws per chain and compiled call; checks of convergence fall on multiples of it."""

_UNITS = {
    "unit_readout": "readout weight of a hidden unit, drawn exactly given the hidden weights",
    "unit_signal": "hidden weight of a unit along the signal direction",
}

FLOAT32_MARGIN = 0.5
"""How far T must be above the float32 rounding of the trace of the kernel for gradients in float32."""


class PosteriorSample(NamedTuple):
    """Result of sampling one grid point.

    Parameters
    ----------
    summary : Dataset
        Dimensions `statistic` (mean, mcse, ess, rhat), `split`, `label`: every sampling variable of the cube, and
        `converged`. Attributes: `reason` (empty where converged), draws and warm-up per chain, gradients, step
        size, acceptance.
    draws : Dataset
        Dimensions `chain`, `draw`, `split`, `label`: the same observables draw by draw.
    """

    summary: xr.Dataset
    draws: xr.Dataset


class Progress(NamedTuple):
    """What the progress callback receives.

    Parameters
    ----------
    temperature : float
    position, total : int
        Which of the temperatures this is, from 0.
    draws : int
        Draws per chain so far.
    ess, rhat : float
        Of the worst observable at the last check; NaN before it.
    seconds_left : float
        Estimate of the time left for all temperatures; NaN while unknown.
    """

    temperature: float
    position: int
    total: int
    draws: int
    ess: float
    rhat: float
    seconds_left: float


def sample_posterior(
    dataset: Dataset,
    activation: str | Activation,
    *,
    width: int,
    temperature: float,
    lambda0: float = 1.0,
    lambda1: float = 1.0,
    settings: SamplingSettings | None = None,
    threads: int = 1,
    progress: Callable[[Progress], None] | None = None,
) -> PosteriorSample:
    """Sample the posterior of one grid point (docs/theory.md, section 7).

    Parameters
    ----------
    dataset : Dataset
    activation : str or Activation
    width : int
        N.
    temperature, lambda0, lambda1 : float
        T and the precisions of the priors of hidden and readout weights.
    settings : SamplingSettings
    threads : int
        Chains run side by side on so many cores. The result does not depend on it.
    progress : callable
        Called with a :class:`Progress` after every block of draws.

    Returns
    -------
    PosteriorSample
        Where sampling fails (an energy that is not finite), NaN with `converged` = 0 and a `reason`.

    Raises
    ------
    InvalidInput
        If a parameter is outside its range.
    """
    (result,) = sample_temperatures(
        dataset,
        activation,
        width=width,
        temperatures=[temperature],
        lambda0=lambda0,
        lambda1=lambda1,
        settings=settings,
        threads=threads,
        progress=progress,
    )
    return result


def sample_temperatures(
    dataset: Dataset,
    activation: str | Activation,
    *,
    width: int,
    temperatures: Sequence[float],
    lambda0: float = 1.0,
    lambda1: float = 1.0,
    settings: SamplingSettings | None = None,
    threads: int = 1,
    progress: Callable[[Progress], None] | None = None,
) -> Iterator[PosteriorSample]:
    """Sample several temperatures with one compiled program, each as if it were alone.

    Parameters are those of :func:`sample_posterior`. Results come in the order of `temperatures`, each as soon
    as it is done.
    """
    settings = settings or SamplingSettings()
    activation = get_activation(activation)
    _validate(width, temperatures, lambda0, lambda1, threads)
    return _sample_each(
        dataset, activation, width, temperatures, lambda0, lambda1, settings, threads, progress
    )


def _sample_each(
    dataset: Dataset,
    activation: Activation,
    width: int,
    temperatures: Sequence[float],
    lambda0: float,
    lambda1: float,
    settings: SamplingSettings,
    threads: int,
    progress: Callable[[Progress], None] | None,
) -> Iterator[PosteriorSample]:
    configure_jax()
    from threadpoolctl import threadpool_limits

    whitened = whiten(dataset)
    started = time.monotonic()
    for index, temperature in enumerate(temperatures):
        report = partial(_report, progress, float(temperature), index, len(temperatures), started)
        # LAPACK's own threads would compete with the chains' and may change the order of sums
        with threadpool_limits(1):
            yield _sample_point(
                dataset,
                activation,
                whitened,
                width,
                float(temperature),
                lambda0,
                lambda1,
                settings,
                threads,
                report,
            )


def _sample_point(
    dataset: Dataset,
    activation: Activation,
    whitened: Any,
    width: int,
    temperature: float,
    lambda0: float,
    lambda1: float,
    settings: SamplingSettings,
    threads: int,
    report: Callable[[int, float, float, float], None],
) -> PosteriorSample:
    point: dict[str, Any] = {
        "width": width,
        "temperature": temperature,
        "lambda0": lambda0,
        "lambda1": lambda1,
    }
    seeds = [
        derive_seed(
            "sampling",
            {"dataset": dataset.identity, "activation": activation.name, "chain": c, "seed": settings.seed}
            | point,
        )
        for c in range(settings.chains)
    ]
    try:
        direction = _signal_direction(dataset, activation, **point)
        problem = make_problem(dataset, whitened, direction, **point)
        outcome = _run_chains(problem, activation, width, settings, seeds, threads, report)
    except (ArithmeticError, np.linalg.LinAlgError) as error:
        return _failed(f"{type(error).__name__}: {error}")
    return _package(outcome, settings)


class _Outcome(NamedTuple):
    draws: Draws
    table: dict[str, np.ndarray]
    converged: bool
    reason: str
    attributes: dict[str, Any]


def _run_chains(
    problem: Problem,
    activation: Activation,
    width: int,
    settings: SamplingSettings,
    seeds: list[int],
    threads: int,
    report: Callable[[int, float, float, float], None],
) -> _Outcome:
    import jax

    dtype = _gradient_type(problem, width, settings)
    program = _program(activation, width, settings.histograms, dtype)
    rule = _kernel.Rule(
        np.float64(settings.path_length), np.float64(settings.jitter), np.float64(settings.target_acceptance)
    )
    problem = jax.device_put(problem)
    keys = [key_of(seed) for seed in seeds]
    draws: list[Draws] = []
    infos: list[tuple[np.ndarray, ...]] = []
    record = _kernel.empty_record(problem, activation, width, settings.histograms)
    start = _kernel.empty_state(problem.inputs_train.shape[1], width, record)

    def warm(key: Any) -> tuple[Any, int]:
        state, gradients = start, 0
        for first in range(0, settings.warmup, BLOCK):
            count = min(BLOCK, settings.warmup - first)
            stretch = _kernel.Stretch(False, first == 0, first, count, settings.warmup)
            state, (_, info) = jax.block_until_ready(program(problem, rule, key, state, stretch))
            gradients += int(np.asarray(info.gradients)[:count].sum())
        return state, gradients

    with ThreadPoolExecutor(min(threads, settings.chains)) as pool:
        started = list(pool.map(warm, keys))
        # one step size for all chains, so that a chain with an unlucky adaptation does not lag behind
        log_step = np.median([np.asarray(state.adaptation)[1] for state, _ in started])
        states = [state._replace(log_step=log_step) for state, _ in started]
        if not all(np.isfinite(float(state.log_likelihood)) for state in states):
            raise FloatingPointError("the log-likelihood is not finite after the warm-up")

        done, check = 0, settings.min_draws
        while True:
            stretch = _kernel.Stretch(True, done == 0, 0, BLOCK, settings.warmup)

            def draw(key: Any, state: Any, stretch: Any = stretch) -> Any:
                return jax.block_until_ready(program(problem, rule, key, state, stretch))

            results = list(pool.map(draw, keys, states))
            states = [result[0] for result in results]
            draws.append(
                {name: np.stack([np.asarray(r[1][0][name]) for r in results]) for name in results[0][1][0]}
            )
            infos.append(tuple(np.stack([np.asarray(r[1][1][i]) for r in results]) for i in range(3)))
            done += BLOCK
            if done < min(check, settings.max_draws):
                report(done, np.nan, np.nan, done / max(check, 1))
                continue
            merged = {name: np.concatenate([d[name] for d in draws], axis=1) for name in draws[0]}
            observed = add_functionals(merged, np.asarray(problem.y_train), np.asarray(problem.y_test))
            table = {name: statistics(value) for name, value in observed.items() if name not in _UNITS}
            ess, rhat = _worst(table)
            shortfall = max(
                settings.target_ess / ess if ess > 0 else np.inf, (rhat - 1) / (settings.max_rhat - 1)
            )
            converged = ess >= settings.target_ess and rhat < settings.max_rhat
            report(done, ess, rhat, min(1.0, 1.0 / shortfall) if shortfall > 0 else 1.0)
            if converged or done >= settings.max_draws:
                break
            check = int(np.clip(1.1 * shortfall, 1.25, 2.0) * done) if np.isfinite(shortfall) else 2 * done
    acceptance, gradients, diverged = (np.concatenate([i[k] for i in infos], axis=1) for k in range(3))
    if not np.isfinite([float(state.log_likelihood) for state in states]).all() or acceptance.max() == 0.0:
        raise FloatingPointError("no trajectory was accepted, or the energy is not finite")
    attributes = {
        "draws_per_chain": done,
        "warmup_per_chain": settings.warmup,
        "gradients": int(gradients.sum()),
        "warmup_gradients": sum(gradients for _, gradients in started),
        "step_size": float(np.exp(log_step)),
        "acceptance": float(acceptance.mean()),
        "divergences": int(diverged.sum()),
        "precision": np.dtype(dtype).name,
        "seeds": json.dumps({"chains": seeds}),
    }
    reason = "" if converged else f"budget of {done} draws a chain spent: ess {ess:.0f}, rhat {rhat:.4f}"
    return _Outcome(observed, table, converged, reason, attributes)


def _gradient_type(problem: Problem, width: int, settings: SamplingSettings) -> Any:
    """Float32 unless its rounding error in S, eps times the trace of the kernel, exceeds its smallest eigenvalue T.

    The trace of c Phi Phi^T is about tr C / lambda1 or less. Energies are float64, so a gradient too coarse
    would cost acceptance and nothing else; docs/sampler.md tabulates that it does not down to a margin of one.
    """
    if settings.precision != "auto":
        return np.dtype(settings.precision).type
    trace = width * problem.readout_scale * (problem.inputs_train**2).sum()
    margin = problem.temperature / (np.finfo(np.float32).eps * min(trace, 1e300))
    return np.float32 if margin > FLOAT32_MARGIN else np.float64


@lru_cache(maxsize=32)
def _program(activation: Activation, width: int, units: bool, dtype: Any) -> Any:
    """Compiled warm-up and sampling; temperature and priors are arguments, so all temperatures share it."""
    import jax

    advance = partial(_kernel.advance, activation=activation, length=BLOCK, dtype=dtype, units=units)
    return jax.jit(advance, compiler_options=_compiler_options())


def _compiler_options() -> dict[str, Any]:
    """One thread a program, also where JAX was set up by someone else."""
    import jax

    return {"xla_cpu_multi_thread_eigen": False} if jax.default_backend() == "cpu" else {}


def _worst(table: dict[str, np.ndarray]) -> tuple[float, float]:
    """Smallest ESS and largest R-hat over the observables of the cube; those that are undefined are left out."""
    names = [variable.name for variable in variables_of("sampling") if variable.name != "converged"]
    ess = np.concatenate([table[name][2].ravel() for name in names])
    rhat = np.concatenate([table[name][3].ravel() for name in names])
    mean = np.concatenate([table[name][0].ravel() for name in names])
    defined = ~np.isnan(mean)
    if not defined.any() or np.isnan(ess[defined]).any() or np.isnan(rhat[defined]).any():
        return 0.0, np.inf
    return float(ess[defined].min()), float(rhat[defined].max())


def _signal_direction(dataset: Dataset, activation: Activation, **point: Any) -> np.ndarray:
    from proplim.theory import signal_direction

    return signal_direction(dataset, activation, **point)


def _package(outcome: _Outcome, settings: SamplingSettings) -> PosteriorSample:
    coords = {"statistic": list(STATISTICS), "split": list(SPLITS), "label": list(LABELS)}
    summary = xr.Dataset(coords=coords, attrs={"reason": outcome.reason} | outcome.attributes)
    draws = xr.Dataset(attrs=dict(outcome.attributes))
    for variable in variables_of("sampling"):
        if variable.name == "converged":
            continue
        attributes = {"long_name": variable.long_name, "units": variable.units}
        summary[variable.name] = (("statistic", *variable.dims), outcome.table[variable.name], attributes)
        if settings.keep_draws:
            draws[variable.name] = (
                ("chain", "draw", *variable.dims),
                outcome.draws[variable.name],
                attributes,
            )
    summary["converged"] = (
        (),
        float(outcome.converged),
        {"long_name": "1 where converged, else 0", "units": "1"},
    )
    if settings.keep_draws:
        draws["equipartition_defect"] = (
            ("chain", "draw"),
            outcome.draws["equipartition_defect"],
            {"long_name": "violation of equipartition by a draw, of mean zero", "units": "1"},
        )
        draws = draws.assign_coords(
            chain=np.arange(draws.sizes["chain"]),
            draw=np.arange(draws.sizes["draw"]),
            split=coords["split"],
            label=coords["label"],
        )
    for name, long_name in _UNITS.items():
        if name in outcome.draws:
            attributes = {"long_name": long_name, "units": "1"}
            draws[name] = (("chain", "draw", "unit"), outcome.draws[name].astype(np.float32), attributes)
    return PosteriorSample(summary, draws)


def _failed(reason: str) -> PosteriorSample:
    sizes = {"statistic": 4, "split": 2, "label": 2}
    coords = {"statistic": list(STATISTICS), "split": list(SPLITS), "label": list(LABELS)}
    summary = xr.Dataset(coords=coords, attrs={"reason": reason, "failed": 1})
    for variable in variables_of("sampling"):
        attributes = {"long_name": variable.long_name, "units": variable.units}
        dims = ("statistic", *variable.dims)
        summary[variable.name] = (dims, np.full([sizes[d] for d in dims], np.nan), attributes)
    summary["converged"] = ((), 0.0, {"long_name": "1 where converged, else 0", "units": "1"})
    return PosteriorSample(summary, xr.Dataset(attrs={"reason": reason}))


def _report(
    progress: Callable[[Progress], None] | None,
    temperature: float,
    index: int,
    total: int,
    started: float,
    draws: int,
    ess: float,
    rhat: float,
    fraction: float,
) -> None:
    if progress is None:
        return
    done = (index + fraction) / total
    elapsed = time.monotonic() - started
    left = elapsed * (1.0 - done) / done if done > 0 else np.nan
    progress(Progress(temperature, index, total, draws, ess, rhat, left))


def _validate(
    width: int, temperatures: Sequence[float], lambda0: float, lambda1: float, threads: int
) -> None:
    for key, value in (("width", width), ("threads", threads)):
        if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < 1:
            raise InvalidInput(key, value, "an integer >= 1")
    for temperature in temperatures:
        _positive("temperature", temperature)
    _positive("lambda0", lambda0)
    _positive("lambda1", lambda1)


def _positive(key: str, value: float) -> None:
    if not isinstance(value, int | float | np.number) or not np.isfinite(value) or value <= 0:
        raise InvalidInput(key, value, "a finite number > 0")
