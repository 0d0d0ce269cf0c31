"""Everything about one data set, activation and lambda0 that every grid point shares.

One eigendecomposition of the feature kernel serves all temperatures, widths and lambda1
(docs/theory.md, section 3).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from proplim.activations import Activation, get_activation
from proplim.datasets import Dataset
from proplim.errors import InvalidInput
from proplim.geometry import class_weights
from proplim.kernels import feature_kernel, feature_kernel_diagonal, stein_coefficients

TEST_ROWS = 1024
"""Rows of the test kernel held at once while its class averages are taken."""


@dataclass(frozen=True, eq=False)
class Spectrum:
    """A data set seen through the eigenbasis of its feature kernel K = U diag(kappa) U^T.

    Modes whose eigenvalue is zero to rounding (below max(P, 10) eps kappa_max: duplicated inputs, fewer
    features than inputs under a linear activation) are left out of the arrays; all that is left of them is
    their number and the energy of the labels in them.

    Parameters
    ----------
    dataset : Dataset
    activation : Activation
    lambda0 : float
    kernel : (P, P) array
        K on the training inputs.
    eigenvalues : (r,) array
        kappa, positive, ascending.
    eigenvectors : (P, r) array
        U.
    labels : (r,) array
        U^T y.
    null_label_energy : float
        Squared norm of the part of y outside the range of K.
    """

    dataset: Dataset
    activation: Activation
    lambda0: float
    kernel: np.ndarray
    eigenvalues: np.ndarray
    eigenvectors: np.ndarray
    labels: np.ndarray
    null_label_energy: float

    @property
    def n_train(self) -> int:
        """P."""
        return self.dataset.n_train

    @property
    def n_null(self) -> int:
        """Number of modes left out."""
        return self.n_train - len(self.eigenvalues)

    @cached_property
    def label_energies(self) -> np.ndarray:
        """Squared labels in the eigenbasis, shape (r,)."""
        return self.labels**2

    @cached_property
    def class_weights_train(self) -> np.ndarray:
        """u_s of the training inputs, shape (2, P)."""
        return class_weights(self.dataset.y_train)

    @cached_property
    def class_weights_test(self) -> np.ndarray:
        """u_s of the test inputs, shape (2, P_test)."""
        return class_weights(self.dataset.y_test)

    @cached_property
    def kernel_test_train(self) -> np.ndarray:
        """k(x) of every test input, shape (P_test, P)."""
        return feature_kernel(self.activation, self.dataset.x_test, self.dataset.x_train, self.lambda0)

    @cached_property
    def kernel_test_diagonal(self) -> np.ndarray:
        """K(x, x) of every test input, shape (P_test,)."""
        return feature_kernel_diagonal(self.activation, self.dataset.x_test, self.lambda0)

    @cached_property
    def test_modes(self) -> np.ndarray:
        """Psi = k(x)^T U kappa^(-1/2), shape (P_test, r); its rows have squared norm at most K(x, x)."""
        return (self.kernel_test_train @ self.eigenvectors) / np.sqrt(self.eigenvalues)

    @cached_property
    def test_class_kernel(self) -> np.ndarray:
        """u_s^T K u_s' on the test inputs, shape (2, 2), without holding the whole kernel."""
        x, weights = self.dataset.x_test, self.class_weights_test
        result = np.zeros((2, 2))
        for start in range(0, len(x), TEST_ROWS):
            rows = slice(start, start + TEST_ROWS)
            block = feature_kernel(self.activation, x[rows], x, self.lambda0)
            result += weights[:, rows] @ block @ weights.T
        return 0.5 * (result + result.T)

    @cached_property
    def signal_modes(self) -> np.ndarray:
        """Factor R with R^T R = kappa^(-1/2) U^T B^T B U kappa^(-1/2), shape (min(r, N0), r).

        R b are the coordinates of the vector B U kappa^(-1/2) b of input space in an orthonormal basis;
        its norm is bounded by that of b / sqrt(lambda0) (docs/theory.md, eq. 3.12).
        """
        coefficients = stein_coefficients(self.activation, self.dataset.x_train, self.lambda0)
        scaled = self.eigenvectors / np.sqrt(self.eigenvalues)
        vectors = self.dataset.x_train.T @ (coefficients[:, None] * scaled)
        if vectors.shape[0] <= vectors.shape[1]:
            return vectors
        return np.asarray(np.linalg.qr(vectors, mode="r"))


def build_spectrum(dataset: Dataset, activation: str | Activation, lambda0: float) -> Spectrum:
    """Diagonalise the feature kernel of the training inputs.

    Parameters
    ----------
    dataset : Dataset
    activation : str or Activation
    lambda0 : float
        Precision of the prior of a hidden weight, positive.

    Raises
    ------
    InvalidInput
        If the inputs are so large that their kernel overflows.
    """
    activation = get_activation(activation)
    with np.errstate(over="ignore", invalid="ignore"):
        kernel = feature_kernel(activation, dataset.x_train, dataset.x_train, lambda0)
    if not np.isfinite(kernel).all():
        largest = float(np.abs(dataset.x_train).max())
        raise InvalidInput("x_train", largest, "inputs whose kernel is finite; standardise them")
    eigenvalues, eigenvectors = np.linalg.eigh(kernel)
    floor = max(dataset.n_train, 10) * np.finfo(float).eps * max(eigenvalues[-1], 0.0)
    kept = eigenvalues > floor
    eigenvectors, null = np.ascontiguousarray(eigenvectors[:, kept]), eigenvectors[:, ~kept]
    return Spectrum(
        dataset=dataset,
        activation=activation,
        lambda0=float(lambda0),
        kernel=kernel,
        eigenvalues=eigenvalues[kept],
        eigenvectors=eigenvectors,
        labels=eigenvectors.T @ dataset.y_train,
        null_label_energy=float(((null.T @ dataset.y_train) ** 2).sum()),
    )
