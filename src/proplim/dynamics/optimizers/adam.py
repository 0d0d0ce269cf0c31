"""Adam, which adapts the step of every weight for itself."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, NamedTuple, Self

from pydantic import Field

from proplim._jax import jax
from proplim.activations import Activation
from proplim.dynamics._network import FrameKind, Parameters, Problem, Start, descent_direction, origin
from proplim.dynamics.optimizers._base import StepOptimizer, register_optimizer
from proplim.schema import PlainFloat, Point, Settings, Size

if TYPE_CHECKING:
    import optax

    from proplim.dynamics._settings import DynamicsSettings


class AdamSettings(Settings):
    """Keys of adam."""

    adam_learning_rate: PlainFloat = Field(default=1e-3, gt=0.0, description="step of adam")
    adam_beta1: PlainFloat = Field(default=0.9, gt=0.0, lt=1.0, description="decay of adam's first moment")
    adam_beta2: PlainFloat = Field(default=0.999, gt=0.0, lt=1.0, description="decay of adam's second moment")
    adam_epsilon: PlainFloat = Field(
        default=1e-8, gt=0.0, description="what keeps the denominator of adam's step from zero"
    )


class AdamState(NamedTuple):
    """Parameters and running moments of the gradient."""

    parameters: Parameters
    moments: optax.OptState


@register_optimizer
@dataclass(frozen=True)
class Adam(StepOptimizer):
    """Full-batch Adam (Kingma and Ba 2014) as in optax.

    Moves every weight by about the learning rate in a step, whatever the size of the gradient; so a unit of
    its time is not a unit of time of gradient descent, and the tangent kernel does not limit the step. It is
    not invariant under rotations of the inputs and runs in the full input space.
    """

    settings: AdamSettings = field(default_factory=AdamSettings)

    name = "adam"
    title = "Adam"
    color = "#8C6D31"
    linestyle = "-"
    order = 40
    settings_type: ClassVar[type[Settings]] = AdamSettings
    frame: ClassVar[FrameKind] = "full"

    @classmethod
    def steps(cls, size: Size, settings: DynamicsSettings) -> float:
        """As many as its own learning rate makes of t_max."""
        return settings.t_max / float(cls.own_settings(settings).adam_learning_rate)

    @classmethod
    def build(cls, activation: Activation, settings: DynamicsSettings, point: Point) -> Self:
        """With a learning rate of its own, as its unit of time is its own."""
        own = cls.own_settings(settings)
        return cls(activation, own.adam_learning_rate, own)

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
        return self.settings.adam_learning_rate

    def _transformation(self) -> optax.GradientTransformation:
        import optax

        own = self.settings
        return optax.scale_by_adam(own.adam_beta1, own.adam_beta2, own.adam_epsilon)
