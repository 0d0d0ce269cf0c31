"""One hidden unit in the field of all the others, without Gaussian features (docs/cavity.md, part B)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from proplim.schema import Size
from proplim.theory.approximations._base import Approximation, Look, add, one_output

if TYPE_CHECKING:
    from proplim.theory._blocks import Points
    from proplim.theory._spectrum import Spectrum

SIZE = 100
"""P at which the two costs below were measured."""
POINT, PEAK = 6.0, 30.0
"""Seconds for a point, and for T* at one width and lambda1."""
GROWING_DRAWS = 205
"""P above which the draws, max(8192, 40 P) of them, grow with P."""


def _solve(spectrum: Spectrum, points: Points) -> Any:
    from proplim.theory._cavity import solve_cavity

    return solve_cavity(spectrum, points)


def _peaks(spectrum: Spectrum, width: np.ndarray, lambda1: np.ndarray) -> Mapping[str, np.ndarray]:
    from proplim.theory._cavity_peaks import find_cavity_peaks

    return find_cavity_peaks(spectrum, width, lambda1)


def _growth(size: Size) -> float:
    """Cost relative to P = 100: an iteration goes over all draws of P preactivations."""
    return size.n_train / SIZE * max(1.0, size.n_train / GROWING_DRAWS)


add(
    Approximation(
        "cavity",
        "one hidden unit in the field of the others, by importance sampling",
        _solve,
        order=30,
        applies=one_output,
        peaks=_peaks,
        evidence={
            "effective_sample_fraction": "effective over actual number of draws (cavity)",
            "closure_residual": "residual of the self-consistency, in widths of the modes of Sigma (cavity)",
        },
        point_seconds=lambda size: POINT * _growth(size),
        peak_seconds=lambda size: PEAK * _growth(size),
        look=Look("#D55E00", "-.", "cavity"),
    )
)
