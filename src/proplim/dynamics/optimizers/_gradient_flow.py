"""Gradient flow: gradient descent with an infinitesimal step."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import diffrax
import jax
import jax.numpy as jnp
import numpy as np

from proplim.activations import Activation
from proplim.dynamics._network import Parameters, Problem, Start, descent_direction, origin
from proplim.dynamics.optimizers._base import Optimizer


@dataclass(frozen=True)
class GradientFlow(Optimizer):
    """d theta/dt = -dL/dtheta, by Tsitouras' 5(4) method with a controlled error (diffrax).

    The reference that gradient descent approaches at first order in its step.

    Parameters
    ----------
    tolerance : float
        Relative error allowed in a step; the absolute one is a hundredth of it.
    """

    tolerance: float = 1e-6

    name = "gradient_flow"

    def trajectory(
        self, problem: Problem, start: Start, times: np.ndarray, learning_rate: float, seed: int
    ) -> Iterator[Parameters]:
        path = _integrate(problem, start, jnp.asarray(times), self.tolerance, self.activation)
        for k in range(len(times)):
            yield Parameters(path.hidden[k], path.readout[k])

    def automatic_step(self, problem: Problem, start: Start) -> float:
        """Zero: there are no steps that a user could choose."""
        return 0.0


@partial(jax.jit, static_argnames="activation")
def _integrate(
    problem: Problem, start: Start, times: jax.Array, tolerance: float, activation: Activation
) -> Parameters:
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
        max_steps=None,
        throw=False,
    )
    return solution.ys
