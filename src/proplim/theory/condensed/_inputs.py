"""Training or test inputs as the observables see them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from proplim.kernels import feature_covariance, feature_kernel
from proplim.theory._cavity_draws import Problem
from proplim.theory.condensed._slopes import features_and_slopes

ROWS = 512
"""Rows of features that are taken at a time, which stay in the cache."""


@dataclass(frozen=True, eq=False)
class Inputs:
    """One set of inputs.

    Parameters
    ----------
    problem : Problem
    x : (n, N0) array
    targets : (n,) array
        Labels.
    classes : (2, n) array
        u_s.
    root : (n, r) array
        Preactivations per unit of z.
    rest : (n, r') array
        Root of the covariance that preactivations keep given z; no columns for the training inputs.
    """

    problem: Problem
    x: np.ndarray
    targets: np.ndarray
    classes: np.ndarray
    root: np.ndarray
    rest: np.ndarray

    @cached_property
    def kernel(self) -> np.ndarray:
        """K among the inputs, (n, n)."""
        spectrum = self.problem.spectrum
        return feature_kernel(spectrum.activation, self.x, self.x, spectrum.lambda0)

    @cached_property
    def modes(self) -> np.ndarray:
        """K(x, X) U, (n, m)."""
        spectrum = self.problem.spectrum
        cross = feature_kernel(spectrum.activation, self.x, spectrum.dataset.x_train, spectrum.lambda0)
        return np.asarray(cross @ spectrum.eigenvectors)

    def noise(self, count: int, rng: np.random.Generator) -> np.ndarray:
        """Preactivations outside the row space, where w keeps its prior, (count, n)."""
        if not self.rest.shape[1]:
            return np.zeros((count, 1), dtype=np.float32)
        normals = rng.standard_normal((count, self.rest.shape[1]), dtype=np.float32)
        return np.asarray(normals @ self.rest.T.astype(np.float32))

    def features(self, z: np.ndarray, noise: np.ndarray) -> np.ndarray:
        """sigma(h) of units z (S, r) with a part outside the row space of :meth:`noise`, (S, n)."""
        return self.problem.activation.function(z @ self.root.T + noise[: len(z)])

    def single_features(self, z: np.ndarray, noise: np.ndarray) -> np.ndarray:
        """:meth:`features` in single precision, a few rows at a time."""
        root = self.root.T.astype(np.float32)
        result = np.empty((len(z), root.shape[1]), dtype=np.float32)
        for start in range(0, len(z), ROWS):
            rows = slice(start, start + ROWS)
            result[rows] = features_and_slopes(self.problem.activation, z[rows] @ root + noise[rows])[0]
        return result

    def wide_kernel(self, direction: np.ndarray, excess: float) -> np.ndarray:
        """E[sigma sigma'] for z ~ N(0, 1 + excess n n^T) with n = `direction`, (n, n)."""
        along = self.root @ direction
        covariance = self.root @ self.root.T + self.rest @ self.rest.T
        covariance += excess * np.outer(along, along)
        variance = np.diag(covariance).copy()
        return feature_covariance(self.problem.activation, covariance, variance[:, None], variance[None, :])

    def wide_cross_kernel(self, direction: np.ndarray, excess: float, train: Inputs) -> np.ndarray:
        """E[sigma(x) sigma(X)] for z of :meth:`wide_kernel`, (n, P)."""
        along, train_along = self.root @ direction, train.root @ direction
        covariance = self.root @ train.root.T + excess * np.outer(along, train_along)
        variance = (self.root**2).sum(axis=1) + (self.rest**2).sum(axis=1) + excess * along**2
        train_variance = (train.root**2).sum(axis=1) + excess * train_along**2
        return feature_covariance(
            self.problem.activation, covariance, variance[:, None], train_variance[None, :]
        )


def training_inputs(problem: Problem) -> Inputs:
    """The training inputs."""
    data = problem.spectrum.dataset
    classes = problem.spectrum.class_weights_train
    rest = np.zeros((data.n_train, 0))
    return Inputs(problem, data.x_train, data.y_train, classes, problem.root, rest)


def test_inputs(problem: Problem) -> Inputs:
    """The test inputs."""
    data = problem.spectrum.dataset
    classes = problem.spectrum.class_weights_test
    return Inputs(problem, data.x_test, data.y_test, classes, problem.test_root, problem.test_rest)


def geometry(second: np.ndarray, classes: np.ndarray) -> dict[str, np.ndarray]:
    """D and R_s^2 of a feature kernel (n, n), and of the cosine kernel G_ij/sqrt(G_ii G_jj)."""
    result = {}
    diagonal = np.diag(second)
    scaled = classes / np.sqrt(np.maximum(diagonal, 1e-300))
    for prefix, weights, spread in (
        ("", classes, classes @ diagonal),
        ("normalized_", scaled, classes.sum(axis=1)),
    ):
        centroids = weights @ second @ weights.T
        result[f"{prefix}centroid_distance_sq"] = np.asarray(
            centroids[0, 0] + centroids[1, 1] - 2.0 * centroids[0, 1]
        )
        result[f"{prefix}gyration_radius_sq"] = spread - np.diag(centroids)
    return result
