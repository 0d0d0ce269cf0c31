"""Training dynamics: networks trained from the prior, observed as in the other cubes."""

from proplim.dynamics._inversion import find_inversion, find_turn
from proplim.dynamics._settings import OPTIMIZERS, DynamicsSettings
from proplim.dynamics._stragglers import stragglers, train_with_stragglers
from proplim.dynamics._train import train

__all__ = [
    "OPTIMIZERS",
    "DynamicsSettings",
    "find_inversion",
    "find_turn",
    "stragglers",
    "train",
    "train_with_stragglers",
]
