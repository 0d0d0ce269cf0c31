"""What the rivals that move hidden weights and readout jointly share: energy, observables, starts."""

from __future__ import annotations

import jax.numpy as jnp
from _common import ERF, Array, draw_at, start_states

from proplim.geometry import centroid_distance_sq_of_features, gyration_radius_sq_of_features
from proplim.sampling import _random


def training_observables(problem: Array, hidden: Array, features: Array, v: Array) -> dict[str, Array]:
    """Observables of the training set as functions of hidden weights, features and readout in units of its prior."""
    along = problem.signal @ hidden
    f = jnp.sqrt(problem.readout_scale).astype(v.dtype) * (features @ v)
    return {
        "readout_variance": (v * v).mean(),
        "hidden_trace_shift": (hidden * hidden).sum() / len(v) - len(hidden),
        "signal_variance": (along * along).mean(),
        "readout_signal_covariance": (v * along).mean(),
        "centroid_distance_sq": centroid_distance_sq_of_features(features, problem.weights_train),
        "gyration_radius_sq": gyration_radius_sq_of_features(features, problem.weights_train),
        "mse": ((problem.y_train - f) ** 2).mean(),
    }


def joint_energy(problem: Array, position: tuple[Array, Array]) -> Array:
    """-log posterior of whitened hidden weights and of v in units of its prior."""
    hidden, v = position
    phi = ERF.jax_function(problem.inputs_train.astype(hidden.dtype) @ hidden)
    f = jnp.sqrt(problem.readout_scale).astype(hidden.dtype) * (phi @ v)
    misfit = ((problem.y_train.astype(hidden.dtype) - f) ** 2).sum() / (
        2 * problem.temperature.astype(hidden.dtype)
    )
    return 0.5 * (hidden * hidden).sum() + 0.5 * (v * v).sum() + misfit


def joint_observables(problem: Array, position: tuple[Array, Array]) -> dict[str, Array]:
    """Observables of the training set as plain functions of (w, v)."""
    hidden, v = position
    return training_observables(
        problem, hidden, ERF.jax_function(problem.inputs_train.astype(hidden.dtype) @ hidden), v
    )


def joint_starts(problem: Array, chains: int) -> list[tuple[_random.Key, tuple[Array, Array]]]:
    """Posterior draws of (w, v) from this package."""
    return [
        (key, (chain.state.hidden, draw_at(problem, chain.state.hidden, key, 2**28).readout))
        for key, chain in start_states(problem, chains)
    ]
