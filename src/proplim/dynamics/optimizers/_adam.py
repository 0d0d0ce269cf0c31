"""Adam, which adapts the step of every weight for itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import jax
import numpy as np
import optax

from proplim.dynamics._network import FrameKind, Parameters, Problem, Start, descent_direction, origin
from proplim.dynamics.optimizers._base import StepOptimizer


class AdamState(NamedTuple):
    """Parameters and running moments of the gradient."""

    parameters: Parameters
    moments: optax.OptState


@dataclass(frozen=True)
class Adam(StepOptimizer):
    """Full-batch Adam (Kingma and Ba 2014) as in optax.

    Moves every weight by about the learning rate in a step, whatever the size of the gradient; so a unit of
    its time is not a unit of time of gradient descent, and the tangent kernel does not limit the step. It is
    not invariant under rotations of the inputs and runs in the full input space.

    Parameters
    ----------
    beta1, beta2, epsilon : float
    """

    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8

    name = "adam"
    frame: ClassVar[FrameKind] = "full"

    def init(self, problem: Problem, start: Start, seed: int) -> AdamState:
        parameters = origin(problem, start)
        return AdamState(parameters, self._transformation().init(parameters))

    def step(self, problem: Problem, start: Start, state: AdamState, learning_rate: jax.Array) -> AdamState:
        direction = descent_direction(problem, start, state.parameters, self.activation)
        scaled, moments = self._transformation().update(direction, state.moments)
        return AdamState(jax.tree.map(lambda a, d: a + learning_rate * d, state.parameters, scaled), moments)

    def parameters(self, state: AdamState) -> Parameters:
        return state.parameters

    def automatic_step(self, problem: Problem, start: Start) -> float:
        return 1e-3

    def step_limit(self, problem: Problem, start: Start) -> float:
        return np.inf

    def _transformation(self) -> optax.GradientTransformation:
        return optax.scale_by_adam(self.beta1, self.beta2, self.epsilon)
