"""Dimensions of the cubes beside the axes of the grid."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Dimension:
    """A dimension of a cube that is no axis of the grid.

    Parameters
    ----------
    name, long_name : str
    units : str or None
        None for names.
    chunk_rank : int or None
        Where it stands among the axes when a chunk of a cube is filled (:class:`proplim.schema.Axis`); None: a
        chunk always holds all of it.
    """

    name: str
    long_name: str
    units: str | None = None
    chunk_rank: int | None = None

    @property
    def attributes(self) -> dict[str, str]:
        """Attributes of the coordinate in a cube."""
        return {"long_name": self.long_name} | ({"units": self.units} if self.units else {})


DIMENSIONS: dict[str, Dimension] = {
    d.name: d
    for d in (
        Dimension("approximation", "theory"),
        Dimension("statistic", "statistic of the posterior draws"),
        Dimension("optimizer", "optimizer"),
        Dimension("replica", "network trained from its own draw of the prior", "1", chunk_rank=5),
        Dimension("time", "continuous time, learning rate times step", "1", chunk_rank=2),
        Dimension("split", "training or test inputs"),
        Dimension("label", "class label", "1"),
        Dimension("pair", "pair of classes"),
        Dimension("output", "output of the network, one for each class", "1"),
        Dimension("output2", "second output of the network, one for each class", "1"),
    )
}
"""Name -> dimension: a stage's own ones first, then those of its variables, in the order of a cube's dimensions.

Cubes of three and more classes alone have `pair`, `output` and `output2`.
"""
