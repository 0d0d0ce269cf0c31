"""A grid point to be sampled, passed whole."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from proplim.activations import Activation
from proplim.datasets import Dataset
from proplim.errors import InvalidInput
from proplim.sampling._draw import Recorded
from proplim.sampling._predictor import Targets
from proplim.sampling._settings import SamplingSettings
from proplim.sampling._target import Problem, Whitened, make_problem
from proplim.schema import AXES, Point
from proplim.seeds import derive_seed

FLOAT32_MARGIN = 0.5
"""How far T must be above the float32 rounding of the trace of the kernel for gradients in float32."""


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


class Standing(NamedTuple):
    """How far one point is: draws per chain, worst ESS and R-hat (NaN before the first check), share done."""

    draws: int
    ess: float
    rhat: float
    share: float


@dataclass(frozen=True)
class Task:
    """A grid point with all that sampling it depends on.

    Parameters
    ----------
    dataset : Dataset
    whitened : Whitened
        Inputs of the data set in their row space.
    activation : Activation
    point : Point
    settings : SamplingSettings
    what : Recorded
    threads : int
        Chains that run side by side; results do not depend on it.
    report : callable
        Hears a :class:`Standing` after every block of draws.
    resume : bytes, optional
        Checkpoint of this very task to go on from; one of another task is ignored.
    checkpoint : callable, optional
        Given a checkpoint every `checkpoint_seconds` or so.
    checkpoint_seconds : float
    """

    dataset: Dataset
    whitened: Whitened
    activation: Activation
    point: Point
    settings: SamplingSettings
    what: Recorded
    threads: int
    report: Callable[[Standing], None]
    resume: bytes | None = None
    checkpoint: Callable[[bytes], None] | None = None
    checkpoint_seconds: float = 180.0

    @property
    def seeds(self) -> list[int]:
        """One seed a chain, from what the point is."""
        return [derive_seed("sampling", self._own | {"chain": c}) for c in range(self.settings.chains)]

    def sweep_seed(self, sweep: int) -> int:
        """Seed of a sweep between two phases."""
        return derive_seed("sampling sweep", self._own | {"sweep": sweep})

    @property
    def _own(self) -> dict[str, Any]:
        return self.point.identity(self.dataset.identity) | {"seed": self.settings.seed}

    @property
    def temperature(self) -> float:
        """T."""
        assert self.point.temperature is not None
        return self.point.temperature

    @property
    def network(self) -> dict[str, Any]:
        """Width, temperature and priors by name."""
        return {name: getattr(self.point, name) for name in ("width", "temperature", "lambda0", "lambda1")}

    def targets(self) -> dict[str, Targets]:
        """What the predictor of each split is held against."""
        data = self.dataset
        return {
            "train": Targets(data.y_train.ravel(), data.n_outputs, data.class_train),
            "test": Targets(data.y_test.ravel(), data.n_outputs, data.class_test),
        }

    def problem(self) -> Problem:
        """Arrays of the point."""
        from proplim.theory import signal_direction

        direction = signal_direction(self.dataset, self.activation, **self.network)
        return make_problem(self.dataset, self.whitened, direction, **self.network)

    def gradient_type(self, problem: Problem) -> Any:
        """Float32 unless its rounding error in S, eps times the trace of the kernel, exceeds its least eigenvalue T.

        The trace of c Phi Phi^T is about tr C / lambda1 or less. Energies are float64, so a gradient too coarse
        would cost acceptance and nothing else; docs/sampler.md tabulates that it does not down to a margin of one.
        """
        if self.settings.precision != "auto":
            return np.dtype(self.settings.precision).type
        trace = self.point.width * problem.readout_scale * (problem.inputs_train**2).sum()
        margin = problem.temperature / (np.finfo(np.float32).eps * min(trace, 1e300))
        return np.float32 if margin > FLOAT32_MARGIN else np.float64


def check_threads(threads: int) -> None:
    """Refuse a number of threads that is no positive integer."""
    if not isinstance(threads, int | np.integer) or isinstance(threads, bool) or threads < 1:
        raise InvalidInput("threads", threads, "an integer >= 1")


def point_of(dataset: Dataset, activation: Activation, **network: Any) -> Point:
    """The grid point of a network on a data set.

    Raises
    ------
    InvalidInput
        If a value is one that its axis cannot have.
    """
    for name, value in network.items():
        AXES[name].check(value)
    plain = {name: AXES[name].plain(value) for name, value in network.items()}
    return Point.of(plain | {"activation": activation.name, "n_train": dataset.n_train})
