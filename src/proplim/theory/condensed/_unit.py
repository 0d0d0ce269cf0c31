"""The heavy unit itself: its weights where the measure of one explicit unit is largest."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from threadpoolctl import threadpool_limits

from proplim.activations import Activation, get_activation
from proplim.datasets import Dataset
from proplim.errors import InvalidInput
from proplim.theory._cavity_draws import Problem
from proplim.theory._spectrum import build_spectrum
from proplim.theory.condensed._measure import Measure
from proplim.theory.condensed._phases import heavy_mode, lazy_log_evidence


class HeavyUnit(NamedTuple):
    """A unit that carries a finite share of the labels by itself.

    Parameters
    ----------
    hidden : (N0,) array
        w, in the span of the training inputs; what is outside it keeps its prior and is zero at the mode.
    readout : float
        v, positive.
    share : float
        v s.y/(sqrt(N) |y|^2), the share of the labels that the unit carries.
    lead : float
        ln(Z_condensed/Z_lazy) by Laplace's method (docs/condensed.md, eqs. C.3 and C.4), negative where the phase
        without it weighs more. `condensed_probability` of the condensed theory takes the integral itself.
    """

    hidden: np.ndarray
    readout: float
    share: float
    lead: float


def heavy_unit(
    dataset: Dataset,
    activation: str | Activation,
    *,
    width: float,
    temperature: float,
    lambda0: float = 1.0,
    lambda1: float = 1.0,
) -> HeavyUnit | None:
    """The heavy unit of the condensed phase, at the mode of docs/condensed.md, eq. C.1.

    Its hidden weights have the shape of an input and can be looked at as one.

    Parameters
    ----------
    dataset : Dataset
    activation : str or Activation
        Odd.
    width, temperature, lambda0, lambda1 : float
        One grid point.

    Returns
    -------
    HeavyUnit or None
        None where there is no such phase.

    Raises
    ------
    InvalidInput
        If the activation is not odd.
    """
    activation = get_activation(activation)
    if not activation.odd:
        raise InvalidInput("activation", activation.name, "an odd activation (erf, tanh)")
    with threadpool_limits(limits=1, user_api="blas"):
        problem = Problem(build_spectrum(dataset, activation, lambda0))
        measure = Measure(problem, float(temperature), float(width), float(lambda1))
        mode = heavy_mode(measure)
        if mode is None:
            return None
        states = measure.unpack(mode.x[None])
        hidden = problem.basis @ states.z[0, 0] / np.sqrt(lambda0)
        lead = mode.log_evidence - lazy_log_evidence(measure)
    sign = np.sign(states.v[0, 0])
    return HeavyUnit(sign * hidden, float(abs(states.v[0, 0])), mode.share, float(lead))
