"""Train replicas of a network from the prior and record the observables of the cubes in time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import xarray as xr
from threadpoolctl import threadpool_limits

from proplim._jax import configure_jax
from proplim.activations import Activation, get_activation
from proplim.datasets import Dataset, class_coords
from proplim.dynamics._ensemble import ensemble_statistics
from proplim.dynamics._inversion import inversions
from proplim.dynamics._observables import observe
from proplim.dynamics._replicas import Kept, Look, Progress, Record, Reduce, Training, run_replicas
from proplim.dynamics._settings import DynamicsSettings
from proplim.observables import OBSERVABLES, variable
from proplim.schema import AXES, SPLITS, Point


def train(
    dataset: Dataset,
    activation: str | Activation,
    *,
    width: int,
    lambda0: float = 1.0,
    lambda1: float = 1.0,
    settings: DynamicsSettings | None = None,
    threads: int = 1,
    progress: Callable[[Progress], None] | None = None,
    kept: Kept | None = None,
) -> xr.Dataset:
    """Train networks from draws of the prior on L = (1/2) sum_mu (y_mu - f(x_mu))^2, summed over outputs.

    Parameters
    ----------
    dataset : Dataset
    activation : str or Activation
    width : int
        N.
    lambda0, lambda1 : float
        Precisions of the prior of hidden and readout weights, from which training starts.
    settings : DynamicsSettings, optional
    threads : int
        Replicas that run side by side; no number depends on it.
    progress : callable, optional
        Called with a :class:`Progress` at every recorded time of every replica.
    kept : mutable mapping, optional
        Name -> record of a finished replica. Replicas found in it are taken over, others are put into it as they
        finish, so that an interrupted training goes on where it was. It belongs to one grid point and one
        settings object.

    Returns
    -------
    xarray.Dataset
        Dimensions (optimizer, replica, time[, split, label], of three and more classes pair, output, output2);
        variables of stage "dynamics" in :mod:`proplim.observables`, those of the inversion without time. Values
        belong to one replica.
        The bias of a replica is estimated with the mean predictor of the other replicas,
        bias_sq = mean (y - f_r)(y - f_others), and predictive_variance = mse - bias_sq: unbiased, NaN for a
        single replica. accuracy is that of the sign of the mean predictor of all replicas, equal for all of
        them. A diverged replica is NaN with converged = 0 and enters no mean; the attribute ``reason`` says why.

    Raises
    ------
    InvalidInput
        If a fixed learning rate is above the stability limit, or an argument is out of range.

    Notes
    -----
    docs/dynamics.md. To the bit, a replica depends on the grid point, the settings of its optimizer and its
    own number only: each runs on one thread.
    """
    settings = settings or DynamicsSettings()
    point = network_point(activation, width, lambda0, lambda1)
    runs = run_point(
        dataset, activation, point, settings, look=observe, threads=threads, progress=progress, kept=kept
    )
    return cube_of(dataset, runs, settings)


def network_point(activation: str | Activation, width: int, lambda0: float, lambda1: float) -> Point:
    """The grid point of a network, as far as training depends on it.

    Raises
    ------
    InvalidInput
        If the width is not a positive integer or a precision is not positive.
    """
    values = {"width": width, "lambda0": lambda0, "lambda1": lambda1}
    for name, value in values.items():
        AXES[name].check(value)
    return Point.of({"activation": get_activation(activation).name, **values})


def _whole(optimizer: Any, record: Record) -> Record:
    return record


def run_point(
    dataset: Dataset,
    activation: str | Activation,
    point: Point,
    settings: DynamicsSettings,
    *,
    look: Look,
    reduce: Reduce = _whole,
    threads: int = 1,
    progress: Callable[[Progress], None] | None = None,
    kept: Kept | None = None,
) -> list[list[Record]]:
    """Records of all optimizers and replicas of a grid point, see :func:`run_replicas`, each on one thread.

    Raises
    ------
    InvalidInput
        As :func:`train`.
    """
    configure_jax()
    from proplim.theory import signal_direction

    # One thread: a sum that is split over threads may round differently on another number of cores.
    with threadpool_limits(1):
        signal = signal_direction(
            dataset,
            activation,
            width=point.width,
            temperature=settings.signal_temperature,
            lambda0=point.lambda0,
            lambda1=point.lambda1,
        )
        training = Training(dataset, get_activation(activation), point, settings, signal, look, reduce)
        return run_replicas(training, threads=threads, progress=progress, kept=kept)


def cube_of(dataset: Dataset, runs: list[list[Record]], settings: DynamicsSettings) -> xr.Dataset:
    """Gather optimizers and replicas, add what belongs to the ensemble, name the axes.

    What the records hold beside the variables of the cube is left out.
    """
    kept = [name for name in runs[0][0] if name in OBSERVABLES or name.startswith("output_")]
    values = {name: stacked(runs, name) for name in kept}
    outputs = [values.pop("output_train"), values.pop("output_test")]
    labels = [(dataset.y_train, dataset.class_train), (dataset.y_test, dataset.class_test)]
    ensemble = [ensemble_statistics(f, *y) for f, y in zip(outputs, labels, strict=True)]
    for name in ensemble[0]:
        values[name] = np.stack([part[name] for part in ensemble], axis=-1)
    values |= inversions(settings.times, values["centroid_distance_sq"], values["mse"][..., 0])
    reasons = [
        f"{name}, replica {r}: {record['reason']}"
        for name, records in zip(settings.optimizers, runs, strict=True)
        for r, record in enumerate(records)
        if str(record["reason"])
    ]
    return xr.Dataset(
        {
            name: (("optimizer", "replica", *_own_dims(name, dataset.n_outputs)), value)
            for name, value in values.items()
        },
        coords={
            **axes_of(settings),
            "split": list(SPLITS),
            **class_coords(dataset.labels, dataset.n_outputs),
        },
        attrs={"reason": "; ".join(reasons)} if reasons else {},
    )


def stacked(runs: list[list[Record]], name: str) -> np.ndarray:
    """What the records of all optimizers and replicas call `name`, with these two axes in front."""
    return np.stack([np.stack([record[name] for record in replicas]) for replicas in runs])


def axes_of(settings: DynamicsSettings) -> dict[str, Any]:
    """Coordinates that all results of a training share."""
    return {
        "optimizer": list(settings.optimizers),
        "replica": np.arange(settings.replicas),
        "time": settings.times,
    }


def _own_dims(name: str, n_outputs: int) -> tuple[str, ...]:
    known = variable(name).for_outputs(n_outputs)
    return known.dims if "time" in known.without else ("time", *known.dims)
