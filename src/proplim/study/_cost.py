"""What a job costs: seconds on one core and memory, from P, N, N0 and the number of points.

Fitted to measurements (docs/scaling.md; ``python benchmarks/workflow.py --calibrate`` prints predicted beside
measured). Used to cut work into jobs and to ask a scheduler for time and memory; no result depends on it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from proplim.study._packing import Block

VERSION = 1
"""Raised by one when a coefficient changes, so that unfinished jobs are cut anew."""

START_SECONDS = {"theory": 2.0, "sampling": 6.0, "dynamics": 6.0}
"""Interpreter, imports, reading the data, and for JAX reading compiled programs."""

RUNTIME_MARGIN = {"theory": 4.0, "sampling": 8.0, "dynamics": 6.0}
PREPARE_SECONDS = 0.5
"""Seconds for one prepared data set when its source is already read."""

_PIXELS = {"digits": 64, "mnist": 784, "fashion_mnist": 784, "cifar10": 3072}
_UNKNOWN_FEATURES = 1000


@dataclass(frozen=True)
class Size:
    """Sizes of a data set: P, number of test inputs, N0."""

    n_train: int
    n_test: int
    n_features: int

    @property
    def rank(self) -> int:
        """Bound on the dimension of the row space of the inputs."""
        return min(self.n_train, self.n_features)


def size_of(dataset: Any, n_train: int) -> Size:
    """Sizes of a data set of the configuration (a file's number of features is not looked up)."""
    n_features = getattr(dataset, "n_features", None) or _PIXELS.get(dataset.source, _UNKNOWN_FEATURES)
    return Size(n_train, dataset.n_test, n_features)


def kernel_seconds(stage: str, size: Size) -> float:
    """Seconds that a kernel costs once in a job: reading data, Gram matrices, eigenvectors, compilation."""
    entries = size.n_train * (size.n_train + size.n_test)
    theory = 0.02 + entries * (2.5e-7 + 3e-10 * size.n_features) + 2e-10 * size.n_train**3
    return theory + {"theory": 0.0, "sampling": 5.0, "dynamics": 3.0}[stage]


def point_seconds(stage: str, size: Size, axes: Mapping[str, Sequence], settings: Any) -> np.ndarray:
    """Seconds for the grid points of a kernel, in a shape that spreads over `axes`."""
    width = np.asarray(axes["width"], dtype=float)
    if stage == "theory":
        return np.full((1, 1, 1), sum(_theory_seconds(size, name) for name in settings))
    if stage == "dynamics":
        return _dynamics_seconds(size, width[:, None], settings)
    temperature = np.asarray(axes["temperature"], dtype=float)
    return _sampling_seconds(size, width[:, None, None], temperature[None, :, None], settings)


def _theory_seconds(size: Size, approximation: str) -> float:
    """Sums over the P modes for training and test inputs; `exact` and `cavity` solve more for each point."""
    modes = 6e-6 + 5.5e-8 * (size.n_train + size.n_test)
    return {"exact": 100, "cavity": 100}.get(approximation, 1) * modes


def _sampling_seconds(size: Size, width: np.ndarray, temperature: np.ndarray, settings: Any) -> np.ndarray:
    """Draws x steps of a trajectory x cost of a gradient.

    The stiffest direction of the posterior narrows as T/P, and the step with it.
    """
    small = np.minimum(size.n_train, width)
    gradient = 3e-5 + 3.2e-11 * size.n_train * width * (2 * size.rank + 2 * small) + 2e-11 * small**3
    steps = 2.0 * np.sqrt(1 + 0.01 * size.n_train / temperature)
    draws = settings.warmup + 50 + max(settings.min_draws, 3 * settings.target_ess / settings.chains)
    return settings.chains * draws * (steps * gradient + 5e-4)


def _dynamics_seconds(size: Size, width: np.ndarray, settings: Any) -> np.ndarray:
    """Steps, as many as stability allows in t_max, and the tangent kernel at every recorded time."""
    step = 2e-5 + 4.5e-10 * size.n_train * width * size.rank
    steps = 0.05 * settings.t_max * size.n_train
    record = 1e-3 + 6e-7 * size.n_train**2 + 1.5e-9 * size.n_train**3
    replicas = len(settings.optimizers) * settings.replicas
    return replicas * (step * steps + record * settings.n_times)


def memory_mb(stage: str, blocks: Sequence[tuple[Size, Block]], settings: Any) -> int:
    """Megabytes to ask for."""
    # Libraries, and Snakemake's own two processes of a cluster job.
    base = {"theory": 700, "sampling": 1100, "dynamics": 950}[stage]
    largest = max(8e-6 * (s.n_train + s.n_test) * (8 * s.n_train + 4 * s.n_features) for s, _ in blocks)
    points = sum(b.n_points for _, b in blocks)
    table = 8e-6 * 3 * 70 * points * (len(settings) if stage == "theory" else 1)
    if stage == "dynamics":
        table *= settings.replicas * settings.n_times * len(settings.optimizers)
    return int(1.5 * (base + largest + table))
