"""What is recorded of a network in training alone: alignments, the tangent kernel, the step."""

from proplim.geometry import alignment, alignment_of_outputs
from proplim.observables._base import ManyOutputs, Observable, add
from proplim.observables._contexts import Array, Network, NetworkInputs

_DYNAMICS = ("dynamics",)


def _kernel_alignment(network: Network, inputs: NetworkInputs) -> Array:
    features = inputs.features
    return alignment(features @ features.T / features.shape[-1], inputs.y)


def _kernel_alignment_of_outputs(network: Network, inputs: NetworkInputs) -> Array:
    features = inputs.features
    return alignment_of_outputs(features @ features.T / features.shape[-1], inputs.y)


def _tangent_kernel_alignment(network: Network) -> Array:
    return alignment(network.tangent_kernel, network.train.y)


def _tangent_kernel_alignment_of_outputs(network: Network) -> Array:
    return alignment(network.tangent_kernel, network.train.y.reshape(-1))


def _tangent_kernel_max(network: Network) -> Array:
    return network.tangent_kernel_max


add(
    Observable(
        "kernel_alignment",
        "alignment of the feature kernel with the labels",
        r"y^\top G y/(|y|^2\,\Vert G\Vert)",
        ("split",),
        from_network=_kernel_alignment,
        stages=_DYNAMICS,
        order=210,
        drawn=False,
        many=ManyOutputs(from_network=_kernel_alignment_of_outputs),
    )
)
add(
    Observable(
        "tangent_kernel_alignment",
        "alignment of the tangent kernel with the training labels",
        r"y^\top\Theta y/(|y|^2\,\Vert\Theta\Vert)",
        from_network=_tangent_kernel_alignment,
        stages=_DYNAMICS,
        order=220,
        drawn=False,
        many=ManyOutputs(from_network=_tangent_kernel_alignment_of_outputs),
    )
)
add(
    Observable(
        "tangent_kernel_max",
        "largest eigenvalue of the tangent kernel on the training inputs",
        r"\lambda_{\max}(\Theta)",
        from_network=_tangent_kernel_max,
        stages=_DYNAMICS,
        order=230,
        drawn=False,
    )
)
add(
    Observable(
        "learning_rate",
        "step of the optimizer in units of time",
        r"\eta",
        stages=_DYNAMICS,
        order=270,
        drawn=False,
    )
)
add(
    Observable(
        "step_fraction",
        "step of the optimizer as a fraction of its stability limit at the start (NaN: no step or no limit)",
        r"\eta/\eta_{\max}",
        stages=_DYNAMICS,
        order=271,
        drawn=False,
    )
)
