"""Training dynamics: networks trained from the prior, observed as in the other cubes.

Names are imported on first use: a configuration needs the settings alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from proplim._lazy import lazy_names

if TYPE_CHECKING:
    from proplim.dynamics._inversion import find_inversion, find_turn
    from proplim.dynamics._settings import OPTIMIZERS, DynamicsSettings
    from proplim.dynamics._stragglers import stragglers, train_with_stragglers
    from proplim.dynamics._train import train

_HOME = {
    **dict.fromkeys(("find_inversion", "find_turn"), "_inversion"),
    **dict.fromkeys(("OPTIMIZERS", "DynamicsSettings"), "_settings"),
    **dict.fromkeys(("stragglers", "train_with_stragglers"), "_stragglers"),
    "train": "_train",
}

__all__ = [
    "OPTIMIZERS",
    "DynamicsSettings",
    "find_inversion",
    "find_turn",
    "stragglers",
    "train",
    "train_with_stragglers",
]


__getattr__ = lazy_names(__name__, _HOME)
