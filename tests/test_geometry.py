"""Centroid distance and gyration radii: properties that hold for all features, and cases worked out by hand."""

from __future__ import annotations

import itertools
import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from proplim.geometry import (
    LABELS,
    centroid_distance_sq,
    centroid_distance_sq_of_features,
    class_weights,
    gyration_radius_sq,
    gyration_radius_sq_of_features,
    normalized_features,
)

FINITE = st.floats(-10, 10, allow_nan=False, width=64)


@st.composite
def labelled_features(draw):
    """Features (P, N) with both classes present."""
    n_inputs, n_units = draw(st.integers(2, 9)), draw(st.integers(1, 6))
    features = draw(arrays(np.float64, (n_inputs, n_units), elements=FINITE))
    labels = np.where(draw(arrays(np.bool_, n_inputs)), 1.0, -1.0)
    labels[:2] = -1.0, 1.0
    return features, class_weights(labels)


def geometry(features, weights):
    return np.append(
        gyration_radius_sq_of_features(features, weights), centroid_distance_sq_of_features(features, weights)
    )


@given(labelled_features())
def test_geometry_of_features_is_that_of_their_kernel(case):
    features, weights = case
    kernel = features @ features.T / features.shape[1]
    direct = np.append(
        gyration_radius_sq(np.diag(kernel), kernel, weights), centroid_distance_sq(kernel, weights)
    )
    np.testing.assert_allclose(geometry(features, weights), direct, atol=1e-10)
    assert (geometry(features, weights) > -1e-10).all()


@given(labelled_features())
def test_normalized_geometry_is_that_of_the_cosine_kernel(case):
    features, weights = case
    features = np.where(np.abs(features) < 1e-3, 0.0, features)
    kernel = features @ features.T
    length = np.sqrt(np.diag(kernel))
    cosine = kernel / np.outer(*[np.where(length > 0.0, length, 1.0)] * 2)
    direct = np.append(
        gyration_radius_sq(np.diag(cosine), cosine, weights), centroid_distance_sq(cosine, weights)
    )
    np.testing.assert_allclose(geometry(normalized_features(features), weights), direct, atol=1e-12)


@given(labelled_features(), st.floats(0.1, 10))
def test_normalized_geometry_does_not_see_the_length_of_features(case, factor):
    features, weights = case
    lengths = factor ** np.arange(len(features))[:, None]
    features = np.where(np.abs(features) < 1e-3, 0.0, features)
    np.testing.assert_allclose(
        geometry(normalized_features(features * lengths), weights),
        geometry(normalized_features(features), weights),
        atol=1e-12,
    )


@given(labelled_features(), st.integers(0, 2**32 - 1))
def test_geometry_is_invariant_under_translation_and_rotation_of_features(case, seed):
    features, weights = case
    rng = np.random.default_rng(seed)
    rotation, _ = np.linalg.qr(rng.standard_normal((features.shape[1],) * 2))
    moved = features @ rotation + rng.standard_normal(features.shape[1])
    np.testing.assert_allclose(geometry(moved, weights), geometry(features, weights), atol=1e-9)


@given(labelled_features(), st.randoms(use_true_random=False))
def test_geometry_is_invariant_under_permutations_and_quadratic_in_scale(case, random):
    features, weights = case
    order = list(range(len(features)))
    random.shuffle(order)
    np.testing.assert_allclose(
        geometry(features[order], weights[:, order]), geometry(features, weights), atol=1e-10
    )
    np.testing.assert_allclose(geometry(3 * features, weights), 9 * geometry(features, weights), atol=1e-9)


@given(labelled_features())
def test_the_parallel_axis_theorem(case):
    """Mean squared distance of two inputs of different classes = R_+^2 + R_-^2 + D."""
    features, weights = case
    minus, plus = features[weights[0] > 0], features[weights[1] > 0]
    pairs = [((a - b) ** 2).mean() for a, b in itertools.product(minus, plus)]
    np.testing.assert_allclose(np.mean(pairs), geometry(features, weights).sum(), atol=1e-9)


def test_a_class_without_members_is_nan():
    weights = class_weights(np.ones(3))
    assert np.isnan(centroid_distance_sq(np.eye(3), weights))
    assert np.isnan(gyration_radius_sq(np.ones(3), np.eye(3), weights)[0])
    assert math.isclose(gyration_radius_sq(np.ones(3), np.eye(3), weights)[1], 1 - 1 / 3)


def test_a_class_is_a_sign_and_a_label_of_zero_is_in_none():
    weights = class_weights(np.array([-2.0, 0.5, 0.0, 0.25, -0.1]))
    np.testing.assert_array_equal(weights, [[0.5, 0, 0, 0, 0.5], [0, 0.5, 0, 0.5, 0]])
    assert LABELS == (-1, 1)


def test_four_points_by_hand():
    """Classes {(0, 0), (2, 0)} and {(4, 3), (4, 5)}: centroids (1, 0) and (4, 4), two units."""
    features = np.array([[0.0, 0.0], [2.0, 0.0], [4.0, 3.0], [4.0, 5.0]])
    weights = class_weights(np.array([-1.0, -1.0, 1.0, 1.0]))
    assert math.isclose(centroid_distance_sq_of_features(features, weights), (3**2 + 4**2) / 2)
    np.testing.assert_allclose(gyration_radius_sq_of_features(features, weights), [0.5, 0.5])
    kernel = features @ features.T / 2
    assert math.isclose(centroid_distance_sq(kernel, weights), 12.5)
    np.testing.assert_allclose(gyration_radius_sq(np.diag(kernel), kernel, weights), [0.5, 0.5])


def test_leading_axes_are_kept():
    rng = np.random.default_rng(0)
    features, weights = rng.standard_normal((2, 3, 4, 5)), class_weights(np.array([-1.0, 1.0, 1.0, -1.0]))
    distance = centroid_distance_sq_of_features(features, weights)
    radius = gyration_radius_sq_of_features(features, weights)
    assert distance.shape == (2, 3)
    assert radius.shape == (2, 3, 2)
    for i, j in itertools.product(range(2), range(3)):
        assert math.isclose(distance[i, j], centroid_distance_sq_of_features(features[i, j], weights))
        np.testing.assert_allclose(radius[i, j], gyration_radius_sq_of_features(features[i, j], weights))
