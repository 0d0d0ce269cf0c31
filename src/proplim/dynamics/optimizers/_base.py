"""What every optimizer answers: its settings, the parameters at requested times, and the step it can take."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeVar

import numpy as np

from proplim._jax import jax, jit, jnp
from proplim._registry import Registry
from proplim.activations import Activation
from proplim.dynamics._network import FrameKind, Parameters, Problem, Start
from proplim.dynamics._tangent_kernel import largest_eigenvalue, tangent_kernel
from proplim.errors import NumericalFailure
from proplim.schema import Point, Settings, Size

if TYPE_CHECKING:
    from proplim.dynamics._settings import DynamicsSettings

State = Any

MAX_STEPS = 10**9
"""Most steps of one trajectory: hours at the smallest sizes, and more than any study waits for."""


class NoSettings(Settings):
    """Of an optimizer that has no keys of its own."""


@dataclass(frozen=True)
class Optimizer(ABC):
    """A way from the prior to trained weights in continuous time.

    Parameters
    ----------
    activation : Activation
    fixed_step : float, optional
        The user's learning rate; None leaves it to :meth:`automatic_step`.
    settings : Settings
        The optimizer's own keys of the configuration, of type `settings_type`.
    """

    activation: Activation
    fixed_step: float | None = None
    settings: Any = field(default_factory=NoSettings)

    name: ClassVar[str]
    """In configurations and on the ``optimizer`` axis."""
    title: ClassVar[str] = ""
    """In legends of figures; the name where it is empty."""
    color: ClassVar[str] = ""
    linestyle: ClassVar[str] = ""
    """Colour and line of its curves in every figure (Matplotlib's names); chosen by the name where they are empty."""
    order: ClassVar[int] = 1000
    """Place in tables and menus."""
    settings_type: ClassVar[type[Settings]] = NoSettings
    """Its own keys of the ``dynamics`` part of a configuration."""
    frame: ClassVar[FrameKind] = "inputs"
    """What the steps are made of, see :func:`proplim.dynamics._network.build_frame`."""
    follows_flow: ClassVar[bool] = False
    """Whether the motion is that of the gradient flow up to the step, so that the gradients of single inputs explain
    the change of D (docs/dynamics.md, section 5)."""

    @classmethod
    def build(cls, activation: Activation, settings: DynamicsSettings, point: Point) -> Self:
        """The optimizer for a grid point, with those of the settings that concern it."""
        step = None if settings.learning_rate == "auto" else float(settings.learning_rate)
        return cls(activation, step, cls.own_settings(settings))

    @classmethod
    def own_settings(cls, settings: DynamicsSettings) -> Any:
        """The optimizer's own keys out of all settings of the dynamics."""
        return cls.settings_type(**{key: getattr(settings, key) for key in cls.settings_type.model_fields})

    @abstractmethod
    def trajectory(
        self, problem: Problem, start: Start, times: np.ndarray, learning_rate: float, seed: int
    ) -> Iterator[Parameters]:
        """Yield the parameters at each of the increasing `times`.

        Raises
        ------
        NumericalFailure
            If the trajectory cannot be continued; the reason is kept beside the replica.
        """

    @abstractmethod
    def automatic_step(self, problem: Problem, start: Start) -> float:
        """Learning rate to use where the user leaves the choice; infinite where any step will do."""

    def step_limit(self, problem: Problem, start: Start) -> float:
        """Largest stable learning rate at the start; infinite where there is none."""
        return np.inf

    @classmethod
    @abstractmethod
    def seconds(cls, size: Size, width: np.ndarray, settings: DynamicsSettings) -> np.ndarray:
        """Seconds on one core for a replica of each width, without what is recorded of it; from measurements."""

    def effort(self, times: np.ndarray) -> np.ndarray:
        """Share of the work on a trajectory that is done at each recorded time, for estimates of the time left."""
        return times / times[-1]


@dataclass(frozen=True)
class StepOptimizer(Optimizer):
    """An optimizer that goes in steps of the learning rate.

    Between two steps the parameters are interpolated linearly, so that any time axis goes with any step;
    the trajectory itself is untouched by where it is observed.
    """

    interpolates: ClassVar[bool] = True
    """If not, the last step before the time is observed."""

    @classmethod
    def steps(cls, size: Size, settings: DynamicsSettings) -> float:
        """Steps to t_max: as many as stability demands of half the largest step, by experience with images."""
        return 0.05 * settings.t_max * size.n_train

    @classmethod
    def seconds(cls, size: Size, width: np.ndarray, settings: DynamicsSettings) -> np.ndarray:
        """Steps times what a step costs."""
        return cls.steps(size, settings) * (3.4e-5 + 7.6e-10 * size.n_train * size.rank * width)

    @abstractmethod
    def init(self, problem: Problem, start: Start, seed: int) -> State:
        """State before the first step."""

    @abstractmethod
    def step(self, problem: Problem, start: Start, state: State, learning_rate: jax.Array) -> State:
        """One step; traceable by JAX."""

    @abstractmethod
    def parameters(self, state: State) -> Parameters:
        """Parameters of a state."""

    def settle(self, start: Start, state: State, learning_rate: float) -> State:
        """State as it is observed, where a part of it is not advanced in every step."""
        return state

    def trajectory(
        self, problem: Problem, start: Start, times: np.ndarray, learning_rate: float, seed: int
    ) -> Iterator[Parameters]:
        """Yield the parameters at each of the increasing `times`, from the steps before and after it.

        Raises
        ------
        NumericalFailure
            If more than `MAX_STEPS` steps were needed.
        """
        if not times[-1] / learning_rate <= MAX_STEPS:
            raise NumericalFailure(
                f"{times[-1] / learning_rate:.1e} steps of {learning_rate:.1e} to t = {times[-1]:g}, "
                f"more than {MAX_STEPS:.0e}"
            )
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


Kind = TypeVar("Kind", bound=type[Optimizer])

OPTIMIZERS: Registry[type[Optimizer]] = Registry("optimizer", "proplim.dynamics.optimizers")


def register_optimizer(optimizer: Kind) -> Kind:
    """Make an optimizer known to configurations, cubes and figures (docs/adding_optimizer.md); a class decorator.

    Raises
    ------
    InvalidInput
        If the name is taken.
    """
    OPTIMIZERS.add(optimizer)
    return optimizer


def tangent_limit(problem: Problem, start: Start, activation: Activation) -> float:
    """Stability limit 2 / lambda_max of gradient descent at the start, lambda_max of the tangent kernel.

    Infinite for a network whose tangent kernel is zero: its output does not depend on its weights, and it stays
    where it is.
    """
    return stable_step(float(_largest_tangent(problem.gram, start.h_train, start.readout, activation)))


def stable_step(stiffness: float) -> float:
    """2 / stiffness, infinite without stiffness."""
    return 2.0 / stiffness if stiffness > 0.0 else np.inf


@jit(static=("activation",))
def _largest_tangent(gram: jax.Array, h: jax.Array, readout: jax.Array, activation: Activation) -> jax.Array:
    return largest_eigenvalue(tangent_kernel(gram, h, readout, activation))


@jit(static=("optimizer",))
def _advance(
    optimizer: StepOptimizer, problem: Problem, start: Start, state: State, learning_rate: float, steps: int
) -> State:
    return jax.lax.fori_loop(
        0, steps, lambda _, state: optimizer.step(problem, start, state, jnp.asarray(learning_rate)), state
    )


@jit(static=("optimizer",))
def _between(
    optimizer: StepOptimizer, problem: Problem, start: Start, state: State, learning_rate: float, rest: float
) -> Parameters:
    here = optimizer.parameters(state)
    there = optimizer.parameters(optimizer.step(problem, start, state, jnp.asarray(learning_rate)))
    return jax.tree.map(lambda a, b: a + rest * (b - a), here, there)
