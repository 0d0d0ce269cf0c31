"""Distance and radii of the classes under the cosine kernel G_ij/sqrt(G_ii G_jj) (docs/theory.md, section 4).

Features scaled to unit length: growth of their length does not hide what their directions do.
"""

import numpy as np

from proplim.geometry import (
    centroid_distance_sq_of_features,
    gyration_radius_sq_of_features,
    normalized_features,
)
from proplim.observables._base import Observable, add
from proplim.observables._contexts import Array, ClassKernel, Network, NetworkInputs, State, StateInputs


def _class_kernel(state: State, inputs: StateInputs) -> ClassKernel:
    """NaN of a theory that says nothing about lengths."""
    known: ClassKernel | None = getattr(inputs, "normalized_class_kernel", None)
    if known is not None:
        return known
    points, classes = len(np.atleast_1d(state.readout_variance)), len(inputs.class_weights)
    return ClassKernel(np.full((points, classes, classes), np.nan), np.full((points, classes), np.nan))


def _distance_of_state(state: State, inputs: StateInputs) -> Array:
    between = _class_kernel(state, inputs).between
    return between[:, 0, 0] + between[:, 1, 1] - 2.0 * between[:, 0, 1]


def _radius_of_state(state: State, inputs: StateInputs) -> Array:
    kernel = _class_kernel(state, inputs)
    return kernel.within - np.diagonal(kernel.between, axis1=1, axis2=2)


def _distance_of_network(network: Network, inputs: NetworkInputs) -> Array:
    return centroid_distance_sq_of_features(normalized_features(inputs.features), inputs.class_weights)


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
