"""Theory of finite-width posteriors on whole grids of temperature, width and priors.

Names are imported on first use: a configuration needs the table of approximations alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from proplim._lazy import lazy_names

if TYPE_CHECKING:
    from proplim.theory._blocks import Points
    from proplim.theory._effective_action import OrderParameter, effective_action, solve_order_parameter
    from proplim.theory._rescaled import rescaled_states
    from proplim.theory._response import Response
    from proplim.theory._signal import signal_direction, unit_signal
    from proplim.theory._solve import solve_grid, solve_peaks
    from proplim.theory._spectrum import Spectrum, build_spectrum
    from proplim.theory._states import Solution, States
    from proplim.theory.approximations import APPROXIMATIONS, Approximation, Look, register_approximation
    from proplim.theory.condensed import HeavyUnit, heavy_unit

_HOME = {
    "Points": "_blocks",
    **dict.fromkeys(("OrderParameter", "effective_action", "solve_order_parameter"), "_effective_action"),
    "rescaled_states": "_rescaled",
    "Response": "_response",
    **dict.fromkeys(("Solution", "States"), "_states"),
    **dict.fromkeys(("signal_direction", "unit_signal"), "_signal"),
    **dict.fromkeys(("solve_grid", "solve_peaks"), "_solve"),
    **dict.fromkeys(("Spectrum", "build_spectrum"), "_spectrum"),
    **dict.fromkeys(("HeavyUnit", "heavy_unit"), "condensed"),
    **dict.fromkeys(("APPROXIMATIONS", "Approximation", "Look", "register_approximation"), "approximations"),
}

__all__ = [
    "APPROXIMATIONS",
    "Approximation",
    "HeavyUnit",
    "Look",
    "OrderParameter",
    "Points",
    "Response",
    "Solution",
    "Spectrum",
    "States",
    "build_spectrum",
    "effective_action",
    "heavy_unit",
    "register_approximation",
    "rescaled_states",
    "signal_direction",
    "solve_grid",
    "solve_order_parameter",
    "solve_peaks",
    "unit_signal",
]

__getattr__ = lazy_names(__name__, _HOME)
