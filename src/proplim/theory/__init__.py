"""Theory of finite-width posteriors on whole grids of temperature, width and priors."""

from proplim.theory._blocks import Points
from proplim.theory._effective_action import OrderParameter, effective_action, solve_order_parameter
from proplim.theory._signal import signal_direction, unit_signal
from proplim.theory._solve import solve_grid, solve_peaks
from proplim.theory._spectrum import Spectrum, build_spectrum

__all__ = [
    "OrderParameter",
    "Points",
    "Spectrum",
    "build_spectrum",
    "effective_action",
    "signal_direction",
    "solve_grid",
    "solve_order_parameter",
    "solve_peaks",
    "unit_signal",
]
