"""Centroid distance and gyration radii from a feature kernel or from features."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

Array = Any  # NumPy or JAX

LABELS = (-1, 1)
"""Order of the `label` axis of two classes everywhere."""


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


def class_weights_of_numbers(numbers: np.ndarray, n_classes: int) -> np.ndarray:
    """Averaging vectors u_s of C classes.

    Parameters
    ----------
    numbers : (P,) int array
        Class of every input, 0 to C - 1.
    n_classes : int
        C.

    Returns
    -------
    (C, P) array
        As of :func:`class_weights`, in the order of the classes.
    """
    members = (np.arange(n_classes)[:, None] == np.asarray(numbers)).astype(float)
    count = members.sum(axis=1, keepdims=True)
    return np.where(count > 0, members / np.maximum(count, 1.0), np.nan)


def class_numbers(weights: Array) -> Array:
    """The class of every input, (P,) integers, from the (C, P) averaging vectors."""
    return (weights > 0.0).argmax(axis=0)


def class_pairs(n_classes: int) -> list[tuple[int, int]]:
    """Pairs of classes by number, in the order of the `pair` axis: 0-1, 0-2, ..., 1-2, ..."""
    return list(itertools.combinations(range(n_classes), 2))


def pair_names(labels: Sequence[int | str]) -> list[str]:
    """Values of the `pair` axis of classes with these labels: "3-8", "3-5", "8-5"."""
    return [f"{labels[s]}-{labels[t]}" for s, t in class_pairs(len(labels))]


def pair_members(pair: str, labels: Sequence[str]) -> tuple[int, int]:
    """Positions of the classes of a pair by its name; a class may have a hyphen in its own.

    Raises
    ------
    ValueError
        If it is no pair of these classes.
    """
    for s, one in enumerate(labels):
        if pair.startswith(f"{one}-") and (other := pair[len(one) + 1 :]) in labels:
            return s, labels.index(other)
    raise ValueError(f"{pair!r} is no pair of {labels}")


def pair_contrasts(weights: Array) -> Array:
    """u_t - u_s of every pair (s, t) of classes, whose quadratic forms in a feature kernel are D, (pairs, P)."""
    first, second = np.array(class_pairs(len(weights))).T
    return weights[second] - weights[first]


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


def pair_distances_sq(kernel: Array, weights: Array) -> Array:
    """D = (u_t - u_s)^T G (u_t - u_s) of every pair of classes, (pairs,) in the order of :func:`class_pairs`.

    Parameters
    ----------
    kernel : (P, P) array
        Feature kernel G, prior, posterior or empirical.
    weights : (C, P) array
    """
    differences = pair_contrasts(weights)
    return ((differences @ kernel) * differences).sum(-1)


def pair_distances_sq_of_features(features: Array, weights: Array) -> Array:
    """D of every pair of classes of the empirical kernel G = Phi Phi^T / N, (..., pairs), in O(C P N).

    Parameters
    ----------
    features : (..., P, N) array
        sigma(h_i(x_mu)); leading axes (chains, replicas) are kept.
    weights : (C, P) array
    """
    first, second = np.array(class_pairs(len(weights))).T
    centroids = weights @ features
    return ((centroids[..., second, :] - centroids[..., first, :]) ** 2).mean(-1)


def gyration_radius_sq(diagonal: Array, kernel: Array, weights: Array) -> Array:
    """Squared gyration radii per hidden unit, R_s^2 = u_s . diag(G) - u_s^T G u_s, as a (C,) array."""
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
    """R_s^2 of the empirical kernel from the features, shape (..., C)."""
    centroids = weights @ features
    diagonal = (features**2).mean(-1)
    return diagonal @ weights.T - (centroids**2).mean(-1)


def normalized_features(features: Array) -> Array:
    """Features scaled to unit length, so that their kernel is the cosine kernel G_ij/sqrt(G_ii G_jj) times 1.

    Parameters
    ----------
    features : (..., P, N) array
        sigma(h_i(x_mu)).

    Returns
    -------
    (..., P, N) array
        Of mean square 1 over the units; features without length (every unit silent) stay zero.
    """
    length_sq = (features**2).mean(-1, keepdims=True)
    silent = length_sq == 0.0
    return features / (length_sq + silent) ** 0.5


def alignment(kernel: Array, y: Array) -> Array:
    """Alignment of a kernel with the labels, y^T K y / (|y|^2 |K|_F), between 0 and 1 (Cristianini et al. 2001).

    Parameters
    ----------
    kernel : (P, P) array
    y : (P,) array
    """
    return (y @ kernel @ y) / ((y @ y) * (kernel**2).sum() ** 0.5)


def alignment_of_outputs(kernel: Array, targets: Array) -> Array:
    """Alignment of a kernel with C outputs, tr(Y^T K Y) / (|Y|^2 |K|_F), between 0 and 1.

    Parameters
    ----------
    kernel : (P, P) array
    targets : (P, C) array
    """
    return (targets * (kernel @ targets)).sum() / ((targets**2).sum() * (kernel**2).sum() ** 0.5)
