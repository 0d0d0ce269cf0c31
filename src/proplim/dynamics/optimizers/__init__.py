"""Optimizers: ways from the prior to trained weights, one file each.

A file of this folder whose name does not start with an underscore registers the optimizer it defines, with its
settings, its step, its stability limit and its look in figures: adding an optimizer is adding a file. From outside,
:func:`register_optimizer` does the same (docs/adding_optimizer.md). Nothing here imports JAX before a step is taken.
"""

from proplim.dynamics._network import Parameters, Problem, Start, descent_direction, origin
from proplim.dynamics.optimizers._base import (
    OPTIMIZERS,
    Optimizer,
    StepOptimizer,
    register_optimizer,
    tangent_limit,
)

__all__ = [
    "OPTIMIZERS",
    "Optimizer",
    "Parameters",
    "Problem",
    "Start",
    "StepOptimizer",
    "descent_direction",
    "origin",
    "register_optimizer",
    "tangent_limit",
]
