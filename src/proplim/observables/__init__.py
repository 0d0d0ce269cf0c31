"""Observables: every quantity of the cubes, one table for theory, sampling and dynamics.

A file of this folder is one concept. It registers what the cubes hold of it and says how the quantity follows
from a theory's state, from a draw of the posterior and from a network in training. From outside,
:func:`register_observable` does the same (docs/adding_observable.md).
"""

from proplim.observables._base import (
    ERROR,
    OBSERVABLES,
    ManyOutputs,
    Observable,
    axes_left_out,
    register_observable,
    variable,
    variables_of,
)
from proplim.observables._contexts import (
    ClassKernel,
    Draw,
    DrawInputs,
    Network,
    NetworkInputs,
    OutputsDraw,
    OutputsState,
    State,
    StateInputs,
)

__all__ = [
    "ERROR",
    "OBSERVABLES",
    "ClassKernel",
    "Draw",
    "DrawInputs",
    "ManyOutputs",
    "Network",
    "NetworkInputs",
    "Observable",
    "OutputsDraw",
    "OutputsState",
    "State",
    "StateInputs",
    "axes_left_out",
    "register_observable",
    "variable",
    "variables_of",
]
