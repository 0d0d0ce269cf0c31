"""What a user sets of the dynamics; every field is a key of the ``dynamics`` part of a configuration."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from proplim.errors import InvalidInput

OPTIMIZERS = ("gradient_descent",)


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
        for key in ("t_min", "t_max", "signal_temperature"):
            _check_positive(key, getattr(self, key))
        if self.t_max <= self.t_min:
            raise InvalidInput("t_max", self.t_max, f"larger than t_min = {self.t_min:g}")
        if self.learning_rate != "auto":
            _check_positive("learning_rate", self.learning_rate, ' or "auto"')

    @property
    def times(self) -> np.ndarray:
        """Recorded times, shape (n_times,): the ``time`` axis, the same for every grid point."""
        return np.geomspace(self.t_min, self.t_max, self.n_times)


def _check_positive(key: str, value: object, otherwise: str = "") -> None:
    number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
    if not number or not math.isfinite(value) or value <= 0:  # type: ignore[arg-type, operator]
        raise InvalidInput(key, value, f"a positive number{otherwise}")


def _check_integer(key: str, value: object, smallest: int) -> None:
    if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < smallest:
        raise InvalidInput(key, value, f"an integer of at least {smallest}")
