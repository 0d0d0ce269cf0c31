"""D, the squared distance of the class centroids in feature space (docs/theory.md, section 4)."""

from proplim.geometry import centroid_distance_sq_of_features, contrast
from proplim.observables._base import Observable, add
from proplim.observables._contexts import Array, Network, NetworkInputs, State, StateInputs


def _of_state(state: State, inputs: StateInputs) -> Array:
    return inputs.feature_form(contrast(inputs.class_weights))


def _of_network(network: Network, inputs: NetworkInputs) -> Array:
    return centroid_distance_sq_of_features(inputs.features, inputs.class_weights)


add(
    Observable(
        "centroid_distance_sq",
        "squared distance of the class centroids in feature space",
        "D",
        ("split",),
        from_state=_of_state,
        from_network=_of_network,
        order=70,
    )
)
