"""Train replicas of a network from the prior and record the observables of the cubes in time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr
from threadpoolctl import threadpool_limits

from proplim._jax import configure_jax
from proplim.activations import Activation, get_activation
from proplim.cube.variables import LABELS, SPLITS, VARIABLES
from proplim.datasets import Dataset
from proplim.dynamics._ensemble import ensemble_statistics
from proplim.dynamics._inversion import inversions
from proplim.dynamics._settings import DynamicsSettings
from proplim.errors import InvalidInput
from proplim.seeds import derive_seed

if TYPE_CHECKING:
    from proplim.dynamics._network import Parameters, Problem, Start
    from proplim.dynamics.optimizers import Optimizer

Record = dict[str, np.ndarray]
"""Observables of one replica, by name."""

_HALVINGS = 8
"""How often an automatic step is halved before a replica counts as diverged."""
_SAFE_FRACTION = 0.95
"""An automatic step has to stay below this fraction of the stability limit at every recorded time."""
_DIVERGED = 1e3
"""A training error this many times the one at the start, or the labels' variance, is a divergence."""


def train(
    dataset: Dataset,
    activation: str | Activation,
    *,
    width: int,
    lambda0: float = 1.0,
    lambda1: float = 1.0,
    settings: DynamicsSettings | None = None,
) -> xr.Dataset:
    """Train networks from draws of the prior on L = (1/2) sum_mu (y_mu - f(x_mu))^2.

    Parameters
    ----------
    dataset : Dataset
    activation : str or Activation
    width : int
        N.
    lambda0, lambda1 : float
        Precisions of the prior of hidden and readout weights, from which training starts.
    settings : DynamicsSettings, optional

    Returns
    -------
    xarray.Dataset
        Dimensions (optimizer, replica, time[, split, label]); variables of stage "dynamics" in
        :mod:`proplim.cube.variables`, those of the inversion without time. Values belong to one replica.
        The bias of a replica is estimated with
        the mean predictor of the other replicas, bias_sq = mean (y - f_r)(y - f_others), and
        predictive_variance = mse - bias_sq: unbiased, NaN for a single replica. accuracy is that of the sign
        of the mean predictor of all replicas, equal for all of them. A diverged replica is NaN with
        converged = 0 and enters no mean.

    Raises
    ------
    InvalidInput
        If a fixed learning rate is above the stability limit, or an argument is out of range.

    Notes
    -----
    docs/dynamics.md. A replica depends on the grid point, the settings of its optimizer and its own number
    only, to the bit: replicas run one after another, each on one thread.
    """
    configure_jax()
    activation, settings = get_activation(activation), settings or DynamicsSettings()
    _check(width, lambda0, lambda1)
    with threadpool_limits(1):
        runs = _run_all(dataset, activation, width, lambda0, lambda1, settings)
    return _to_xarray(dataset, runs, settings)


def _run_all(
    dataset: Dataset,
    activation: Activation,
    width: int,
    lambda0: float,
    lambda1: float,
    settings: DynamicsSettings,
) -> list[list[Record]]:
    """Observables with a leading time axis, for every optimizer and replica."""
    from proplim.dynamics import _network
    from proplim.dynamics.optimizers import build_optimizer
    from proplim.theory import signal_direction

    point = {
        "dataset": dataset.identity,
        "activation": activation.name,
        "width": width,
        "lambda0": lambda0,
        "lambda1": lambda1,
    }
    signal = signal_direction(
        dataset,
        activation,
        width=width,
        temperature=settings.signal_temperature,
        lambda0=lambda0,
        lambda1=lambda1,
    )
    runs = []
    for name in settings.optimizers:
        optimizer = build_optimizer(name, activation, settings, lambda0=lambda0, lambda1=lambda1)
        frame = _network.build_frame(dataset, signal, lambda0, kind=optimizer.frame)
        replicas = []
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
            replicas.append(_run_replica(optimizer, frame.problem, start, settings, noise))
        runs.append(replicas)
    return runs


def _run_replica(
    optimizer: Optimizer, problem: Problem, start: Start, settings: DynamicsSettings, seed: int
) -> Record:
    """Run one replica, with a halved step as long as an automatic one turns out too long."""
    automatic = optimizer.fixed_step is None
    step = optimizer.automatic_step(problem, start) if optimizer.fixed_step is None else optimizer.fixed_step
    limit = optimizer.step_limit(problem, start)
    if not automatic and step >= limit:
        raise InvalidInput(
            "learning_rate",
            step,
            f"{optimizer.name} stable below {limit:.3g} = 2 / (largest eigenvalue of the tangent kernel) "
            f'for {problem.train.y.shape[0]} training inputs and width {start.readout.shape[0]}; or "auto"',
        )
    for _ in range(_HALVINGS if automatic else 1):
        longest = _SAFE_FRACTION * 2.0 if automatic and np.isfinite(limit) else np.inf
        record, stable = _record(optimizer, problem, start, settings.times, step, seed, longest)
        if stable:
            break
        step /= 2
    times = np.ones(settings.n_times)
    if not stable:
        record = {name: np.full_like(value, np.nan) for name, value in record.items()}
    return record | {"learning_rate": times * step, "converged": times * stable}


def _record(
    optimizer: Optimizer,
    problem: Problem,
    start: Start,
    times: np.ndarray,
    step: float,
    seed: int,
    longest: float,
) -> tuple[Record, bool]:
    """Observables along one trajectory; whether it stayed finite with step * lambda_max below `longest`."""
    from proplim.dynamics._network import origin
    from proplim.dynamics._observables import observe

    def look(parameters: Parameters) -> Record:
        observed = observe(problem, start, parameters, optimizer.activation)
        return {name: np.asarray(value) for name, value in observed.items()}

    first = look(origin(problem, start))
    largest_error = _DIVERGED * max(float(np.mean(problem.train.y**2)), float(first["mse"][0]))
    rows: list[Record] = []
    for parameters in optimizer.trajectory(problem, start, times, step, seed):
        rows.append(look(parameters))
        # Written so that a NaN counts as unstable.
        if not (rows[-1]["mse"][0] <= largest_error and step * rows[-1]["tangent_kernel_max"] < longest):
            missing = {name: np.full_like(value, np.nan) for name, value in first.items()}
            rows += [missing] * (len(times) - len(rows))
            return _stack(rows), False
    return _stack(rows), True


def _stack(rows: list[Record]) -> Record:
    return {name: np.stack([row[name] for row in rows]) for name in rows[0]}


def _to_xarray(dataset: Dataset, runs: list[list[Record]], settings: DynamicsSettings) -> xr.Dataset:
    """Gather optimizers and replicas, add what belongs to the ensemble, name the axes."""
    stacked = {
        name: np.stack([np.stack([record[name] for record in replicas]) for replicas in runs])
        for name in runs[0][0]
    }
    outputs = [stacked.pop("output_train"), stacked.pop("output_test")]
    labels = [dataset.y_train, dataset.y_test]
    ensemble = [ensemble_statistics(f, y) for f, y in zip(outputs, labels, strict=True)]
    for name in ensemble[0]:
        stacked[name] = np.stack([part[name] for part in ensemble], axis=-1)
    if not dataset.n_test:
        for name, value in stacked.items():
            if "split" in VARIABLES[name].dims:
                value[:, :, :, 1] = np.nan
    stacked |= inversions(settings.times, stacked["centroid_distance_sq"], stacked["mse"][..., 0])
    return xr.Dataset(
        {name: (("optimizer", "replica", *_own_dims(name)), value) for name, value in stacked.items()},
        coords={
            "optimizer": list(settings.optimizers),
            "replica": np.arange(settings.replicas),
            "time": settings.times,
            "split": list(SPLITS),
            "label": list(LABELS),
        },
    )


def _own_dims(name: str) -> tuple[str, ...]:
    variable = VARIABLES[name]
    return variable.dims if "time" in variable.without else ("time", *variable.dims)


def _check(width: int, lambda0: float, lambda1: float) -> None:
    if not isinstance(width, int | np.integer) or isinstance(width, bool) or width < 1:
        raise InvalidInput("width", width, "an integer of at least 1")
    for key, value in (("lambda0", lambda0), ("lambda1", lambda1)):
        if not np.isfinite(value) or value <= 0:
            raise InvalidInput(key, value, "a positive number")
