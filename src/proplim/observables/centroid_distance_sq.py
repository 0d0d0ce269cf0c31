"""D, the squared distance of the class centroids in feature space (docs/theory.md, section 4)."""

import numpy as np

from proplim.geometry import (
    centroid_distance_sq_of_features,
    contrast,
    pair_contrasts,
    pair_distances_sq_of_features,
)
from proplim.observables._base import ManyOutputs, Observable, add
from proplim.observables._contexts import Array, Network, NetworkInputs, State, StateInputs


def _of_state(state: State, inputs: StateInputs) -> Array:
    return inputs.feature_form(contrast(inputs.class_weights))


def _of_network(network: Network, inputs: NetworkInputs) -> Array:
    return centroid_distance_sq_of_features(inputs.features, inputs.class_weights)


def _pairs_of_state(state: State, inputs: StateInputs) -> Array:
    return np.stack([inputs.feature_form(c) for c in pair_contrasts(inputs.class_weights)], axis=-1)


def _pairs_of_network(network: Network, inputs: NetworkInputs) -> Array:
    return pair_distances_sq_of_features(inputs.features, inputs.class_weights)


add(
    Observable(
        "centroid_distance_sq",
        "squared distance of the class centroids in feature space",
        "D",
        ("split",),
        from_state=_of_state,
        from_network=_of_network,
        order=70,
        many=ManyOutputs(("split", "pair"), from_state=_pairs_of_state, from_network=_pairs_of_network),
    )
)
