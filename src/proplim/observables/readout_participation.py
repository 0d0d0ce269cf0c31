"""Share of the units that take part in the readout: 1/N for one heavy unit, 1/3 for Gaussian weights."""

from proplim.observables._base import Observable, add
from proplim.observables._contexts import Array, Network


def _of_network(network: Network) -> Array:
    squares = network.readout**2
    return squares.sum() ** 2 / (len(squares) * (squares**2).sum())


add(
    Observable(
        "readout_participation",
        "participation ratio of the readout weights, (sum v^2)^2/(N sum v^4)",
        r"(\sum v^2)^2/(N\sum v^4)",
        from_network=_of_network,
        stages=("theory", "sampling", "dynamics"),
        order=135,
    )
)
