"""Approximations: the theories that a study can compute, one file each.

A file of this folder registers one :class:`Approximation`. Configuration, command line, figures, explorer and costs
are derived from the table. From outside :func:`register_approximation` adds to it (docs/adding_approximation.md).
"""

from proplim.theory.approximations._base import (
    APPROXIMATIONS,
    Approximation,
    Look,
    register_approximation,
)

__all__ = ["APPROXIMATIONS", "Approximation", "Look", "register_approximation"]
