"""The signal direction of the hidden weights."""

from __future__ import annotations

import numpy as np
from threadpoolctl import threadpool_limits

from proplim.activations import Activation, get_activation
from proplim.datasets import Dataset
from proplim.kernels import stein_coefficients
from proplim.theory._blocks import Points
from proplim.theory._effective_action import solve_order_parameter
from proplim.theory._response import Response
from proplim.theory._spectrum import Spectrum, build_spectrum


def signal_direction(
    dataset: Dataset,
    activation: str | Activation,
    *,
    width: float,
    temperature: float,
    lambda0: float = 1.0,
    lambda1: float = 1.0,
) -> np.ndarray:
    """Unit vector u = B a / |B a| of the proportional theory (docs/theory.md, eq. 3.13).

    Along it the posterior of a unit's hidden weights is correlated with the unit's readout.

    Parameters
    ----------
    dataset : Dataset
    activation : str or Activation
    width, temperature, lambda0, lambda1 : float
        One grid point.

    Returns
    -------
    (N0,) array
        NaN where B a = 0 (labels zero or outside the range of the kernel): no direction is singled out. Of C outputs
        the direction of each, (N0, C).
    """
    activation = get_activation(activation)
    with threadpool_limits(limits=1, user_api="blas"):
        spectrum = build_spectrum(dataset, activation, lambda0)
        points = Points(*(np.array([float(v)]) for v in (temperature, width, lambda1)))
        if dataset.n_outputs > 1:
            return _signals_of_outputs(spectrum, points)
        return signal_of_point(spectrum, points)


def _signals_of_outputs(spectrum: Spectrum, point: Points) -> np.ndarray:
    """u_c = B a_c/|B a_c| with a_c column c of Sigma^-1 Y, at a single point, shape (N0, C).

    Sigma is that of the matrix order parameter Q = R diag(w) R^T, and of Q = I for activations that are not odd, of
    whose order parameters the theory knows those of one output alone.
    """
    outputs = spectrum.labels.shape[1]
    eigenvalues, basis = np.ones(outputs), np.eye(outputs)
    if spectrum.activation.odd:
        from proplim.theory.outputs._solve import solve_order_parameters

        solution = solve_order_parameters(spectrum, point)
        eigenvalues, basis = solution.eigenvalues[0], solution.basis[0]
    left = Response.of(spectrum.eigenvalues, eigenvalues / (point.lambda1[0] * point.temperature[0])).r.T
    residuals = spectrum.eigenvectors @ ((left * (spectrum.labels @ basis)) @ basis.T)
    return np.stack([unit_signal(spectrum, residual) for residual in residuals.T], axis=1)


def signal_of_point(spectrum: Spectrum, point: Points) -> np.ndarray:
    """u of the proportional theory (docs/theory.md, eq. 3.13) at a single point, shape (N0,)."""
    if not spectrum.activation.odd:
        from proplim.theory._two_order_parameters import two_order_parameter_residual

        return unit_signal(spectrum, two_order_parameter_residual(spectrum, point)[0])
    q = solve_order_parameter(spectrum, point).order_parameter[0]
    r = Response.of(spectrum.eigenvalues, np.array([q / (point.lambda1[0] * point.temperature[0])])).r[0]
    return unit_signal(spectrum, spectrum.eigenvectors @ (r * spectrum.labels))


def unit_signal(spectrum: Spectrum, residual: np.ndarray) -> np.ndarray:
    """B a / |B a| for a (P,) vector a known up to a positive factor; NaN where B a = 0."""
    coefficients = stein_coefficients(spectrum.activation, spectrum.dataset.x_train, spectrum.lambda0)
    vector = spectrum.dataset.x_train.T @ (coefficients * residual)
    largest = np.abs(vector).max()
    if not largest > 0.0:
        return np.full(len(vector), np.nan)
    vector = vector / largest
    return vector / np.sqrt((vector**2).sum())
