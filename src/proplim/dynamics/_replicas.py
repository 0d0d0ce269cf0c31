"""Run the replicas of one grid point: prior draw, step, trajectory, and what is looked at along it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from proplim.activations import Activation
from proplim.datasets import Dataset
from proplim.dynamics import _network
from proplim.dynamics._network import Parameters, Problem, Start
from proplim.dynamics._settings import DynamicsSettings
from proplim.dynamics.optimizers import Optimizer, build_optimizer
from proplim.errors import InvalidInput
from proplim.seeds import derive_seed

Record = dict[str, np.ndarray]
"""Observables of one replica, by name, with a leading time axis."""
Look = Callable[[Problem, Start, Parameters, Activation], dict[str, Any]]
"""What is recorded at one time; ``mse`` (first entry: train) and ``tangent_kernel_max`` have to be in it."""

_HALVINGS = 8
"""How often an automatic step is halved before a replica counts as diverged."""
_SAFE_FRACTION = 0.95
"""An automatic step has to stay below this fraction of the stability limit at every recorded time."""
_DIVERGED = 1e3
"""A training error this many times the one at the start, or the labels' mean square, is a divergence."""


def run_replicas(
    dataset: Dataset,
    activation: Activation,
    *,
    width: int,
    lambda0: float,
    lambda1: float,
    settings: DynamicsSettings,
    signal: np.ndarray,
    look: Look,
    reduce: Callable[[str, Record], Record] | None = None,
) -> Iterator[list[Record]]:
    """Yield, optimizer by optimizer, the records of its replicas.

    Parameters
    ----------
    signal : (N0,) array
        Direction u.
    look : callable
        What is recorded.
    reduce : callable, optional
        Makes of a replica's record, given the optimizer's name, what is kept of it.

    Notes
    -----
    All optimizers start from the same draws of the prior, so that they can be compared replica by replica.
    A record holds besides ``learning_rate`` and ``converged``, both over time; that of a replica that
    diverged is NaN with converged = 0.
    """
    point = {
        "dataset": dataset.identity,
        "activation": activation.name,
        "width": width,
        "lambda0": lambda0,
        "lambda1": lambda1,
    }
    for name in settings.optimizers:
        optimizer = build_optimizer(name, activation, settings, lambda0=lambda0, lambda1=lambda1)
        frame = _network.build_frame(dataset, signal, lambda0, kind=optimizer.frame)
        records = []
        for replica in range(settings.replicas):
            start = _network.draw_start(
                frame,
                dataset,
                signal,
                width=width,
                lambda0=lambda0,
                lambda1=lambda1,
                seed=derive_seed("dynamics", {**point, "replica": replica}),
            )
            noise = derive_seed("dynamics-noise", {**point, "replica": replica, "optimizer": name})
            record = _run_replica(optimizer, frame.problem, start, settings.times, noise, look)
            records.append(reduce(name, record) if reduce else record)
        yield records


def _run_replica(
    optimizer: Optimizer, problem: Problem, start: Start, times: np.ndarray, seed: int, look: Look
) -> Record:
    """Run one replica, with a halved step as long as an automatic one turns out too long."""
    automatic = optimizer.fixed_step is None
    step = optimizer.automatic_step(problem, start) if optimizer.fixed_step is None else optimizer.fixed_step
    limit = optimizer.step_limit(problem, start)
    if not automatic and step >= limit:
        raise InvalidInput(
            "learning_rate",
            step,
            f"{optimizer.name} is stable below {limit:.3g} = 2 / (largest eigenvalue of the tangent kernel) "
            f'with {problem.train.y.shape[0]} training inputs and width {start.readout.shape[0]}; or "auto"',
        )
    longest = _SAFE_FRACTION * 2.0 if automatic and np.isfinite(limit) else np.inf
    for _ in range(_HALVINGS if automatic else 1):
        record, stable = _record(optimizer, problem, start, times, step, seed, longest, look)
        if stable:
            break
        step /= 2
    if not stable:
        record = {name: np.full_like(value, np.nan) for name, value in record.items()}
    return record | {
        "learning_rate": np.full(len(times), step),
        "converged": np.full(len(times), float(stable)),
    }


def _record(
    optimizer: Optimizer,
    problem: Problem,
    start: Start,
    times: np.ndarray,
    step: float,
    seed: int,
    longest: float,
    look: Look,
) -> tuple[Record, bool]:
    """Observables along one trajectory; whether it stayed finite with step * lambda_max below `longest`."""

    def seen(parameters: Parameters) -> Record:
        return {
            name: np.asarray(value)
            for name, value in look(problem, start, parameters, optimizer.activation).items()
        }

    first = seen(_network.origin(problem, start))
    largest_error = _DIVERGED * max(float(np.mean(problem.train.y**2)), float(first["mse"][0]))
    rows: list[Record] = []
    for parameters in optimizer.trajectory(problem, start, times, step, seed):
        rows.append(seen(parameters))
        # Written so that a NaN counts as unstable.
        if not (rows[-1]["mse"][0] <= largest_error and step * rows[-1]["tangent_kernel_max"] < longest):
            missing = {name: np.full_like(value, np.nan) for name, value in first.items()}
            rows += [missing] * (len(times) - len(rows))
            return _stack(rows), False
    return _stack(rows), True


def _stack(rows: list[Record]) -> Record:
    return {name: np.stack([row[name] for row in rows]) for name in rows[0]}
