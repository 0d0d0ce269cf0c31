"""Activations: erf, linear and whatever a user registers."""

from proplim.activations import _erf, _linear  # noqa: F401  (importing a file registers its activation)
from proplim.activations._base import Activation, get_activation, names

__all__ = ["Activation", "get_activation", "names"]
