"""What a prepared data set is: inputs, targets and classes, train and test, as every later stage uses them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from proplim.errors import InvalidInput
from proplim.geometry import LABELS, class_weights, class_weights_of_numbers

ARRAYS = ("x_train", "y_train", "x_test", "y_test")
"""Names of the arrays of a data set."""
CLASS_ARRAYS = ("class_train", "class_test")
"""Names of the arrays beside them of many outputs."""


@dataclass(frozen=True, eq=False)
class Dataset:
    """Training and test inputs with their labels or targets; equal to another one that holds the same.

    The arrays are copies of those given.

    Parameters
    ----------
    x_train : (P, N0) array
    y_train : (P,) or (P, C) array
        Labels, whose sign is the class, of one output; or the targets Y of C >= 2 outputs, one for each of C classes.
    x_test : (P_test, N0) array
        May have no rows; test observables are then NaN.
    y_test : (P_test,) or (P_test, C) array
    identity : str
        What the data are, for seeds: equal data have equal identities on every machine. Left empty, it is
        the hash of the arrays as given.
    classes : tuple of int or str
        Of C outputs what each class is called, in order; by default the numbers 0 to C - 1. Empty for one output.
    class_train, class_test : (P,) and (P_test,) int arrays
        Of C outputs the number of every input's class, 0 to C - 1; by default the output with the largest target.
        None for one output.

    Raises
    ------
    InvalidInput
        If shapes disagree, a value is not finite, or a class is none of 0 to C - 1.
    """

    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    identity: str = ""
    classes: tuple[int | str, ...] = ()
    class_train: np.ndarray | None = None
    class_test: np.ndarray | None = None

    def __post_init__(self) -> None:
        for name in ARRAYS:
            value = np.array(getattr(self, name), dtype=np.float64, order="C")
            object.__setattr__(self, name, value)
            if value.ndim not in ((2,) if name[0] == "x" else (1, 2)) or (
                name[0] == "y" and value.shape[1:] == (1,)
            ):
                raise InvalidInput(
                    name,
                    f"shape {value.shape}",
                    "inputs are (P, N0), labels are (P,), targets of C >= 2 outputs (P, C)",
                )
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
        self._set_classes()
        if not self.identity:
            digest = hashlib.sha256()
            for name in ARRAYS:
                value = getattr(self, name)
                digest.update(repr(value.shape).encode() + value.tobytes())
            if self.n_outputs > 1:
                digest.update(repr(self.classes).encode())
                for numbers in (self.class_train, self.class_test):
                    digest.update(np.asarray(numbers, dtype="<i8").tobytes())
            object.__setattr__(self, "identity", f"arrays:{digest.hexdigest()[:16]}")

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Dataset):
            return NotImplemented
        return self.identity == other.identity and all(
            np.array_equal(getattr(self, name), getattr(other, name)) for name in (*ARRAYS, *CLASS_ARRAYS)
        )

    def __hash__(self) -> int:
        return hash(self.identity)

    def _set_classes(self) -> None:
        """Classes of many outputs, as given or by default; none of one output."""
        if self.y_test.shape[1:] != self.y_train.shape[1:]:
            raise InvalidInput(
                "y_test", f"shape {self.y_test.shape}", f"outputs as y_train, shape {self.y_train.shape}"
            )
        if self.n_outputs == 1:
            for name in ("classes", *CLASS_ARRAYS):
                if (value := getattr(self, name)) is not None and len(value):
                    raise InvalidInput(
                        name, value, "left out: the sign of a label is the class of one output"
                    )
            object.__setattr__(self, "class_train", None)
            object.__setattr__(self, "class_test", None)
            return
        names = tuple(self.classes) or tuple(range(self.n_outputs))
        if len(set(names)) != self.n_outputs:
            raise InvalidInput("classes", names, f"{self.n_outputs} different ones, one for each output")
        object.__setattr__(self, "classes", names)
        for name in CLASS_ARRAYS:
            y = getattr(self, name.replace("class", "y"))
            given = getattr(self, name)
            numbers = np.array(y.argmax(axis=1) if given is None else given, dtype=np.int64)
            if numbers.shape != y.shape[:1] or not np.isin(numbers, np.arange(self.n_outputs)).all():
                raise InvalidInput(
                    name, f"shape {numbers.shape}", f"{len(y)} whole numbers from 0 to {self.n_outputs - 1}"
                )
            object.__setattr__(self, name, numbers)

    @property
    def labels(self) -> tuple[int | str, ...]:
        """What the classes are called, in order: the values of the `label` axis."""
        return self.classes or LABELS

    @property
    def n_outputs(self) -> int:
        """Outputs of a network for these data: one for two classes -1 and +1, else C."""
        return self.y_train.shape[1] if self.y_train.ndim == 2 else 1

    @cached_property
    def weights_train(self) -> np.ndarray:
        """Averaging vectors u_s of the classes on the training inputs, (number of classes, P)."""
        return _weights(self.y_train, self.class_train)

    @cached_property
    def weights_test(self) -> np.ndarray:
        """Averaging vectors u_s of the classes on the test inputs, (number of classes, P_test)."""
        return _weights(self.y_test, self.class_test)

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


def _weights(y: np.ndarray, numbers: np.ndarray | None) -> np.ndarray:
    return class_weights(y) if numbers is None else class_weights_of_numbers(numbers, y.shape[1])
