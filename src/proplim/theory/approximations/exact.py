"""The linear network at its own width, exactly (docs/theory.md, section 7)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from proplim.schema import Size
from proplim.theory.approximations._base import Approximation, Look, add, mode_sum_seconds, one_output

if TYPE_CHECKING:
    from proplim.activations import Activation
    from proplim.theory._blocks import Points
    from proplim.theory._spectrum import Spectrum

NODES_OVER_POINT = 10.0
"""What the nodes of the quadrature cost, in units of a point of the proportional theory."""


def _applies(activation: Activation, n_outputs: int = 1) -> str:
    if activation.name != "linear":
        return f"only the linear network is solved at finite width, not {activation.name}"
    return one_output(activation, n_outputs)


def _solve(spectrum: Spectrum, points: Points) -> Any:
    from proplim.theory._exact import solve_exact

    return solve_exact(spectrum, points)


def _peaks(spectrum: Spectrum, width: np.ndarray, lambda1: np.ndarray) -> Mapping[str, np.ndarray]:
    from proplim.theory._exact import find_exact_peaks

    return find_exact_peaks(spectrum, width, lambda1)


def _point_seconds(size: Size) -> float:
    return NODES_OVER_POINT * mode_sum_seconds(size)


add(
    Approximation(
        "exact",
        "the linear network at finite width, by quadrature over |v|^2",
        _solve,
        order=40,
        applies=_applies,
        peaks=_peaks,
        point_seconds=_point_seconds,
        look=Look("#009E73", ":", "exact (linear)"),
    )
)
