"""Langevin dynamics: gradient descent with weight decay and thermal noise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp

from proplim.dynamics._network import FrameKind, Parameters, Problem, Start, descent_direction, origin
from proplim.dynamics.optimizers._base import StepOptimizer, tangent_limit


class LangevinState(NamedTuple):
    """Where the trajectory is.

    Parameters
    ----------
    inside : (r, N) array
        Displacement in the span of the training inputs.
    outside : (N0 - r, N) array
        Displacement in the rest, as it was `behind` steps ago.
    readout : (N,) array
    behind : int
    key : key
        Of the noise to come in the span and in the readout.
    outside_key : key
        Of the noise to come in the rest.
    """

    inside: jax.Array
    outside: jax.Array
    readout: jax.Array
    behind: jax.Array
    key: jax.Array
    outside_key: jax.Array


@dataclass(frozen=True)
class Langevin(StepOptimizer):
    """theta <- theta - eta (dL/dtheta + T lambda theta) + sqrt(2 T eta) xi, xi standard normal.

    In the limit eta -> 0 its stationary distribution is the posterior of docs/theory.md, section 1, at
    temperature T: the priors enter as weight decay T lambda0 w and T lambda1 v. A finite step biases it at
    first order in eta; the exact identity is E[theta . g] = T d + (eta / 2) E|g|^2 with g the full gradient
    and d the number of weights. The automatic step is a tenth of the stability limit. Between two steps the
    earlier one is observed, as an average of two would be colder.

    Outside the span of the training inputs the weights feel decay and noise alone. There n steps are, in law, one

        w_n = rho^n w_0 + sqrt(2 T eta (1 - rho^(2n)) / (1 - rho^2)) xi,    rho = 1 - eta T lambda0,

    which is taken when somebody looks (docs/dynamics.md, section 2).

    Parameters
    ----------
    temperature, lambda0, lambda1 : float
    """

    temperature: float = 0.01
    lambda0: float = 1.0
    lambda1: float = 1.0

    name = "langevin"
    frame: ClassVar[FrameKind] = "rotated"
    interpolates: ClassVar[bool] = False

    def init(self, problem: Problem, start: Start, seed: int) -> LangevinState:
        hidden, readout = origin(problem, start)
        rank = hidden.shape[0] if problem.inside is None else problem.inside.shape[1]
        key, outside_key = jax.random.split(jax.random.key(seed))
        return LangevinState(hidden[:rank], hidden[rank:], readout, jnp.int64(0), key, outside_key)

    def step(
        self, problem: Problem, start: Start, state: LangevinState, learning_rate: jax.Array
    ) -> LangevinState:
        key, key_hidden, key_readout = jax.random.split(state.key, 3)
        rank = state.inside.shape[0]
        if problem.inside is not None:
            problem = problem._replace(train=problem.train._replace(forward=problem.inside))
        pull = descent_direction(problem, start, Parameters(state.inside, state.readout), self.activation)
        noise = jnp.sqrt(2.0 * self.temperature * learning_rate)
        decay = learning_rate * self.temperature
        # In this frame the overlap is w0 itself.
        weights = start.overlap[:rank] + state.inside
        inside = (
            state.inside
            + learning_rate * pull.hidden
            - decay * self.lambda0 * weights
            + noise * jax.random.normal(key_hidden, weights.shape)
        )
        readout = (
            state.readout
            + learning_rate * pull.readout
            - decay * self.lambda1 * state.readout
            + noise * jax.random.normal(key_readout, state.readout.shape)
        )
        return state._replace(inside=inside, readout=readout, behind=state.behind + 1, key=key)

    def settle(self, start: Start, state: LangevinState, learning_rate: float) -> LangevinState:
        """Take the steps outside the span of the training inputs that are still to be taken, all in one."""
        if not state.outside.size:
            return state
        key, now = jax.random.split(state.outside_key)
        decay = learning_rate * self.temperature * self.lambda0
        lost = decay * (2.0 - decay)  # 1 - rho^2
        kept = jnp.power(1.0 - decay, state.behind.astype(float))
        # without cancellation, and with the limit 0 of no step at all
        spread = -jnp.expm1(jnp.where(state.behind > 0, state.behind * jnp.log1p(-lost), 0.0)) / lost
        amplitude = jnp.sqrt(2.0 * self.temperature * learning_rate * spread)
        start_weights = start.overlap[state.inside.shape[0] :]
        weights = kept * (start_weights + state.outside)
        weights = weights + amplitude * jax.random.normal(now, state.outside.shape)
        return state._replace(outside=weights - start_weights, behind=jnp.int64(0), outside_key=key)

    def parameters(self, state: LangevinState) -> Parameters:
        return Parameters(jnp.concatenate([state.inside, state.outside]), state.readout)

    def step_limit(self, problem: Problem, start: Start) -> float:
        """2 / (lambda_max + T max(lambda0, lambda1))."""
        stiffness = 2.0 / tangent_limit(problem, start, self.activation)
        return 2.0 / (stiffness + self.temperature * max(self.lambda0, self.lambda1))

    def automatic_step(self, problem: Problem, start: Start) -> float:
        return 0.1 * self.step_limit(problem, start)
