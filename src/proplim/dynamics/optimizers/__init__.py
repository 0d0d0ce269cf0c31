"""Optimizers: one file each, with what they have in common in the base file."""

from __future__ import annotations

from proplim.activations import Activation
from proplim.dynamics._settings import DynamicsSettings
from proplim.dynamics.optimizers._base import Optimizer, StepOptimizer
from proplim.dynamics.optimizers._gradient_descent import GradientDescent

__all__ = ["GradientDescent", "Optimizer", "StepOptimizer", "build_optimizer"]


def build_optimizer(name: str, activation: Activation, settings: DynamicsSettings) -> Optimizer:
    """Make the optimizer called `name` with the settings that concern it."""
    step = None if settings.learning_rate == "auto" else float(settings.learning_rate)
    return GradientDescent(activation, step)
