"""What a user sets of the dynamics; every field is a key of the ``dynamics`` part of a configuration."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from proplim.errors import InvalidInput

OPTIMIZERS = ("gradient_descent", "gradient_flow", "sgd", "adam", "langevin")

_POSITIVE = (
    "t_min",
    "t_max",
    "adam_learning_rate",
    "adam_epsilon",
    "langevin_temperature",
    "signal_temperature",
)


@dataclass(frozen=True)
class DynamicsSettings:
    """Settings of :func:`proplim.dynamics.train`.

    Parameters
    ----------
    optimizers : tuple of str
        Any of `OPTIMIZERS`; the ``optimizer`` axis.
    replicas : int
        Networks trained from independent draws of the prior.
    t_min, t_max : float
        First and last recorded time, in units of learning rate times step.
    n_times : int
        Recorded times, spaced evenly in log t.
    learning_rate : float or "auto"
        Step of gradient descent, sgd and langevin. "auto" takes a fixed fraction of the stability limit of
        each replica and halves it where the tangent kernel grows beyond that limit during the run.
    batch_size : int
        Training inputs in a step of sgd; at most all of them are taken.
    adam_learning_rate : float
        Step of adam.
    adam_beta1, adam_beta2, adam_epsilon : float
        Decay of adam's first and second moment, and what keeps its denominator from zero.
    langevin_temperature : float
        T of langevin, whose stationary state is the posterior at T.
    flow_tolerance : float
        Relative error allowed in a step of gradient_flow; the absolute one is a hundredth of it.
    stragglers : bool
        Whether a study keeps a file and a figure for every run in which rise and fall of D are attributed
        to single training inputs, see :func:`proplim.dynamics.stragglers`.
    signal_temperature : float
        Temperature at which the signal direction u is taken, as dynamics has none of its own.

    Raises
    ------
    InvalidInput
        If a value is outside its range.
    """

    optimizers: tuple[str, ...] = ("gradient_descent",)
    replicas: int = 4
    t_min: float = 1e-3
    t_max: float = 100.0
    n_times: int = 41
    learning_rate: float | Literal["auto"] = "auto"
    batch_size: int = 32
    adam_learning_rate: float = 1e-3
    adam_beta1: float = 0.9
    adam_beta2: float = 0.999
    adam_epsilon: float = 1e-8
    langevin_temperature: float = 0.01
    flow_tolerance: float = 1e-6
    stragglers: bool = False
    signal_temperature: float = 1e-3

    def __post_init__(self) -> None:
        object.__setattr__(self, "optimizers", tuple(self.optimizers))
        if not self.optimizers or len(set(self.optimizers)) != len(self.optimizers):
            raise InvalidInput("optimizers", self.optimizers, "one or more different names")
        for name in self.optimizers:
            if name not in OPTIMIZERS:
                raise InvalidInput("optimizers", name, f"choose from {', '.join(OPTIMIZERS)}")
        _check_integer("replicas", self.replicas, 1)
        _check_integer("n_times", self.n_times, 2)
        _check_integer("batch_size", self.batch_size, 1)
        for key in _POSITIVE:
            _check_positive(key, getattr(self, key))
        for key in ("adam_beta1", "adam_beta2"):
            _check_positive(key, getattr(self, key), " below 1", below=1.0)
        _check_positive("flow_tolerance", self.flow_tolerance, " of at most 0.01", below=0.0100001)
        if self.t_max <= self.t_min:
            raise InvalidInput("t_max", self.t_max, f"larger than t_min = {self.t_min:g}")
        if self.learning_rate != "auto":
            _check_positive("learning_rate", self.learning_rate, ' or "auto"')

    @property
    def times(self) -> np.ndarray:
        """Recorded times, shape (n_times,): the ``time`` axis, the same for every grid point."""
        return np.geomspace(self.t_min, self.t_max, self.n_times)


def _check_positive(key: str, value: object, also: str = "", below: float = math.inf) -> None:
    number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
    if not number or not 0 < value < below:  # type: ignore[operator]
        raise InvalidInput(key, value, f"a positive number{also}")


def _check_integer(key: str, value: object, smallest: int) -> None:
    if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < smallest:
        raise InvalidInput(key, value, f"an integer of at least {smallest}")
