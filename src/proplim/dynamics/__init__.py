"""Training dynamics: networks trained from the prior, observed as in the other cubes.

Names are imported on first use: a configuration needs the settings alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from proplim._lazy import lazy_names

if TYPE_CHECKING:
    from proplim.dynamics._inversion import find_inversion, find_turn
    from proplim.dynamics._replicas import Progress
    from proplim.dynamics._settings import DynamicsSettings, dynamics_settings_type
    from proplim.dynamics._stragglers import stragglers, train_with_stragglers
    from proplim.dynamics._train import train
    from proplim.dynamics.optimizers import OPTIMIZERS, Optimizer, StepOptimizer, register_optimizer

_HOME = {
    **dict.fromkeys(("find_inversion", "find_turn"), "_inversion"),
    "Progress": "_replicas",
    **dict.fromkeys(("DynamicsSettings", "dynamics_settings_type"), "_settings"),
    **dict.fromkeys(("stragglers", "train_with_stragglers"), "_stragglers"),
    "train": "_train",
    **dict.fromkeys(("OPTIMIZERS", "Optimizer", "StepOptimizer", "register_optimizer"), "optimizers"),
}

__all__ = [
    "OPTIMIZERS",
    "DynamicsSettings",
    "Optimizer",
    "Progress",
    "StepOptimizer",
    "dynamics_settings_type",
    "find_inversion",
    "find_turn",
    "register_optimizer",
    "stragglers",
    "train",
    "train_with_stragglers",
]


__getattr__ = lazy_names(__name__, _HOME)
