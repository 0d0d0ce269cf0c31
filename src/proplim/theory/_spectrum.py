"""Everything about one data set, activation and lambda0 that every grid point shares.

One eigendecomposition of the feature kernel serves all temperatures, widths and lambda1
(docs/theory.md, section 3).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from proplim.activations import Activation, get_activation
from proplim.datasets import Dataset
from proplim.errors import InvalidInput
from proplim.kernels import feature_kernel, feature_kernel_diagonal, stein_coefficients
from proplim.theory._blocks import block_for
from proplim.theory._eigen import eigen, product
from proplim.theory._products import RowProduct, row_product

TEST_ROWS = 1024
"""Rows of the test kernel held at once."""
HELD_TESTS = 2048
"""Test inputs up to which their whole kernel may be held (32 MiB)."""
CONSTANT_ON_CLASSES = 1e-12
"""Relative rounding allowed to a vector that is constant on every class."""
RANK = 10
"""Eigenvalues below max(P, RANK) eps kappa_max are zero to rounding."""


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
        U^T y; of C outputs (r, C).
    null_label_energy : float
        Squared norm of the part of y outside the range of K, of all outputs together.
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

    @property
    def linear(self) -> bool:
        """Whether sigma(h) = h, for which Gaussian features are exact."""
        return self.activation.name == "linear"

    @cached_property
    def label_energies(self) -> np.ndarray:
        """Squared labels in the eigenbasis, shape (r,)."""
        return self.labels**2

    @cached_property
    def class_weights_train(self) -> np.ndarray:
        """u_s of the training inputs, shape (C, P)."""
        return self.dataset.weights_train

    @cached_property
    def class_weights_test(self) -> np.ndarray:
        """u_s of the test inputs, shape (C, P_test)."""
        return self.dataset.weights_test

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
        modes = product(self.kernel_test_train, self.eigenvectors)
        modes /= np.sqrt(self.eigenvalues)
        return modes

    def train_form(self, vector: np.ndarray) -> float:
        """a^T K a on the training inputs for a (P,) vector a."""
        return float(vector @ self.kernel @ vector)

    def train_images(self, rows: np.ndarray) -> np.ndarray:
        """K a on the training inputs for (n, P) rows a, (n, P)."""
        return self._train_product(rows)

    def test_images(self, rows: np.ndarray) -> np.ndarray:
        """K a on the test inputs for (n, P_test) rows a, (n, P_test)."""
        return self._test_product(rows)

    @cached_property
    def _train_product(self) -> RowProduct:
        return row_product(self.kernel, block_for(self.n_train))

    @cached_property
    def _test_product(self) -> RowProduct:
        """Of many test inputs K is not held, but found each time."""
        block = block_for(self.n_train)
        if self.dataset.n_test <= HELD_TESTS:
            return row_product(np.concatenate(list(self._test_kernel_rows())), block)
        return lambda rows: np.concatenate(
            [row_product(kernel, block)(rows) for kernel in self._test_kernel_rows()], axis=1
        )

    def test_form(self, vector: np.ndarray) -> float:
        """a^T K a on the test inputs for a (P_test,) vector a, without holding the whole kernel.

        Of a vector that is constant on every class the class averages of the kernel are enough.
        """
        present = np.isfinite(self.class_weights_test).all(axis=1)
        weights = self.class_weights_test[present]
        coefficients = (weights > 0.0) @ vector
        if np.allclose(coefficients @ weights, vector, rtol=CONSTANT_ON_CLASSES, atol=0.0):
            return float(coefficients @ self._test_class_kernel[np.ix_(present, present)] @ coefficients)
        return float(vector @ self._test_kernel_times(vector))

    @cached_property
    def _test_class_kernel(self) -> np.ndarray:
        """u_s^T K u_s' on the test inputs, shape (C, C)."""
        weights = self.class_weights_test
        result = weights @ self._test_kernel_times(weights.T)
        return 0.5 * (result + result.T)

    def _test_kernel_times(self, columns: np.ndarray) -> np.ndarray:
        """K on the test inputs times (P_test, ...) columns, some rows of K at a time."""
        return np.concatenate([kernel @ columns for kernel in self._test_kernel_rows()])

    def _test_kernel_rows(self) -> Iterator[np.ndarray]:
        """K on the test inputs, some of its rows at a time."""
        x = self.dataset.x_test
        for start in range(0, len(x), TEST_ROWS):
            yield feature_kernel(self.activation, x[start : start + TEST_ROWS], x, self.lambda0)

    @cached_property
    def signal_modes(self) -> np.ndarray:
        """Factor R with R^T R = kappa^(-1/2) U^T B^T B U kappa^(-1/2), shape (min(r, N0), r).

        R b are the coordinates of the vector B U kappa^(-1/2) b of input space in an orthonormal basis;
        its norm is bounded by that of b / sqrt(lambda0) (docs/theory.md, eq. 3.12).
        """
        coefficients = stein_coefficients(self.activation, self.dataset.x_train, self.lambda0)
        vectors = product(self.dataset.x_train.T * coefficients, self.eigenvectors)
        vectors /= np.sqrt(self.eigenvalues)
        if vectors.shape[0] <= vectors.shape[1]:
            return vectors
        return np.asarray(np.linalg.qr(vectors, mode="r"))


def rounding_floor(eigenvalues: np.ndarray, scale: float = 0.0) -> float:
    """What an eigenvalue of a (P, P) matrix has to exceed to be no rounding error.

    Parameters
    ----------
    eigenvalues : (P,) array
        Ascending.
    scale : float
        Size of what was subtracted to form the matrix, if larger than its largest eigenvalue.
    """
    size = max(float(eigenvalues[-1]), scale, 0.0)
    return max(len(eigenvalues), RANK) * float(np.finfo(float).eps) * size


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
    eigenvalues, eigenvectors = eigen(kernel)
    kept = eigenvalues > rounding_floor(eigenvalues)
    null = eigenvectors[:, ~kept]
    if not kept.all():
        eigenvectors = np.ascontiguousarray(eigenvectors[:, kept])
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
