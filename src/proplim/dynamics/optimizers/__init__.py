"""Optimizers: one file each, with what they have in common in the base file."""

from __future__ import annotations

from proplim.activations import Activation
from proplim.dynamics._settings import DynamicsSettings
from proplim.dynamics.optimizers._adam import Adam
from proplim.dynamics.optimizers._base import Optimizer, StepOptimizer
from proplim.dynamics.optimizers._gradient_descent import GradientDescent
from proplim.dynamics.optimizers._gradient_flow import GradientFlow
from proplim.dynamics.optimizers._langevin import Langevin
from proplim.dynamics.optimizers._sgd import StochasticGradientDescent

__all__ = [
    "Adam",
    "GradientDescent",
    "GradientFlow",
    "Langevin",
    "Optimizer",
    "StepOptimizer",
    "StochasticGradientDescent",
    "build_optimizer",
]


def build_optimizer(
    name: str,
    activation: Activation,
    settings: DynamicsSettings,
    *,
    lambda0: float = 1.0,
    lambda1: float = 1.0,
) -> Optimizer:
    """Make the optimizer called `name` with the settings that concern it."""
    step = None if settings.learning_rate == "auto" else float(settings.learning_rate)
    match name:
        case "gradient_descent":
            return GradientDescent(activation, step)
        case "gradient_flow":
            return GradientFlow(activation, tolerance=settings.flow_tolerance)
        case "sgd":
            return StochasticGradientDescent(activation, step, batch_size=settings.batch_size)
        case "adam":
            return Adam(
                activation,
                settings.adam_learning_rate,
                beta1=settings.adam_beta1,
                beta2=settings.adam_beta2,
                epsilon=settings.adam_epsilon,
            )
        case "langevin":
            return Langevin(
                activation, step, temperature=settings.langevin_temperature, lambda0=lambda0, lambda1=lambda1
            )
    raise ValueError(f"no optimizer is called {name}")
