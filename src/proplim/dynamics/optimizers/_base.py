"""What every optimizer answers: the parameters at requested times, and the step it can take."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from proplim.activations import Activation
from proplim.dynamics._network import FrameKind, Parameters, Problem, Start, origin
from proplim.dynamics._tangent_kernel import largest_eigenvalue, tangent_kernel

State = Any


@dataclass(frozen=True)
class Optimizer(ABC):
    """A way from the prior to trained weights in continuous time.

    Parameters
    ----------
    activation : Activation
    fixed_step : float, optional
        The user's learning rate; None leaves it to :meth:`automatic_step`.
    """

    activation: Activation
    fixed_step: float | None = None

    name: ClassVar[str]
    frame: ClassVar[FrameKind] = "inputs"
    """What the steps are made of, see :func:`proplim.dynamics._network.build_frame`."""

    @abstractmethod
    def trajectory(
        self, problem: Problem, start: Start, times: np.ndarray, learning_rate: float, seed: int
    ) -> Iterator[Parameters]:
        """Yield the parameters at each of the increasing `times`."""

    @abstractmethod
    def automatic_step(self, problem: Problem, start: Start) -> float:
        """Learning rate to use where the user leaves the choice."""

    def step_limit(self, problem: Problem, start: Start) -> float:
        """Largest stable learning rate at the start (infinite where there is none)."""
        return np.inf


@dataclass(frozen=True)
class StepOptimizer(Optimizer):
    """An optimizer that goes in steps of the learning rate.

    Between two steps the parameters are interpolated linearly, so that any time axis goes with any step;
    the trajectory itself is untouched by where it is observed.
    """

    interpolates: ClassVar[bool] = True
    """If not, the last step before the time is observed."""

    @abstractmethod
    def init(self, problem: Problem, start: Start, seed: int) -> State:
        """State before the first step."""

    @abstractmethod
    def step(self, problem: Problem, start: Start, state: State, learning_rate: jax.Array) -> State:
        """One step."""

    @abstractmethod
    def parameters(self, state: State) -> Parameters:
        """Parameters of a state."""

    def settle(self, start: Start, state: State, learning_rate: float) -> State:
        """State that is looked at, where steps leave work undone that only shows when somebody looks."""
        return state

    def trajectory(
        self, problem: Problem, start: Start, times: np.ndarray, learning_rate: float, seed: int
    ) -> Iterator[Parameters]:
        """Yield the parameters at each of the increasing `times`, from the steps before and after it."""
        state, done = self.init(problem, start, seed), 0
        for time in times:
            # A time that is a multiple of the step up to rounding is that step.
            steps = int(np.floor(time / learning_rate * (1 + 1e-12)))
            state = _advance(self, problem, start, state, learning_rate, steps - done)
            state = self.settle(start, state, learning_rate)
            done = steps
            rest = time / learning_rate - steps
            yield (
                self.parameters(state)
                if rest <= 1e-9 * steps or not self.interpolates
                else _between(self, problem, start, state, learning_rate, rest)
            )


def tangent_limit(problem: Problem, start: Start, activation: Activation) -> float:
    """Stability limit 2 / lambda_max of gradient descent at the start, lambda_max of the tangent kernel."""
    return float(2.0 / _largest_tangent(problem.gram, start.h_train, start.readout, activation))


@partial(jax.jit, static_argnames="activation")
def _largest_tangent(gram: jax.Array, h: jax.Array, readout: jax.Array, activation: Activation) -> jax.Array:
    return largest_eigenvalue(tangent_kernel(gram, h, readout, activation))


@partial(jax.jit, static_argnums=0)
def _advance(
    optimizer: StepOptimizer, problem: Problem, start: Start, state: State, learning_rate: float, steps: int
) -> State:
    return jax.lax.fori_loop(
        0, steps, lambda _, state: optimizer.step(problem, start, state, jnp.asarray(learning_rate)), state
    )


@partial(jax.jit, static_argnums=0)
def _between(
    optimizer: StepOptimizer, problem: Problem, start: Start, state: State, learning_rate: float, rest: float
) -> Parameters:
    here = optimizer.parameters(state)
    there = optimizer.parameters(optimizer.step(problem, start, state, jnp.asarray(learning_rate)))
    return jax.tree.map(lambda a, b: a + rest * (b - a), here, there)


__all__ = ["Optimizer", "StepOptimizer", "origin", "tangent_limit"]
