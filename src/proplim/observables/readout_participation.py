"""Share of the units that take part in the readout: 1/N for one heavy unit, 1/3 for Gaussian weights.

Of C outputs v_i^2 is the squared norm of the weights of a unit; alike Gaussian ones give C/(C + 2).
"""

from proplim.observables._base import ManyOutputs, Observable, add
from proplim.observables._contexts import Array, Network


def _of_network(network: Network) -> Array:
    squares = network.readout**2
    return squares.sum() ** 2 / (len(squares) * (squares**2).sum())


def _of_outputs(network: Network) -> Array:
    squares = (network.readout**2).sum(-1)
    return squares.sum() ** 2 / (len(squares) * (squares**2).sum())


add(
    Observable(
        "readout_participation",
        "participation ratio of the readout weights, (sum v^2)^2/(N sum v^4)",
        r"(\sum v^2)^2/(N\sum v^4)",
        from_network=_of_network,
        stages=("theory", "sampling", "dynamics"),
        order=135,
        many=ManyOutputs(from_network=_of_outputs),
    )
)
