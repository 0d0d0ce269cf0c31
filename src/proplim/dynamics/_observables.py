"""What is recorded of a network at one time."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp

from proplim.activations import Activation
from proplim.dynamics._network import Parameters, Problem, Split, Start
from proplim.dynamics._tangent_kernel import alignment, largest_eigenvalue, tangent_kernel
from proplim.geometry import centroid_distance_sq_of_features, gyration_radius_sq_of_features

Array = jax.Array


@partial(jax.jit, static_argnames="activation")
def observe(
    problem: Problem, start: Start, parameters: Parameters, activation: Activation
) -> dict[str, Array]:
    """Observables of one replica (docs/dynamics.md, section 3).

    Returns
    -------
    dict
        Variables of the dynamics cube with their split and label axes, plus ``output_train`` (P,) and
        ``output_test`` (P_test,), the network's function, from which the ensemble's variables are made.
    """
    hidden, readout = parameters
    projection = start.signal + problem.signal @ hidden
    train, h_train = _observe_split(problem.train, start.h_train, parameters, activation)
    test, _ = _observe_split(problem.test, start.h_test, parameters, activation)
    kernel = tangent_kernel(problem.gram, h_train, readout, activation)
    split = {name: jnp.stack([train[name], test[name]]) for name in train if name != "output"}
    return {
        "readout_variance": (readout**2).mean(),
        "hidden_trace_shift": _norm_sq(problem, start, hidden) - problem.prior_norm_sq,
        "signal_variance": (projection**2).mean(),
        "readout_signal_covariance": (readout * projection).mean(),
        "tangent_kernel_alignment": alignment(kernel, problem.train.y),
        "tangent_kernel_max": largest_eigenvalue(kernel),
        "output_train": train["output"],
        "output_test": test["output"],
        **split,
    }


@partial(jax.jit, static_argnames="activation")
def observe_inputs(
    problem: Problem, start: Start, parameters: Parameters, activation: Activation
) -> dict[str, Array]:
    """What single training inputs do to D (docs/dynamics.md, section 5).

    Returns
    -------
    dict
        ``input_features`` (P, N), sigma(h); ``input_drive`` (P,), the part of dD/dt under gradient flow that
        comes from the gradient of an input's own loss: with s the sign of a class over its size, Delta the
        difference of the centroids and e the residual,

            (2 / N^(3/2)) e(x) sum_i v_i sigma'(h_i(x)) Delta_i sum_x' C(x, x') s(x') sigma'(h_i(x')).
    """
    hidden, readout = parameters
    h = start.h_train + problem.train.forward @ hidden
    features, slopes = activation.jax_features(h), activation.jax_derivative(h)
    width = readout.shape[0]
    residual = problem.train.y - features @ readout / jnp.sqrt(width)
    difference = problem.train.class_weights[1] - problem.train.class_weights[0]
    carried = problem.gram @ (difference[:, None] * slopes)
    force = (slopes * carried) @ (readout * (difference @ features))
    return {"input_features": features, "input_drive": 2.0 * width**-1.5 * residual * force}


def _observe_split(
    split: Split, h_start: Array, parameters: Parameters, activation: Activation
) -> tuple[dict[str, Array], Array]:
    width = parameters.readout.shape[0]
    h = h_start + split.forward @ parameters.hidden
    features = activation.jax_features(h)
    output = features @ parameters.readout / jnp.sqrt(width)
    error = (split.y - output) ** 2
    return {
        "output": output,
        "mse": error.mean(),
        "mse_label": split.class_weights @ error,
        "centroid_distance_sq": centroid_distance_sq_of_features(features, split.class_weights),
        "gyration_radius_sq": gyration_radius_sq_of_features(features, split.class_weights),
        "kernel_alignment": alignment(features @ features.T / width, split.y),
    }, h


def _norm_sq(problem: Problem, start: Start, hidden: Array) -> Array:
    """Mean over units of |w|^2 = |w0|^2 + 2 w0 . dw + |dw|^2."""
    if problem.backward is None:
        moved = (hidden * (problem.train.forward @ hidden)).sum(0)
    else:
        moved = (hidden**2).sum(0)
    return (start.norm_sq + 2.0 * (start.overlap * hidden).sum(0) + moved).mean()
