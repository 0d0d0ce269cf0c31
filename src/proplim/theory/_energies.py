"""Mean energy, and temperature derivatives of the free and the mean energy (docs/theory.md, section 3.4)."""

from __future__ import annotations

import numpy as np

from proplim.theory._blocks import Points, in_blocks
from proplim.theory._response import Response
from proplim.theory._spectrum import Spectrum


def energies(
    spectrum: Spectrum, points: Points, order_parameter: np.ndarray, curvature: np.ndarray | None
) -> dict[str, np.ndarray]:
    """Mean energy per hidden unit and the temperature derivatives.

    The energy is E = (1/2) sum_mu (y_mu - f(x_mu))^2, so that the posterior is the prior times exp(-E/T).

    Parameters
    ----------
    spectrum : Spectrum
    points : Points
        n grid points.
    order_parameter : (n,) array
    curvature : (n,) array or None
        d^2S/du^2 where Q follows the temperature; None where Q is held fixed (infinite width, or one node of
        the exact quadrature).

    Returns
    -------
    dict of (n,) arrays
        `mean_energy` (eq. 3.16), `free_energy_temperature_derivative` (eq. 3.17) and
        `mean_energy_temperature_derivative` (eq. 3.18).
    """
    following = curvature is not None
    slope = curvature if curvature is not None else np.ones(points.size)

    def block(
        t_: np.ndarray, n: np.ndarray, l1: np.ndarray, q: np.ndarray, curvature: np.ndarray
    ) -> dict[str, np.ndarray]:
        t, r = Response.of(spectrum.eigenvalues, q / (l1 * t_))
        p, dp = t.sum(-1), (t * r).sum(-1)
        energy = spectrum.label_energies * r
        e = (energy * t).sum(-1)
        squared_error = (energy * r).sum(-1) + spectrum.null_label_energy
        change = t_ * dp - 2.0 * (energy * t * r).sum(-1)  # of 2 N E with ln theta
        log_theta = -(q + e / (n * t_)) / curvature if following else -1.0  # d ln theta / d ln T
        return {
            "mean_energy": (squared_error + t_ * p) / (2.0 * n),
            "free_energy_temperature_derivative": (r.sum(-1) + spectrum.n_null - squared_error / t_)
            / (2.0 * n * t_),
            "mean_energy_temperature_derivative": (p + log_theta * change / t_) / (2.0 * n),
        }

    return in_blocks(block, *points, order_parameter, slope)
