"""<v^2>, the second moment of the readout weights (docs/theory.md, section 3)."""

from proplim.observables._base import Observable, add
from proplim.observables._contexts import Array, Draw, Network, State


def _of_state(state: State) -> Array:
    return state.readout_variance


def _of_network(network: Network) -> Array:
    return (network.readout**2).mean()


def _of_draw(draw: Draw) -> Array:
    return draw.readout_second_moment


add(
    Observable(
        "readout_variance",
        "posterior second moment of the readout weights",
        r"\langle v^2\rangle",
        from_state=_of_state,
        from_network=_of_network,
        from_draw=_of_draw,
        order=30,
    )
)
