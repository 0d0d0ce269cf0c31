"""<v (w.u)>: readout and hidden weights of a unit become correlated (docs/theory.md, eq. 3.13)."""

from proplim.observables._base import ManyOutputs, Observable, add
from proplim.observables._contexts import Array, Draw, Network, State


def _of_state(state: State) -> Array:
    return state.readout_signal_covariance


def _of_network(network: Network) -> Array:
    return (network.readout * network.signal_weights).mean()


def _of_draw(draw: Draw) -> Array:
    return (draw.readout_mean * draw.signal_weights).mean()


def _of_outputs(network: Network) -> Array:
    return (network.readout * network.signal_weights).mean(0)


def _of_outputs_of_draw(draw: Draw) -> Array:
    return (draw.readout_mean * draw.signal_weights).mean(0)


add(
    Observable(
        "readout_signal_covariance",
        "posterior covariance of readout weight and hidden weights along the signal direction u",
        r"\langle v\,(w\cdot u)\rangle",
        from_state=_of_state,
        from_network=_of_network,
        from_draw=_of_draw,
        order=60,
        many=ManyOutputs(("output",), from_network=_of_outputs, from_draw=_of_outputs_of_draw),
    )
)
