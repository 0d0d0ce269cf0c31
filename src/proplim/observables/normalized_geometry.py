"""Distance and radii of the classes under the cosine kernel G_ij/sqrt(G_ii G_jj) (docs/theory.md, section 4).

Features scaled to unit length: growth of their length does not hide what their directions do.
"""

import numpy as np

from proplim.geometry import (
    centroid_distance_sq_of_features,
    class_pairs,
    gyration_radius_sq_of_features,
    normalized_features,
    pair_distances_sq_of_features,
)
from proplim.observables._base import ManyOutputs, Observable, add
from proplim.observables._contexts import Array, ClassKernel, Network, NetworkInputs, State, StateInputs


def _class_kernel(state: State, inputs: StateInputs) -> ClassKernel:
    """NaN of a theory that says nothing about lengths."""
    known: ClassKernel | None = getattr(inputs, "normalized_class_kernel", None)
    if known is not None:
        return known
    points, classes = len(np.atleast_1d(state.readout_variance)), len(inputs.class_weights)
    return ClassKernel(np.full((points, classes, classes), np.nan), np.full((points, classes), np.nan))


def _distance_of_state(state: State, inputs: StateInputs) -> Array:
    return _pairs_of_state(state, inputs)[..., 0]


def _pairs_of_state(state: State, inputs: StateInputs) -> Array:
    between = _class_kernel(state, inputs).between
    pairs = class_pairs(len(inputs.class_weights))
    return np.stack([between[:, s, s] + between[:, t, t] - 2.0 * between[:, s, t] for s, t in pairs], axis=-1)


def _radius_of_state(state: State, inputs: StateInputs) -> Array:
    return _class_kernel(state, inputs).spread


def _distance_of_network(network: Network, inputs: NetworkInputs) -> Array:
    return centroid_distance_sq_of_features(normalized_features(inputs.features), inputs.class_weights)


def _pairs_of_network(network: Network, inputs: NetworkInputs) -> Array:
    return pair_distances_sq_of_features(normalized_features(inputs.features), inputs.class_weights)


def _radius_of_network(network: Network, inputs: NetworkInputs) -> Array:
    return gyration_radius_sq_of_features(normalized_features(inputs.features), inputs.class_weights)


add(
    Observable(
        "normalized_centroid_distance_sq",
        "squared distance of the class centroids of features scaled to unit length",
        r"\hat{D}",
        ("split",),
        from_state=_distance_of_state,
        from_network=_distance_of_network,
        order=82,
        many=ManyOutputs(("split", "pair"), from_state=_pairs_of_state, from_network=_pairs_of_network),
    )
)
add(
    Observable(
        "normalized_gyration_radius_sq",
        "squared gyration radius of a class of features scaled to unit length",
        r"\hat{R}_s^2",
        ("split", "label"),
        from_state=_radius_of_state,
        from_network=_radius_of_network,
        order=84,
    )
)
