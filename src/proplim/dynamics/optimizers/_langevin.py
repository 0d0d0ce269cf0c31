"""Langevin dynamics: gradient descent with weight decay and thermal noise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp

from proplim.dynamics._network import FrameKind, Parameters, Problem, Start, descent_direction, origin
from proplim.dynamics.optimizers._base import StepOptimizer, tangent_limit


class LangevinState(NamedTuple):
    """Parameters and the key of the noise to come."""

    parameters: Parameters
    key: jax.Array


@dataclass(frozen=True)
class Langevin(StepOptimizer):
    """theta <- theta - eta (dL/dtheta + T lambda theta) + sqrt(2 T eta) xi, xi standard normal.

    In the limit eta -> 0 its stationary distribution is the posterior of docs/theory.md, section 1, at
    temperature T: the priors enter as weight decay T lambda0 w and T lambda1 v. A finite step biases it at
    first order in eta; the exact identity is E[theta . g] = T d + (eta / 2) E|g|^2 with g the full gradient
    and d the number of weights. The automatic step is a tenth of the stability limit. Noise leaves the span
    of the training inputs, so it runs in the full input space. Between two steps the earlier one is observed,
    as an average of two would be colder.

    Parameters
    ----------
    temperature, lambda0, lambda1 : float
    """

    temperature: float = 0.01
    lambda0: float = 1.0
    lambda1: float = 1.0

    name = "langevin"
    frame: ClassVar[FrameKind] = "full"
    interpolates: ClassVar[bool] = False

    def init(self, problem: Problem, start: Start, seed: int) -> LangevinState:
        return LangevinState(origin(problem, start), jax.random.key(seed))

    def step(
        self, problem: Problem, start: Start, state: LangevinState, learning_rate: jax.Array
    ) -> LangevinState:
        here, (key, key_hidden, key_readout) = state.parameters, jax.random.split(state.key, 3)
        pull = descent_direction(problem, start, here, self.activation)
        noise = jnp.sqrt(2.0 * self.temperature * learning_rate)
        decay = learning_rate * self.temperature
        # In the full frame the overlap is w0 itself.
        weights = start.overlap + here.hidden
        hidden = (
            here.hidden
            + learning_rate * pull.hidden
            - decay * self.lambda0 * weights
            + noise * jax.random.normal(key_hidden, here.hidden.shape)
        )
        readout = (
            here.readout
            + learning_rate * pull.readout
            - decay * self.lambda1 * here.readout
            + noise * jax.random.normal(key_readout, here.readout.shape)
        )
        return LangevinState(Parameters(hidden, readout), key)

    def parameters(self, state: LangevinState) -> Parameters:
        return state.parameters

    def step_limit(self, problem: Problem, start: Start) -> float:
        """2 / (lambda_max + T max(lambda0, lambda1))."""
        stiffness = 2.0 / tangent_limit(problem, start, self.activation)
        return 2.0 / (stiffness + self.temperature * max(self.lambda0, self.lambda1))

    def automatic_step(self, problem: Problem, start: Start) -> float:
        return 0.1 * self.step_limit(problem, start)
