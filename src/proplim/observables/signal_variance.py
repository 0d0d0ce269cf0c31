"""<(w.u)^2> along the signal direction u = B a/|B a| of the proportional theory (docs/theory.md, eq. 3.13)."""

from proplim.observables._base import ManyOutputs, Observable, add
from proplim.observables._contexts import Array, Network, State


def _of_state(state: State) -> Array:
    return state.signal_variance


def _of_network(network: Network) -> Array:
    return (network.signal_weights**2).mean()


def _of_outputs(network: Network) -> Array:
    return (network.signal_weights**2).mean(0)


add(
    Observable(
        "signal_variance",
        "posterior second moment of the hidden weights along the signal direction u",
        r"\langle (w\cdot u)^2\rangle",
        from_state=_of_state,
        from_network=_of_network,
        order=50,
        many=ManyOutputs(("output",), from_network=_of_outputs),
    )
)
