"""What jobs cost: seconds on one core, from what stages, approximations and optimizers say of themselves.

The constants that they are made of stand with each stage, fitted to processor times (docs/scaling.md);
``benchmarks/workflow.py --calibrate`` prints predicted beside measured. Used to cut work into jobs and to ask a
scheduler for time and memory; no result depends on it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from proplim.schema import Size

if TYPE_CHECKING:
    from proplim.config import StudyConfig
    from proplim.study.stages import Stage

COSTS_VERSION = 4
"""Raised by one when a coefficient changes, so that unfinished jobs are cut anew."""

PREPARE_SECONDS = 0.5
"""Seconds for one prepared data set when its source is already read."""

KERNEL = (0.06, 2.5e-7, 3e-10, 2e-10)
"""Seconds for a kernel in a job: a, b, c, d in a + P (P + P_test)(b + c N0) + d P^3."""


def kernel_seconds(size: Size) -> float:
    """Seconds that a kernel costs once in a job: reading data, Gram matrices, eigenvectors, the search for T*."""
    a, b, c, d = KERNEL
    entries = size.n_train * (size.n_train + size.n_test)
    return a + entries * (b + c * size.n_features) + d * size.n_train**3


def block_seconds(stage: Stage, size: Size, axes: Mapping[str, Sequence], config: StudyConfig) -> np.ndarray:
    """Seconds for every point of a block, an array with its axes."""
    each = stage.point_seconds(size, axes, config)
    return np.broadcast_to(each, [len(values) for values in axes.values()])
