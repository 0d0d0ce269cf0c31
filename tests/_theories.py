"""Variables that follow from what a theory's solver returns, at points of the test's choice."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from proplim.theory import Points, Spectrum
from proplim.theory._states import values_of


def solved_by(
    solve: Callable[[Spectrum, Points], Any],
) -> Callable[[Spectrum, Points], dict[str, np.ndarray]]:
    """A solver that gives all variables of the points."""
    return lambda spectrum, points: values_of(solve(spectrum, points), points.size)
