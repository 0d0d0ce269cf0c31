"""What a job costs: seconds on one core and memory, from P, N, N0 and the number of points.

All constants stand at the top, fitted to processor times (docs/scaling.md); ``benchmarks/workflow.py --calibrate``
prints predicted beside measured. Used to cut work into jobs and to ask a scheduler for time and memory; no result
depends on it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from proplim.study._packing import Block

VERSION = 3
"""Raised by one when a coefficient changes, so that unfinished jobs are cut anew."""

START_SECONDS = {"theory": 2.0, "sampling": 5.0, "dynamics": 6.0}
"""Interpreter, imports, reading the data, and for JAX reading compiled programs."""

COMPILE_SECONDS = {"theory": 0.0, "sampling": 6.0, "dynamics": 5.0}
"""Compilation for a P, N and activation that the machine has not met before; a sixth of it where it has."""

THEORY_POINT = (6e-6, 5.5e-8)
"""Seconds for a point of infinite_width or proportional: a, b in a + b (P + number of test inputs)."""

THEORY_FACTOR = {"exact": 10.0}
"""How much more a point of another approximation costs."""

CAVITY_POINT, CAVITY_PEAK = 6.0, 30.0
"""Seconds at P = 100 for a point of the cavity, and once for a width and lambda1 for T*; they grow as P draws."""

WITHOUT_PEAKS = "without peaks"
"""Among the settings of theory where T* is not searched for."""

SAMPLING_GRADIENT = (3e-5, 3.2e-11, 2e-11)
"""Seconds for a gradient: a, b, c in a + b P N (2 rank + 2 min(P, N)) + c min(P, N)^3."""

SAMPLING_STEPS = (2.0, 0.01)
"""Gradients in a trajectory: a, b in a sqrt(1 + b P/T)."""

DYNAMICS_STEP = (3.4e-5, 7.6e-10)
"""Seconds for a step: a, b in a + b P N rank."""

DYNAMICS_RECORD = (1.7e-3, 1e-6, 2.5e-9)
"""Seconds for a recorded time: a, b, c in a + b P^2 + c P^3."""

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


def kernel_seconds(size: Size) -> float:
    """Seconds that a kernel costs once in a job: reading data, Gram matrices, eigenvectors, the search for T*."""
    entries = size.n_train * (size.n_train + size.n_test)
    return 0.06 + entries * (2.5e-7 + 3e-10 * size.n_features) + 2e-10 * size.n_train**3


def point_seconds(stage: str, size: Size, axes: Mapping[str, Sequence], settings: Any) -> np.ndarray:
    """Seconds for the grid points of a kernel, in a shape that spreads over `axes`."""
    width = np.asarray(axes["width"], dtype=float)
    if stage == "theory":
        plain = [name for name in settings if name not in ("cavity", WITHOUT_PEAKS)]
        points = np.full((1, 1, 1), sum(_theory_seconds(size, name) for name in plain))
        peak = 0.0 if WITHOUT_PEAKS in settings else CAVITY_PEAK / len(axes["temperature"])
        return points + ("cavity" in settings) * _cavity_seconds(size, peak)
    if stage == "dynamics":
        return _dynamics_seconds(size, width[:, None], settings)
    temperature = np.asarray(axes["temperature"], dtype=float)
    return _sampling_seconds(size, width[:, None, None], temperature[None, :, None], settings)


def _theory_seconds(size: Size, approximation: str) -> float:
    """Sums over the P modes for training and test inputs; `exact` solves more for each point."""
    a, b = THEORY_POINT
    return THEORY_FACTOR.get(approximation, 1.0) * (a + b * (size.n_train + size.n_test))


def _cavity_seconds(size: Size, peak: float) -> float:
    """Iterations with max(8192, 40 P) draws of P pre-activations (docs/cavity.md), and a point's share of T*."""
    growth = size.n_train / 100 * max(1.0, size.n_train / 205)
    return growth * (CAVITY_POINT + peak)


def _sampling_seconds(size: Size, width: np.ndarray, temperature: np.ndarray, settings: Any) -> np.ndarray:
    """Draws x steps of a trajectory x cost of a gradient.

    The stiffest direction of the posterior narrows as T/P, and the step with it.
    """
    small = np.minimum(size.n_train, width)
    a, b, c = SAMPLING_GRADIENT
    gradient = a + b * size.n_train * width * (2 * size.rank + 2 * small) + c * small**3
    steps = SAMPLING_STEPS[0] * np.sqrt(1 + SAMPLING_STEPS[1] * size.n_train / temperature)
    draws = settings.warmup + 50 + max(settings.min_draws, 3 * settings.target_ess / settings.chains)
    return settings.chains * draws * (steps * gradient + 5e-4)


def _dynamics_seconds(size: Size, width: np.ndarray, settings: Any) -> np.ndarray:
    """Steps, as many as stability allows in t_max, and the tangent kernel at every recorded time."""
    step = DYNAMICS_STEP[0] + DYNAMICS_STEP[1] * size.n_train * width * size.rank
    steps = 0.05 * settings.t_max * size.n_train
    a, b, c = DYNAMICS_RECORD
    record = a + b * size.n_train**2 + c * size.n_train**3
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
