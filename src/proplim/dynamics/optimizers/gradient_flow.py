"""Gradient flow: gradient descent with an infinitesimal step."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from pydantic import Field

from proplim._jax import jit, jnp
from proplim.activations import Activation
from proplim.dynamics._network import Parameters, Problem, Start, descent_direction, origin
from proplim.dynamics.optimizers._base import Optimizer, register_optimizer
from proplim.errors import NumericalFailure
from proplim.schema import PlainFloat, Settings

MAX_STEPS = 10**6
"""Most steps of the solver, accepted or not."""


class GradientFlowSettings(Settings):
    """Keys of gradient_flow."""

    flow_tolerance: PlainFloat = Field(
        default=1e-6,
        gt=0.0,
        le=0.01,
        description="relative error allowed in a step of gradient_flow; the absolute one is a hundredth of it",
    )


@register_optimizer
@dataclass(frozen=True)
class GradientFlow(Optimizer):
    """d theta/dt = -dL/dtheta, by Tsitouras' 5(4) method with a controlled error (diffrax).

    The reference that gradient descent approaches at first order in its step.
    """

    settings: GradientFlowSettings = field(default_factory=GradientFlowSettings)

    name = "gradient_flow"
    title = "gradient flow"
    color = "#CC79A7"
    order = 10
    settings_type: ClassVar[type[Settings]] = GradientFlowSettings
    follows_flow = True

    def trajectory(
        self, problem: Problem, start: Start, times: np.ndarray, learning_rate: float, seed: int
    ) -> Iterator[Parameters]:
        """Yield the parameters at each of the increasing `times`.

        Raises
        ------
        NumericalFailure
            If the solver gives up: a direction that is not finite, or more than `MAX_STEPS` steps.
        """
        tolerance = self.settings.flow_tolerance
        first = descent_direction(problem, start, origin(problem, start), self.activation)
        if not all(bool(jnp.isfinite(part).all()) for part in first):
            raise NumericalFailure("the gradient at the start is not finite")
        path, gone = _integrate(problem, start, jnp.asarray(times), tolerance, self.activation)
        if not bool(gone):
            raise NumericalFailure(
                f"no step of the gradient flow was accurate to {tolerance:g} within {MAX_STEPS:.0e} attempts"
            )
        for k in range(len(times)):
            yield Parameters(path.hidden[k], path.readout[k])

    def effort(self, times: np.ndarray) -> np.ndarray:
        """About as much for every recorded time: steps grow with time, and recorded times are even in ln t."""
        return np.arange(1, len(times) + 1) / len(times)

    def automatic_step(self, problem: Problem, start: Start) -> float:
        """Zero: there are no steps that a user could choose."""
        return 0.0


@jit(static=("activation",))
def _integrate(
    problem: Problem, start: Start, times: Any, tolerance: float, activation: Activation
) -> tuple[Parameters, Any]:
    """Parameters at the times, and whether the solver got to the end."""
    import diffrax

    def field(_: Any, parameters: Any, __: Any) -> Parameters:
        return descent_direction(problem, start, parameters, activation)

    solution = diffrax.diffeqsolve(
        diffrax.ODETerm(field),
        diffrax.Tsit5(),
        t0=0.0,
        t1=times[-1],
        dt0=None,
        y0=origin(problem, start),
        saveat=diffrax.SaveAt(ts=times),
        stepsize_controller=diffrax.PIDController(rtol=tolerance, atol=0.01 * tolerance),
        max_steps=MAX_STEPS,
        throw=False,
    )
    return solution.ys, solution.result == diffrax.RESULTS.successful
