"""Observables of activations that are not odd, as docs/cavity.md, A.3 writes them: dense matrices, nothing shared."""

from __future__ import annotations

import numpy as np
import pytest

from proplim.geometry import centroid_distance_sq, class_weights, gyration_radius_sq
from proplim.kernels import feature_kernel, feature_mean, stein_coefficients
from proplim.theory import build_spectrum
from test_nonodd import _points, _separable, solve_two

POINTS = _points((1e-3, 20, 1.0), (0.3, 5, 2.0), (2.0, 50, 0.5))


def dense(data, t, n, l1, q, p):
    """Every observable at given Q and p, by (A.7), (A.8) and (A.9) with inverses of whole matrices."""
    v, c = q / l1, p / l1
    x, y = data.x_train, data.y_train
    m, k = feature_mean("relu", x), feature_kernel("relu", x, x)
    sigma = t * np.eye(len(y)) + v * (k - np.outer(m, m)) + c * np.outer(m, m)
    inverse = np.linalg.inv(sigma)
    a = inverse @ y
    moment = np.outer(a, a) - inverse
    result = {}
    for split, z, labels in (("train", x, y), ("test", data.x_test, data.y_test)):
        mz, kz, cross = feature_mean("relu", z), feature_kernel("relu", z, z), feature_kernel("relu", z, x)
        prior = v * (cross - np.outer(mz, m)) + c * np.outer(mz, m)
        own = np.diag(v * (kz - np.outer(mz, mz)) + c * np.outer(mz, mz))
        mean, variance = prior @ a, own - np.einsum("ij,jk,ik->i", prior, inverse, prior)
        shifted = kz + v / n * (cross @ moment @ cross.T - np.outer(mz, mz) * (m @ moment @ m))
        weights = class_weights(labels)
        result[split] = {
            "bias_sq": ((mean - labels) ** 2).mean(),
            "predictive_variance": variance.mean(),
            "mse": ((mean - labels) ** 2 + variance).mean(),
            "accuracy": (mean * labels > 0).mean(),
            "centroid_distance_sq": centroid_distance_sq(shifted, weights),
            "gyration_radius_sq": gyration_radius_sq(np.diag(shifted), shifted, weights),
        }
    b = x.T * stein_coefficients("relu", x)
    direction = b @ a / np.linalg.norm(b @ a)
    result["units"] = {
        "readout_variance": v,
        "signal_variance": 1.0 + v / n * direction @ b @ moment @ b.T @ direction,
        "readout_signal_covariance": v / np.sqrt(n) * direction @ b @ a,
    }
    return result


@pytest.mark.parametrize(("n_train", "n_features"), [(12, 6), (7, 12)])
def test_every_observable_is_that_of_whole_matrices(n_train, n_features):
    data = _separable(n_train, n_features)
    solved = solve_two(build_spectrum(data, "relu", 1.0), POINTS)
    assert solved["converged"].all()
    for i, (t, n, l1) in enumerate(zip(POINTS.temperature, POINTS.width, POINTS.lambda1, strict=True)):
        q, p = solved["order_parameter"][i], 1.0 / (1.0 + solved["conjugate_order_parameter"][i])
        expected = dense(data, t, n, l1, q, p)
        for s, split in enumerate(("train", "test")):
            for name, value in expected[split].items():
                found = solved[name][i, s]
                np.testing.assert_allclose(found, value, rtol=1e-7, atol=1e-9, err_msg=f"{name} {split} {i}")
        assert np.isnan(solved["hidden_trace_shift"][i])  # known to be wrong by its Gaussian part alone
        for name, value in expected["units"].items():
            np.testing.assert_allclose(solved[name][i], value, rtol=1e-7, err_msg=f"{name} {i}")
