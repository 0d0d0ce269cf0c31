"""Centroid distance and gyration radii from a feature kernel or from features."""

from __future__ import annotations

from typing import Any

import numpy as np

Array = Any  # NumPy or JAX

LABELS = (-1, 1)
"""Order of the `label` axis everywhere."""


def class_weights(y: np.ndarray) -> np.ndarray:
    """Averaging vectors u_s of the two classes.

    Parameters
    ----------
    y : (P,) array
        Labels; an input belongs to the class of the sign of its label.

    Returns
    -------
    (2, P) array
        Row s holds 1/P_s on the members of class s (order -1, +1) and 0 elsewhere. The row of a class
        without members is NaN, so that whatever is computed from it is NaN and not a false number.
    """
    members = np.stack([np.asarray(y) < 0, np.asarray(y) > 0]).astype(float)
    count = members.sum(axis=1, keepdims=True)
    return np.where(count > 0, members / np.maximum(count, 1.0), np.nan)


def contrast(weights: Array) -> Array:
    """u_+ - u_-, whose quadratic form in a feature kernel is D, shape (P,)."""
    return weights[1] - weights[0]


def centroid_distance_sq(kernel: Array, weights: Array) -> Array:
    """Squared distance of the class centroids per hidden unit, D = (u_+ - u_-)^T G (u_+ - u_-).

    Parameters
    ----------
    kernel : (P, P) array
        Feature kernel G, prior, posterior or empirical.
    weights : (2, P) array
        From :func:`class_weights`.
    """
    difference = contrast(weights)
    return difference @ kernel @ difference


def gyration_radius_sq(diagonal: Array, kernel: Array, weights: Array) -> Array:
    """Squared gyration radii per hidden unit, R_s^2 = u_s . diag(G) - u_s^T G u_s, as a (2,) array."""
    return weights @ diagonal - ((weights @ kernel) * weights).sum(-1)


def centroid_distance_sq_of_features(features: Array, weights: Array) -> Array:
    """D of the empirical kernel G = Phi Phi^T / N from the features themselves, in O(P N).

    Parameters
    ----------
    features : (..., P, N) array
        sigma(h_i(x_mu)); leading axes (chains, replicas) are kept.
    """
    centroids = weights @ features
    return ((centroids[..., 1, :] - centroids[..., 0, :]) ** 2).mean(-1)


def gyration_radius_sq_of_features(features: Array, weights: Array) -> Array:
    """R_s^2 of the empirical kernel from the features, shape (..., 2)."""
    centroids = weights @ features
    diagonal = (features**2).mean(-1)
    return diagonal @ weights.T - (centroids**2).mean(-1)


def alignment(kernel: Array, y: Array) -> Array:
    """Alignment of a kernel with the labels, y^T K y / (|y|^2 |K|_F), between 0 and 1 (Cristianini et al. 2001).

    Parameters
    ----------
    kernel : (P, P) array
    y : (P,) array
    """
    return (y @ kernel @ y) / ((y @ y) * (kernel**2).sum() ** 0.5)
