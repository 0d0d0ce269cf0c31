"""Langevin dynamics: gradient descent with weight decay and thermal noise."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, ClassVar, NamedTuple, Self

from pydantic import Field

from proplim._jax import jax, jnp
from proplim.activations import Activation
from proplim.dynamics._network import FrameKind, Parameters, Problem, Start, descent_direction, origin
from proplim.dynamics.optimizers._base import StepOptimizer, register_optimizer, stable_step, tangent_limit
from proplim.schema import PlainFloat, Point, Settings, Size

if TYPE_CHECKING:
    from proplim.dynamics._settings import DynamicsSettings

AUTOMATIC_FRACTION = 0.1
"""The automatic step as a fraction of the stability limit: the bias of the stationary state is of first order in it."""


class LangevinSettings(Settings):
    """Keys of langevin."""

    langevin_temperature: PlainFloat = Field(
        default=0.01, gt=0.0, description="T of langevin, whose stationary state is the posterior at T"
    )


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
        Steps by which `outside` is behind.
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


@register_optimizer
@dataclass(frozen=True)
class Langevin(StepOptimizer):
    """theta <- theta - eta (dL/dtheta + T lambda theta) + sqrt(2 T eta) xi, xi standard normal.

    In the limit eta -> 0 its stationary distribution is the posterior of docs/theory.md, section 1, at
    temperature T: the priors enter as weight decay T lambda0 w and T lambda1 v. A finite step biases it at
    first order in eta; the exact identity is E[theta . g] = T d + (eta / 2) E|g|^2 with g the full gradient
    and d the number of weights. The automatic step is a tenth of the stability limit. Between two steps the
    earlier one is observed, as an average of two would be colder.

    Lazy update: the component of the weights outside the span of the training inputs feels decay and noise alone and
    is advanced only when it is observed, n steps at once, which are one step in law,

        w_n = rho^n w_0 + sqrt(2 T eta (1 - rho^(2n)) / (1 - rho^2)) xi,    rho = 1 - eta T lambda0

    (docs/dynamics.md, section 2).

    Parameters
    ----------
    lambda0, lambda1 : float
        Precisions of the prior.
    """

    settings: LangevinSettings = field(default_factory=LangevinSettings)
    lambda0: float = 1.0
    lambda1: float = 1.0

    name = "langevin"
    title = "Langevin"
    color = "#7F3C8D"
    linestyle = "-"
    order = 50
    settings_type: ClassVar[type[Settings]] = LangevinSettings
    frame: ClassVar[FrameKind] = "rotated"
    interpolates: ClassVar[bool] = False

    @classmethod
    def steps(cls, size: Size, settings: DynamicsSettings) -> float:
        """More than others, as its steps are shorter."""
        return 0.5 / AUTOMATIC_FRACTION * super().steps(size, settings)

    @classmethod
    def build(cls, activation: Activation, settings: DynamicsSettings, point: Point) -> Self:
        """With the precisions of the prior, which are its weight decay."""
        plain = super().build(activation, settings, point)
        return replace(plain, lambda0=point.lambda0, lambda1=point.lambda1)

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
        noise = jnp.sqrt(2.0 * self.settings.langevin_temperature * learning_rate)
        decay = learning_rate * self.settings.langevin_temperature
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
        """Advance the component outside the span of the training inputs to the present, in one step."""
        if not state.outside.size:
            return state
        key, now = jax.random.split(state.outside_key)
        decay = learning_rate * self.settings.langevin_temperature * self.lambda0
        lost = decay * (2.0 - decay)  # 1 - rho^2
        kept = jnp.power(1.0 - decay, state.behind.astype(float))
        # without cancellation, and with the limit 0 of no step at all
        spread = -jnp.expm1(jnp.where(state.behind > 0, state.behind * jnp.log1p(-lost), 0.0)) / lost
        amplitude = jnp.sqrt(2.0 * self.settings.langevin_temperature * learning_rate * spread)
        start_weights = start.overlap[state.inside.shape[0] :]
        weights = kept * (start_weights + state.outside)
        weights = weights + amplitude * jax.random.normal(now, state.outside.shape)
        return state._replace(outside=weights - start_weights, behind=jnp.int64(0), outside_key=key)

    def parameters(self, state: LangevinState) -> Parameters:
        return Parameters(jnp.concatenate([state.inside, state.outside]), state.readout)

    def step_limit(self, problem: Problem, start: Start) -> float:
        """2 / (lambda_max + T max(lambda0, lambda1))."""
        stiffness = 2.0 / tangent_limit(problem, start, self.activation)
        decay = self.settings.langevin_temperature * max(self.lambda0, self.lambda1)
        return stable_step(stiffness + decay)

    def automatic_step(self, problem: Problem, start: Start) -> float:
        return AUTOMATIC_FRACTION * self.step_limit(problem, start)
