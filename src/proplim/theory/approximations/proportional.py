"""Width and training set to infinity at fixed ratio (docs/theory.md, section 3; docs/cavity.md, part A).

An odd activation has one order parameter, any other has two; of C outputs an odd one has a C x C matrix.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from proplim.schema import Size
from proplim.theory.approximations._base import Approximation, Look, add, matrix_seconds, mode_sum_seconds

if TYPE_CHECKING:
    from proplim.activations import Activation
    from proplim.theory._blocks import Points
    from proplim.theory._spectrum import Spectrum


def _applies(activation: Activation, n_outputs: int = 1) -> str:
    if n_outputs > 1 and not activation.odd:
        return f"for three and more classes it is known for odd activations alone (erf, tanh), not {activation.name}"
    return ""


def _solve(spectrum: Spectrum, points: Points) -> Any:
    if spectrum.dataset.n_outputs > 1:
        from proplim.theory.outputs import solve_proportional_outputs

        return solve_proportional_outputs(spectrum, points)
    if spectrum.activation.odd:
        from proplim.theory._gaussian import solve_proportional

        return solve_proportional(spectrum, points)
    from proplim.theory._two_order_parameters import solve_two_order_parameters

    return solve_two_order_parameters(spectrum, points)


PEAK_OVER_POINT = 300.0
"""What T* of all pairs of C classes costs, in units of a point."""


def _point_seconds(size: Size) -> float:
    return mode_sum_seconds(size) if size.n_outputs == 1 else matrix_seconds(size)


def _peak_seconds(size: Size) -> float:
    return 0.0 if size.n_outputs == 1 else PEAK_OVER_POINT * matrix_seconds(size)


def _peaks(spectrum: Spectrum, width: np.ndarray, lambda1: np.ndarray) -> Mapping[str, np.ndarray]:
    if spectrum.dataset.n_outputs > 1:
        from proplim.theory.outputs import find_outputs_peaks

        return find_outputs_peaks(spectrum, width, lambda1)
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
        applies=_applies,
        peaks=_peaks,
        point_seconds=_point_seconds,
        peak_seconds=_peak_seconds,
        evidence={
            "conjugate_order_parameter": "order parameter R conjugate to Q (proportional, not odd)",
            "global_minimum_proved": "evidence: 1 where the minimum is proved global, else 0: it is the lowest from "
            "all starts (proportional, three and more classes)",
        },
        look=Look("#0072B2", "-", "proportional"),
    )
)
