"""Infinite width at fixed P: Gaussian-process regression, prior features and weights (docs/theory.md, section 3)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from proplim.theory.approximations._base import Approximation, Look, add

if TYPE_CHECKING:
    from proplim.theory._blocks import Points
    from proplim.theory._spectrum import Spectrum


def _solve(spectrum: Spectrum, points: Points) -> Any:
    if spectrum.dataset.n_outputs > 1:
        from proplim.theory.outputs import solve_infinite_width_outputs

        return solve_infinite_width_outputs(spectrum, points)
    from proplim.theory._gaussian import solve_infinite_width

    return solve_infinite_width(spectrum, points)


add(
    Approximation(
        "infinite_width",
        "N to infinity at fixed P: the Gaussian process of the prior",
        _solve,
        order=10,
        look=Look("#666666", "--", "infinite width"),
    )
)
