"""Which class the mean predictor takes inputs of a class for (docs/multiclass.md)."""

import numpy as np

from proplim.observables._base import Observable, add
from proplim.observables._contexts import Array, State, StateInputs


def _of_state(state: State, inputs: StateInputs) -> Array:
    """Shares of the inputs of every class whose largest output is each, (n, C, C)."""
    largest = inputs.mean.argmax(-1)
    chosen = largest[:, :, None] == np.arange(len(inputs.class_weights))
    return np.einsum("sm,nmc->nsc", inputs.class_weights, chosen.astype(float))


add(
    Observable(
        "confusion",
        "share of the inputs of the class of one output for which another output of the mean predictor is the largest",
        r"p(c'\,|\,c)",
        ("split", "output", "output2"),
        from_state=_of_state,
        order=125,
        drawn=False,
        of_many_alone=True,
    )
)
