"""What a prepared data set is: inputs and labels, train and test, as every later stage uses them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from proplim.errors import InvalidInput
from proplim.geometry import LABELS

ARRAYS = ("x_train", "y_train", "x_test", "y_test")
"""Names of the arrays of a data set."""


@dataclass(frozen=True, eq=False)
class Dataset:
    """Training and test inputs with their labels; equal to another one that holds the same.

    The arrays are copies of those given.

    Parameters
    ----------
    x_train : (P, N0) array
    y_train : (P,) array
    x_test : (P_test, N0) array
        May have no rows; test observables are then NaN.
    y_test : (P_test,) array
    identity : str
        What the data are, for seeds: equal data have equal identities on every machine. Left empty, it is
        the hash of the arrays as given.

    Raises
    ------
    InvalidInput
        If shapes disagree or a value is not finite.
    """

    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    identity: str = ""

    def __post_init__(self) -> None:
        for name in ARRAYS:
            value = np.array(getattr(self, name), dtype=np.float64, order="C")
            object.__setattr__(self, name, value)
            if value.ndim != (2 if name[0] == "x" else 1):
                raise InvalidInput(name, f"shape {value.shape}", "inputs are (P, N0), labels are (P,)")
            if not np.isfinite(value).all():
                raise InvalidInput(
                    name, f"{int((~np.isfinite(value)).sum())} NaN or infinite values", "finite numbers"
                )
        for split in ("train", "test"):
            x, y = getattr(self, f"x_{split}"), getattr(self, f"y_{split}")
            if len(x) != len(y):
                raise InvalidInput(
                    f"y_{split}", f"{len(y)} labels", f"one label for each of the {len(x)} inputs"
                )
        if self.x_test.shape[1] != self.n_features:
            raise InvalidInput(
                "x_test", f"{self.x_test.shape[1]} features", f"{self.n_features} as in x_train"
            )
        if self.n_train < 1 or self.n_features < 1:
            raise InvalidInput("x_train", f"shape {self.x_train.shape}", "at least one input and one feature")
        if not self.identity:
            digest = hashlib.sha256()
            for name in ARRAYS:
                value = getattr(self, name)
                digest.update(repr(value.shape).encode() + value.tobytes())
            object.__setattr__(self, "identity", f"arrays:{digest.hexdigest()[:16]}")

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Dataset):
            return NotImplemented
        return self.identity == other.identity and all(
            np.array_equal(getattr(self, name), getattr(other, name)) for name in ARRAYS
        )

    def __hash__(self) -> int:
        return hash(self.identity)

    @property
    def labels(self) -> tuple[int, ...]:
        """Labels of the classes, in order: the values of the `label` axis."""
        return LABELS

    @property
    def n_train(self) -> int:
        """P."""
        return self.x_train.shape[0]

    @property
    def n_test(self) -> int:
        """Number of test inputs."""
        return self.x_test.shape[0]

    @property
    def n_features(self) -> int:
        """N0."""
        return self.x_train.shape[1]
