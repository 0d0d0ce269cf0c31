"""Sample the posterior of a finite network: what users call."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from proplim._jax import configure_jax
from proplim.activations import Activation, get_activation
from proplim.datasets import Dataset
from proplim.sampling._chains import sample_point
from proplim.sampling._draw import recorded
from proplim.sampling._package import PosteriorSample, failed, package
from proplim.sampling._settings import SamplingSettings
from proplim.sampling._target import whiten
from proplim.sampling._task import Progress, Standing, Task, check_threads, point_of

__all__ = ["PosteriorSample", "Progress", "sample_posterior", "sample_temperatures"]


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
    resume: bytes | None = None,
    checkpoint: Callable[[bytes], None] | None = None,
    checkpoint_seconds: float = 180.0,
) -> PosteriorSample:
    """Sample the posterior of one grid point (docs/sampler.md).

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
    resume : bytes
        A checkpoint to go on from, to the same bits; one of another point, or a damaged one, is ignored.
    checkpoint : callable
        Called with a checkpoint every `checkpoint_seconds` or so.
    checkpoint_seconds : float

    Returns
    -------
    PosteriorSample
        Where sampling fails (an energy that is not finite), NaN with `converged` = 0 and a `reason`.

    Raises
    ------
    InvalidInput
        If a parameter is outside its range.
    """
    tasks = _tasks(
        dataset,
        activation,
        {"width": width, "lambda0": lambda0, "lambda1": lambda1},
        [temperature],
        settings or SamplingSettings(),
        threads,
        progress,
    )
    task = replace(next(tasks), resume=resume, checkpoint=checkpoint, checkpoint_seconds=checkpoint_seconds)
    return _sample(task)


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
    network = {"width": width, "lambda0": lambda0, "lambda1": lambda1}
    settings = settings or SamplingSettings()
    return map(_sample, _tasks(dataset, activation, network, temperatures, settings, threads, progress))


def _tasks(
    dataset: Dataset,
    activation: str | Activation,
    network: Mapping[str, float],
    temperatures: Sequence[float],
    settings: SamplingSettings,
    threads: int,
    progress: Callable[[Progress], None] | None,
) -> Iterator[Task]:
    """Points of one network at several temperatures; they are judged before the first is sampled."""
    activation = get_activation(activation)
    check_threads(threads)
    points = [point_of(dataset, activation, temperature=t, **network) for t in temperatures]
    what, started = recorded(dataset.n_outputs, settings.histograms), time.monotonic()
    configure_jax()
    whitened = whiten(dataset)

    def task(index: int) -> Task:
        report = partial(_report, progress, points, index, started)
        return Task(dataset, whitened, activation, points[index], settings, what, threads, report)

    return map(task, range(len(points)))


def _sample(task: Task) -> PosteriorSample:
    """One point; numerical failure is its result, anything else is a bug and raised."""
    from threadpoolctl import threadpool_limits

    try:
        # LAPACK's own threads would compete with the chains' and may change the order of sums
        with threadpool_limits(1):
            outcome = sample_point(task)
    except (ArithmeticError, np.linalg.LinAlgError) as error:
        return failed(f"{type(error).__name__}: {error}", task.dataset)
    return package(outcome, task)


def _report(
    progress: Callable[[Progress], None] | None,
    points: Sequence,
    index: int,
    started: float,
    now: Standing,
) -> None:
    if progress is None:
        return
    done = (index + now.share) / len(points)
    elapsed = time.monotonic() - started
    left = elapsed * (1.0 - done) / done if done > 0 else np.nan
    progress(Progress(points[index].temperature, index, len(points), now.draws, now.ess, now.rhat, left))
