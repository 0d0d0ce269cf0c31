"""R_s^2, the squared gyration radius of a class in feature space (docs/theory.md, section 4)."""

import numpy as np

from proplim.geometry import gyration_radius_sq_of_features
from proplim.observables._base import Observable, add
from proplim.observables._contexts import Array, Network, NetworkInputs, State, StateInputs


def _of_state(state: State, inputs: StateInputs) -> Array:
    return np.stack([inputs.feature_spread(weights) for weights in inputs.class_weights], axis=-1)


def _of_network(network: Network, inputs: NetworkInputs) -> Array:
    return gyration_radius_sq_of_features(inputs.features, inputs.class_weights)


add(
    Observable(
        "gyration_radius_sq",
        "squared gyration radius of a class in feature space",
        "R_s^2",
        ("split", "label"),
        from_state=_of_state,
        from_network=_of_network,
        order=80,
    )
)
