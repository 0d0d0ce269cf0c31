"""Activations: erf, linear, relu, tanh, and whatever a user registers.

Every file of this folder whose name starts with an underscore is imported, and registers the activation it
defines: adding an activation to the package is adding a file. From outside, :func:`register_activation` does
the same in one line (docs/activations.md).
"""

from importlib import import_module as _import_module
from pkgutil import iter_modules as _iter_modules

from proplim.activations._base import Activation, get_activation, names
from proplim.activations._register import register_activation

for _module in _iter_modules(__path__):
    _import_module(f"{__name__}.{_module.name}")

BUILT_IN = frozenset(names())
"""Names of the package's own activations."""

__all__ = ["BUILT_IN", "Activation", "get_activation", "names", "register_activation"]
