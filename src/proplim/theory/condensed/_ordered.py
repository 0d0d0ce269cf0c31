"""Smooth coordinates of several explicit units, the largest of all (docs/condensed.md, section 3).

The order statistic (C.2) has a kink where two explicit readouts are equal, which no Gaussian frame resolves. With the
largest readout of the others, x, as one more variable it has none: the density of (C.2) is the integral over x of

    exp(-U) d/dx P_n(x sqrt(lambda1/Q))   on   |v_j| > x,                                                          (C.9)

and v_j = x + exp(w_j) has no edge left. The sign of a readout is a symmetry of odd activations: all are positive.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from proplim.theory.condensed._crowd import others_below
from proplim.theory.condensed._measure import Measure

LEAST_GAP = 0.3
"""Gap of a start between an explicit readout and the others' largest, in their deviations."""


@dataclass(frozen=True, eq=False)
class Ordered:
    """Eq. (C.9) in coordinates (z, w, ln x, u) of dimension k (r + 1) + 2.

    Parameters
    ----------
    measure : Measure
    """

    measure: Measure

    @property
    def dimension(self) -> int:
        return self.measure.dimension + 1

    def states(self, x: np.ndarray) -> np.ndarray:
        """Coordinates of the measure, rows (S, k (r + 1) + 1)."""
        split = self.measure.units * self.measure.rank
        v = np.exp(x[:, -2:-1]) + np.exp(x[:, split:-2])
        return np.concatenate([x[:, :split], v, x[:, -1:]], axis=1)

    def start(self, x: np.ndarray) -> np.ndarray:
        """Coordinates of a state of the measure with the others' largest readout a gap below the smallest explicit."""
        states = self.measure.unpack(x[None])
        deviation = float(np.exp(0.5 * states.u[0])) / np.sqrt(self.measure.lambda1)
        signs = np.where(states.v[0] < 0.0, -1.0, 1.0)
        z, v = states.z[0] * signs[:, None], np.abs(states.v[0])
        most = deviation * np.sqrt(2.0 * np.log(2.0 * self.measure.others))
        edge = max(min(most, v.min() - LEAST_GAP * deviation), 0.5 * (v.min() + min(deviation, v.min())))
        return np.concatenate([z.ravel(), np.log(v - edge), [np.log(edge)], states.u])

    def target(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """-ln of eq. (C.9) and its gradient, (S,) and (S, dimension)."""
        measure = self.measure
        split = measure.units * measure.rank
        energy, gradient = measure.free(self.states(x))
        log_gaps, log_edge, u = (part.astype(float) for part in (x[:, split:-2], x[:, -2], x[:, -1]))
        edge, gaps = np.exp(log_edge), np.exp(log_gaps)
        largest = edge * np.sqrt(measure.lambda1) * np.exp(-0.5 * u)
        below = others_below(largest, measure.others)
        energy = energy - below.log - np.log(below.slope)
        energy += 0.5 * u - log_edge - log_gaps.sum(axis=1)
        d_largest = -(below.slope + below.curvature) * largest
        d_v = gradient[:, split:-1]
        moved = np.empty_like(x)
        moved[:, :split] = gradient[:, :split]
        moved[:, split:-2] = d_v * gaps - 1.0
        moved[:, -2] = edge * d_v.sum(axis=1) + d_largest - 1.0
        moved[:, -1] = gradient[:, -1] - 0.5 * d_largest + 0.5
        return energy, moved
