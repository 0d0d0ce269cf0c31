"""Full-batch gradient descent with a fixed step."""

from __future__ import annotations

from dataclasses import dataclass

from proplim._jax import jax
from proplim.dynamics._network import Parameters, Problem, Start, descent_direction, origin
from proplim.dynamics.optimizers._base import StepOptimizer, register_optimizer, tangent_limit

AUTOMATIC_FRACTION = 0.5
"""The automatic step as a fraction of the stability limit."""


@register_optimizer
@dataclass(frozen=True)
class GradientDescent(StepOptimizer):
    """theta <- theta - eta dL/dtheta with L = (1/2) sum_mu (y_mu - f(x_mu))^2, no weight decay.

    Stable for eta < 2 / lambda_max, the largest eigenvalue of the tangent kernel; the automatic step is
    half of that limit at the start.
    """

    name = "gradient_descent"
    title = "gradient descent"
    color = "#E69F00"
    linestyle = "-"
    order = 20
    follows_flow = True

    def init(self, problem: Problem, start: Start, seed: int) -> Parameters:
        return origin(problem, start)

    def step(self, problem: Problem, start: Start, state: Parameters, learning_rate: jax.Array) -> Parameters:
        direction = descent_direction(problem, start, state, self.activation)
        return jax.tree.map(lambda a, d: a + learning_rate * d, state, direction)

    def parameters(self, state: Parameters) -> Parameters:
        return state

    def step_limit(self, problem: Problem, start: Start) -> float:
        return tangent_limit(problem, start, self.activation)

    def automatic_step(self, problem: Problem, start: Start) -> float:
        return AUTOMATIC_FRACTION * self.step_limit(problem, start)
