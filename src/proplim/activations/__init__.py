"""Activations: erf, linear, relu, tanh, and whatever a user registers.

A file of this folder whose name does not start with an underscore registers the activation it defines: adding an
activation to the package is adding a file. From outside, :func:`register_activation` does the same in one line
(docs/activations.md).
"""

from proplim.activations._base import ACTIVATIONS, Activation, get_activation, names
from proplim.activations._register import register_activation

__all__ = ["ACTIVATIONS", "Activation", "get_activation", "names", "register_activation"]
