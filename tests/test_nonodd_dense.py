"""Observables of activations that are not odd, as docs/cavity.md, A.3 writes them: dense matrices, nothing shared."""

from __future__ import annotations

import mpmath
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


def test_the_predictor_of_one_unit_to_fifty_digits():
    """At N = 1 p is 1e12 times Q: (A.7) as it stands loses all digits of doubles, the code must not."""
    data = _separable(7, 12)
    t, l1 = 0.3, 1.0
    solved = solve_two(build_spectrum(data, "relu", 1.0), _points((t, 1, l1)))
    q, p = solved["order_parameter"][0], 1.0 / (1.0 + solved["conjugate_order_parameter"][0])
    assert p > 1e10 * q
    with mpmath.workdps(50):
        m, mz = (mpmath.matrix(feature_mean("relu", x).tolist()) for x in (data.x_train, data.x_test))
        k = mpmath.matrix(feature_kernel("relu", data.x_train, data.x_train).tolist())
        cross = mpmath.matrix(feature_kernel("relu", data.x_test, data.x_train).tolist())
        own = feature_kernel("relu", data.x_test, data.x_test).diagonal()
        v, c = mpmath.mpf(q) / l1, mpmath.mpf(p) / l1
        inverse = (mpmath.mpf(t) * mpmath.eye(7) + v * (k - m * m.T) + c * m * m.T) ** -1
        prior = v * (cross - mz * m.T) + c * mz * m.T
        mean = prior * inverse * mpmath.matrix(data.y_train.tolist())
        bias_sq = sum((mean[i] - data.y_test[i]) ** 2 for i in range(10)) / 10
        reduced = prior * inverse * prior.T
        variance = sum(v * (own[i] - mz[i] ** 2) + c * mz[i] ** 2 - reduced[i, i] for i in range(10)) / 10
    # p itself is known to 1e-4 here, where 1/(1+R) cancels; neither depends on it any more
    np.testing.assert_allclose(solved["bias_sq"][0, 1], float(bias_sq), rtol=1e-8)
    np.testing.assert_allclose(solved["predictive_variance"][0, 1], float(variance), rtol=1e-8)
