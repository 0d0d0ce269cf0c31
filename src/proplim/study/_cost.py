"""What a job costs: seconds on one core and memory, from P, N, N0 and the number of points.

Fitted to measurements (docs/scaling.md; ``python benchmarks/workflow.py --calibrate`` prints predicted beside
measured). Used to cut work into jobs and to ask a scheduler for time and memory; no result depends on it.
"""

from __future__ import annotations

from collections.abc import Sequence
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
    p, q = size.n_train, size.n_train + size.n_test
    gram = 0.02 + 4e-9 * p * q * 30 + 2e-9 * p * q * size.n_features / 10 + 1.5e-9 * p**3
    return gram if stage == "theory" else gram + 2.0


def point_seconds(stage: str, size: Size, width: int, settings: Any) -> float:
    """Seconds for one grid point."""
    if stage == "theory":
        return len(settings) * (5e-5 + 2e-7 * (size.n_train + size.n_test))
    return {"sampling": _sampling_seconds, "dynamics": _dynamics_seconds}[stage](size, width, settings)


def _sampling_seconds(size: Size, width: int, settings: Any) -> float:
    gradient = 4e-5 + 1.2e-10 * size.n_train * width * (2 * size.rank + 2 * min(size.n_train, width))
    gradients = settings.chains * (settings.warmup * 8 + 5 * max(settings.min_draws, settings.target_ess / 2))
    return gradient * gradients


def _dynamics_seconds(size: Size, width: int, settings: Any) -> float:
    step = 2e-5 + 2e-10 * size.n_train * width * size.rank
    steps = 20.0 * settings.t_max * np.sqrt(size.n_train)
    return len(settings.optimizers) * settings.replicas * step * steps


def memory_mb(stage: str, blocks: Sequence[tuple[Size, Block]], settings: Any) -> int:
    """Megabytes to ask for."""
    base = {"theory": 350, "sampling": 700, "dynamics": 700}[stage]
    largest = max(8e-6 * (s.n_train + s.n_test) * (8 * s.n_train + 4 * s.n_features) for s, _ in blocks)
    points = sum(b.n_points for _, b in blocks)
    table = 8e-6 * 3 * 70 * points * (len(settings) if stage == "theory" else 1)
    if stage == "dynamics":
        table *= settings.replicas * settings.n_times * len(settings.optimizers)
    return int(1.5 * (base + largest + table))
