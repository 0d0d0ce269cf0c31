"""Observables of one draw of the hidden weights, with the readout averaged in closed form.

Given w the readout is Gaussian (docs/theory.md, section 7): in the symbols of :mod:`proplim.sampling._target`

    E[v | w] = Phi^T a / (sqrt(N) lambda1),      cov[v | w] = (I - c Phi^T S^-1 Phi) / lambda1

so its averages have no sampling error of their own. Test preactivations get one draw of their part outside
the span of the training inputs, which the posterior leaves at its prior.
"""

from __future__ import annotations

from typing import Any

from proplim.activations import Activation
from proplim.geometry import centroid_distance_sq_of_features, gyration_radius_sq_of_features
from proplim.sampling._random import Key, normal
from proplim.sampling._target import Factor, Problem, feature_gradient, solve_lower

Array = Any


def observables(
    problem: Problem,
    activation: Activation,
    hidden: Array,
    preactivation: Array,
    features: Array,
    factor: Factor,
    key: Key,
    stream: Array,
) -> dict[str, Array]:
    """Observables of the cube at hidden weights Z, averaged over v.

    Parameters
    ----------
    hidden : (r, N) array
    preactivation, features : (P, N) arrays
        A Z and Phi.
    factor : Factor
        Of S at Z.
    key, stream
        Random numbers of the test preactivations.

    Returns
    -------
    dict
        Scalars; `centroid_distance_sq` (2,) and `gyration_radius_sq` (2, 2) with `split` first;
        `mse` (2,); `predictor_train` (P,) and `predictor_test` (P_test,) are E[f | w].
    """
    import jax.numpy as jnp

    count, width = features.shape
    temperature, c = problem.temperature, problem.readout_scale
    lambda1 = 1.0 / (c * width)
    fixed = c * (factor.root**2).sum()  # P - T tr S^-1
    fitted = problem.y_train - temperature * factor.residual
    readout = jnp.sqrt(c / lambda1) * (factor.residual @ features)  # E[v | w]
    noise = temperature * fixed / count  # mean over inputs of var[f | w] = T - T^2 (S^-1)_mumu
    test = _test_observables(problem, activation, hidden, features, factor, key, stream)
    norm = (hidden * hidden).sum()
    # Z . dl/dZ has the posterior mean of |Z|^2 - r N (integration by parts) and a far smaller variance
    slope = feature_gradient(features, factor, c) * activation.jax_derivative(preactivation)
    work = (preactivation * slope).sum()
    return {
        "readout_variance": (readout @ readout + (width - fixed) / lambda1) / width,
        "hidden_trace_shift": work / (width * problem.lambda0),
        "equipartition_defect": (norm - hidden.size - work) / (width * problem.lambda0),
        "signal_variance": ((problem.signal @ hidden) ** 2).mean(),
        "readout_signal_covariance": (readout * (problem.signal @ hidden)).mean(),
        "centroid_distance_sq": jnp.stack(
            [centroid_distance_sq_of_features(features, problem.weights_train), test["centroid_distance_sq"]]
        ),
        "gyration_radius_sq": jnp.stack(
            [gyration_radius_sq_of_features(features, problem.weights_train), test["gyration_radius_sq"]]
        ),
        "mse": jnp.stack([temperature**2 * (factor.residual**2).mean() + noise, test["mse"]]),
        "predictor_train": fitted,
        "predictor_test": test["predictor"],
    }


def _test_observables(
    problem: Problem,
    activation: Activation,
    hidden: Array,
    features: Array,
    factor: Factor,
    key: Key,
    stream: Array,
) -> dict[str, Array]:
    """The same on test inputs; products in float32, whose rounding is far below the spread between draws."""
    import jax.numpy as jnp

    width = hidden.shape[1]
    single = jnp.float32
    preactivation = problem.inputs_test @ hidden.astype(single)
    if problem.outside_test.shape[1]:
        rest = normal(key, (problem.outside_test.shape[1], width), stream)
        preactivation = preactivation + problem.outside_test @ rest
    test_features = activation.jax_function(preactivation).astype(single)
    c = problem.readout_scale
    predictor = c * (test_features.astype(jnp.float64) @ (factor.residual @ features))
    if features.shape[0] <= width:
        explained = ((factor.root.astype(single) @ test_features.T) ** 2).sum(0)
        variance = c * ((test_features**2).sum(1) - c * explained)
    else:
        half = solve_lower(factor.cholesky.astype(single), test_features.T)
        variance = c * problem.temperature * (half**2).sum(0)
    weights = problem.weights_test.astype(single)
    return {
        "centroid_distance_sq": centroid_distance_sq_of_features(test_features, weights).astype(jnp.float64),
        "gyration_radius_sq": gyration_radius_sq_of_features(test_features, weights).astype(jnp.float64),
        "mse": ((problem.y_test - predictor) ** 2 + variance).mean(),
        "predictor": predictor,
    }


def draw_readout(problem: Problem, features: Array, factor: Factor, key: Key, stream: Array) -> Array:
    """An exact draw of the readout weights v given the hidden ones, (N,).

    For P <= N by correcting a draw of the prior (Matheron's rule), v + c^(1/2) lambda1^(-1/2) Phi^T S^-1
    (y - f - sqrt(T) xi); for P > N from the factor of cov[v | w] = (T / lambda1) (T I + c Phi^T Phi)^-1.
    """
    import jax.numpy as jnp

    count, width = features.shape
    temperature, c = problem.temperature, problem.readout_scale
    lambda1 = 1.0 / (c * width)
    scale = jnp.sqrt(c / lambda1)
    random = normal(key, (width + count,), stream).astype(jnp.float64)
    if count > width:
        noise = solve_lower(factor.cholesky, random[:width, None], transpose=True)[:, 0]
        return scale * (factor.residual @ features) + jnp.sqrt(temperature / lambda1) * noise
    prior = random[:width] / jnp.sqrt(lambda1)
    target = problem.y_train - features @ prior / jnp.sqrt(width) - jnp.sqrt(temperature) * random[width:]
    half = solve_lower(factor.cholesky, target[:, None])
    return prior + scale * (solve_lower(factor.cholesky, half, transpose=True)[:, 0] @ features)
