"""The proportional theory of C outputs: an order parameter that is a symmetric positive C x C matrix.

Everything is a sum over the modes k of the kernel and the eigenvalues j of the order parameter; no matrix of P C
rows is ever formed (docs/multiclass.md).
"""

from proplim.theory.outputs._peaks import find_outputs_peaks
from proplim.theory.outputs._solve import (
    OutputsSolution,
    solve_infinite_width_outputs,
    solve_proportional_outputs,
)

__all__ = [
    "OutputsSolution",
    "find_outputs_peaks",
    "solve_infinite_width_outputs",
    "solve_proportional_outputs",
]
