"""Stochastic gradient descent on mini-batches."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np
from pydantic import Field

from proplim._jax import jax, jit, jnp
from proplim.activations import Activation
from proplim.dynamics._network import Parameters, Problem, Start, descent_direction, origin
from proplim.dynamics._tangent_kernel import largest_eigenvalue, tangent_kernel
from proplim.dynamics.optimizers._base import StepOptimizer, register_optimizer, stable_step
from proplim.schema import PlainInt, Settings, Size

if TYPE_CHECKING:
    from proplim.dynamics._settings import DynamicsSettings

AUTOMATIC_FRACTION = 0.25
"""The automatic step as a fraction of the stability limit."""
_LIMIT_BATCHES = 64
"""Random batches on which the stability limit is estimated."""


class SgdSettings(Settings):
    """Keys of sgd."""

    batch_size: PlainInt = Field(
        default=32, ge=1, description="training inputs in a step of sgd; at most all of them are taken"
    )


class SgdState(NamedTuple):
    """Parameters, and where the run is in its present pass through the training set."""

    parameters: Parameters
    order: jax.Array
    """(P,) permutation of the training inputs in this pass."""
    batch: jax.Array
    """Number of the next batch in this pass."""
    key: jax.Array


@register_optimizer
@dataclass(frozen=True)
class StochasticGradientDescent(StepOptimizer):
    """theta <- theta - eta (P / B) dL_batch/dtheta, batches drawn without replacement in every pass.

    The factor P / B makes a step an unbiased estimate of a full-batch step, so that time means the same.
    Inputs left over when B does not divide P are others in every pass. B is cut to P.
    """

    settings: SgdSettings = field(default_factory=SgdSettings)

    name = "sgd"
    title = "stochastic gradient descent"
    color = "#56B4E9"
    linestyle = "-"
    order = 30
    settings_type: ClassVar[type[Settings]] = SgdSettings

    @classmethod
    def steps(cls, size: Size, settings: DynamicsSettings) -> float:
        """More than others, as its steps are shorter."""
        return 0.5 / AUTOMATIC_FRACTION * super().steps(size, settings)

    def init(self, problem: Problem, start: Start, seed: int) -> SgdState:
        key, first = jax.random.split(jax.random.key(seed))
        order = jax.random.permutation(first, problem.gram.shape[0])
        return SgdState(origin(problem, start), order, jnp.asarray(0), key)

    def step(self, problem: Problem, start: Start, state: SgdState, learning_rate: jax.Array) -> SgdState:
        n_train = problem.gram.shape[0]
        size = min(self.settings.batch_size, n_train)
        members = jax.lax.dynamic_slice(state.order, (state.batch * size,), (size,))
        direction = descent_direction(problem, start, state.parameters, self.activation, members)
        parameters = jax.tree.map(lambda a, d: a + learning_rate * d, state.parameters, direction)
        after = state._replace(parameters=parameters, batch=state.batch + 1)
        return jax.lax.cond(after.batch == n_train // size, _next_pass, lambda s: s, after)

    def parameters(self, state: SgdState) -> Parameters:
        return state.parameters

    def step_limit(self, problem: Problem, start: Start) -> float:
        """2 B / (P lambda_max), the largest lambda_max of the tangent kernel on random batches."""
        n_train = problem.gram.shape[0]
        size = min(self.settings.batch_size, n_train)
        rng = np.random.default_rng(0)
        batches = np.stack([rng.choice(n_train, size, replace=False) for _ in range(_LIMIT_BATCHES)])
        largest = _largest_of_batches(
            problem.gram, start.h_train, start.readout, self.activation, np.sort(batches, axis=1)
        )
        return size / n_train * stable_step(float(largest))

    def automatic_step(self, problem: Problem, start: Start) -> float:
        return AUTOMATIC_FRACTION * self.step_limit(problem, start)


def _next_pass(state: SgdState) -> SgdState:
    key, first = jax.random.split(state.key)
    return state._replace(
        order=jax.random.permutation(first, state.order), batch=jnp.zeros_like(state.batch), key=key
    )


@jit(static=("activation",))
def _largest_of_batches(
    gram: jax.Array, h: jax.Array, readout: jax.Array, activation: Activation, batches: Any
) -> jax.Array:
    kernel = tangent_kernel(gram, h, readout, activation)
    outputs = kernel.shape[0] // gram.shape[0]
    if outputs > 1:  # those of an input are side by side
        batches = (batches[:, :, None] * outputs + jnp.arange(outputs)).reshape(len(batches), -1)
    return jax.lax.map(lambda b: largest_eigenvalue(kernel[b][:, b]), batches).max()
