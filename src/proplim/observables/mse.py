"""Errors of the predictor: <(y - f)^2>, its bias and variance, and the accuracy of the mean predictor.

Of C outputs errors are means over inputs and outputs, and the predicted class is that of the largest output.
"""

from proplim.geometry import class_numbers
from proplim.observables._base import ManyOutputs, Observable, add
from proplim.observables._contexts import Array, Draw, DrawInputs, Network, NetworkInputs, State, StateInputs

_SPLIT = ("split",)
_ALL = ("theory", "sampling", "dynamics")


def _mse_of_state(state: State, inputs: StateInputs) -> Array:
    return inputs.bias_sq + inputs.predictive_variance


def _mse_of_network(network: Network, inputs: NetworkInputs) -> Array:
    return ((inputs.y - inputs.output) ** 2).mean()


def _mse_of_draw(draw: Draw, inputs: DrawInputs) -> Array:
    return ((inputs.y - inputs.output) ** 2).mean() + inputs.output_variance


def _bias_of_state(state: State, inputs: StateInputs) -> Array:
    return inputs.bias_sq


def _variance_of_state(state: State, inputs: StateInputs) -> Array:
    return inputs.predictive_variance


def _accuracy_of_state(state: State, inputs: StateInputs) -> Array:
    return (inputs.mean * inputs.targets > 0.0).mean(-1)


def _accuracy_of_outputs(state: State, inputs: StateInputs) -> Array:
    return (inputs.mean.argmax(-1) == class_numbers(inputs.class_weights)).mean(-1)


def _mse_label_of_network(network: Network, inputs: NetworkInputs) -> Array:
    return inputs.class_weights @ (inputs.y - inputs.output) ** 2


def _mse_label_of_outputs(network: Network, inputs: NetworkInputs) -> Array:
    return inputs.class_weights @ ((inputs.y - inputs.output) ** 2).mean(-1)


add(
    Observable(
        "mse",
        "mean squared error over the posterior and the inputs",
        r"\langle (y-f)^2\rangle",
        _SPLIT,
        from_state=_mse_of_state,
        from_network=_mse_of_network,
        from_draw=_mse_of_draw,
        order=90,
    )
)
# Bias, variance and accuracy belong to the mean predictor: sampling and dynamics find them from all draws and
# all replicas together.
add(
    Observable(
        "bias_sq",
        "squared bias of the posterior predictor",
        r"\mathrm{bias}^2",
        _SPLIT,
        from_state=_bias_of_state,
        stages=_ALL,
        order=100,
        drawn=False,
    )
)
add(
    Observable(
        "predictive_variance",
        "variance of the posterior predictor",
        r"\mathrm{Var} f",
        _SPLIT,
        from_state=_variance_of_state,
        stages=_ALL,
        order=110,
        drawn=False,
    )
)
add(
    Observable(
        "accuracy",
        "accuracy of the sign of the mean predictor",
        r"\mathrm{accuracy}",
        _SPLIT,
        from_state=_accuracy_of_state,
        stages=_ALL,
        order=120,
        many=ManyOutputs(
            long_name="accuracy of the largest output of the mean predictor", from_state=_accuracy_of_outputs
        ),
    )
)
add(
    Observable(
        "mse_label",
        "mean squared error on the inputs of a class",
        r"\langle (y-f)^2\rangle_s",
        ("split", "label"),
        from_network=_mse_label_of_network,
        stages=("dynamics",),
        order=200,
        many=ManyOutputs(from_network=_mse_label_of_outputs),
        drawn=False,
    )
)
