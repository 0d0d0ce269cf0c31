"""The direction in input space along which the proportional theory lets hidden weights move."""

from __future__ import annotations

import numpy as np

from proplim.activations import Activation
from proplim.datasets import Dataset


def signal_direction(
    dataset: Dataset,
    activation: Activation,
    *,
    width: int,
    temperature: float,
    lambda0: float,
    lambda1: float,
) -> np.ndarray:
    """Unit vector u = B a / |B a| of the proportional theory at `temperature`, shape (N0,)."""
    from proplim import theory

    if not hasattr(theory, "signal_direction"):  # until the theory stage provides it: its limit Q = 1
        kernel = _prior_kernel(dataset.x_train, activation, lambda0)
        dual = np.linalg.solve(kernel + temperature * np.eye(len(kernel)), dataset.y_train)
        direction = dataset.x_train.T @ dual
        return direction / np.linalg.norm(direction)
    return theory.signal_direction(
        dataset, activation, width=width, temperature=temperature, lambda0=lambda0, lambda1=lambda1
    )


def _prior_kernel(x: np.ndarray, activation: Activation, lambda0: float) -> np.ndarray:
    covariance = x @ x.T / (lambda0 * x.shape[1])
    diagonal = np.diagonal(covariance)
    assert activation.kernel is not None
    return activation.kernel(covariance, diagonal[:, None], diagonal[None, :])
