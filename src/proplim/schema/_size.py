"""Sizes of a data set, from which costs are estimated."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Size:
    """P, number of test inputs, N0, number of outputs."""

    n_train: int
    n_test: int
    n_features: int
    n_outputs: int = 1

    @property
    def rank(self) -> int:
        """Bound on the dimension of the row space of the training inputs."""
        return min(self.n_train, self.n_features)
