"""<v_c v_c'>, the second moments of the readout weights of a unit on C outputs (docs/multiclass.md)."""

from proplim.observables._base import Observable, add
from proplim.observables._contexts import Array, Network, OutputsDraw, OutputsState


def _of_state(state: OutputsState) -> Array:
    return state.readout_covariance


def _of_network(network: Network) -> Array:
    return network.readout.T @ network.readout / len(network.readout)


def _of_draw(draw: OutputsDraw) -> Array:
    return draw.readout_second_moments


add(
    Observable(
        "readout_covariance",
        "posterior second moments of the readout weights of a unit on two outputs",
        r"\langle v_c v_{c'}\rangle",
        ("output", "output2"),
        from_state=_of_state,
        from_network=_of_network,
        from_draw=_of_draw,
        order=35,
        of_many_alone=True,
    )
)
