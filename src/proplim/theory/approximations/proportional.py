"""Width and training set to infinity at fixed ratio (docs/theory.md, section 3; docs/cavity.md, part A).

An odd activation has one order parameter, any other has two.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from proplim.theory.approximations._base import Approximation, Look, add

if TYPE_CHECKING:
    from proplim.theory._blocks import Points
    from proplim.theory._spectrum import Spectrum


def _solve(spectrum: Spectrum, points: Points) -> Any:
    if spectrum.activation.odd:
        from proplim.theory._gaussian import solve_proportional

        return solve_proportional(spectrum, points)
    from proplim.theory._two_order_parameters import solve_two_order_parameters

    return solve_two_order_parameters(spectrum, points)


def _peaks(spectrum: Spectrum, width: np.ndarray, lambda1: np.ndarray) -> Mapping[str, np.ndarray]:
    if spectrum.activation.odd:
        from proplim.theory._peaks import find_peaks

        return find_peaks(spectrum, width, lambda1)
    from proplim.theory._two_order_parameters import find_two_order_parameter_peaks

    return find_two_order_parameter_peaks(spectrum, width, lambda1)


add(
    Approximation(
        "proportional",
        "N and P to infinity at fixed ratio, features taken as Gaussian",
        _solve,
        order=20,
        peaks=_peaks,
        evidence={
            "conjugate_order_parameter": "order parameter R conjugate to Q (proportional, not odd)",
        },
        look=Look("#0072B2", "-", "proportional"),
    )
)
