"""Share of the labels that the unit with the largest readout weight carries by itself (docs/condensed.md)."""

from proplim.observables._base import ManyOutputs, Observable, add
from proplim.observables._contexts import Array, Network


def _of_network(network: Network) -> Array:
    readout, y = network.readout, network.train.y
    heavy = abs(readout).argmax()
    return readout[heavy] * (network.train.features[:, heavy] @ y) / (len(readout) ** 0.5 * (y @ y))


def _of_outputs(network: Network) -> Array:
    """The same of the unit whose readout weights have the largest norm, summed over outputs."""
    readout, y = network.readout, network.train.y
    heavy = (readout**2).sum(-1).argmax()
    return (network.train.features[:, heavy] @ y @ readout[heavy]) / (len(readout) ** 0.5 * (y**2).sum())


add(
    Observable(
        "heavy_unit_share",
        "share of the labels that the unit with the largest readout weight carries",
        r"v_\star\,s_\star\!\cdot y/(\sqrt{N}\,|y|^2)",
        from_network=_of_network,
        stages=("theory", "sampling", "dynamics"),
        order=130,
        many=ManyOutputs(from_network=_of_outputs),
    )
)
