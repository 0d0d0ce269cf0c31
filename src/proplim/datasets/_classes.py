"""Classes: what a user calls them, which inputs are of them, and the labels that a task gives them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import numpy as np
from pydantic import BeforeValidator

from proplim.errors import InvalidInput
from proplim.geometry import LABELS, pair_names

CENTRED, ONE_HOT = "centred", "one_hot"
"""Kinds of targets of three and more classes."""
NAMED = 12
"""Labels of a data set that a message lists."""


def class_name(value: Any) -> int | str:
    """What a class or a label is compared by: a whole number (true is 1, 3.0 is 3), or a text.

    Raises
    ------
    ValueError
        If it is neither.
    """
    plain = value.item() if isinstance(value, np.generic) else value
    if isinstance(plain, str):
        return plain
    if isinstance(plain, bool | int) or (isinstance(plain, float) and plain.is_integer()):
        return int(plain)
    raise ValueError("an integer, a text, true or false")


ClassName = Annotated[int | str, BeforeValidator(class_name)]
"""Type of a class in a configuration."""


def check_task(classes: tuple) -> tuple:
    """Refuse classes that make no task.

    Raises
    ------
    ValueError
        If there are fewer than two, or one comes twice.
    """
    if len(classes) < len(LABELS):
        raise ValueError("two classes, the first for y = -1 and the second for +1, or three and more")
    if len(set(classes)) < len(classes):
        number = "two" if len(classes) == len(LABELS) else str(len(classes))
        raise ValueError(f"{number} different classes")
    return classes


def task_labels(n_classes: int) -> tuple[int, ...]:
    """Labels of the classes of a task, in order: -1 and +1 of two classes, else the numbers of the classes."""
    return LABELS if n_classes == len(LABELS) else tuple(range(n_classes))


def n_classes_of(settings: Any) -> int:
    """Number of classes that a data set has by its settings."""
    chosen = getattr(settings, "classes", None)
    return len(chosen) if chosen else int(getattr(settings, "n_classes", len(LABELS)))


def outputs_of(n_classes: int) -> int:
    """Outputs of a network for that many classes: one for two, else one for each."""
    return 1 if n_classes == len(LABELS) else n_classes


def labels_of(settings: Any) -> tuple[int, ...]:
    """Labels by which a draw knows the classes that a data set has by its settings, see :func:`task_labels`."""
    return task_labels(n_classes_of(settings))


def names_of(settings: Any) -> tuple[int | str, ...]:
    """Values of the `label` axis that a data set has by its settings: -1 and +1 of two classes, else the classes."""
    labels = labels_of(settings)
    chosen = getattr(settings, "classes", None)
    return tuple(chosen) if chosen and len(labels) > len(LABELS) else labels


def targets_of(numbers: np.ndarray, n_classes: int, targets: str) -> np.ndarray:
    """Targets of C outputs, one for each class (docs/multiclass.md).

    Parameters
    ----------
    numbers : (P,) array
        Class of every input, from 0 to C - 1.
    n_classes : int
        C.
    targets : {"centred", "one_hot"}

    Returns
    -------
    (P, C) array
        Kronecker's delta of class and output, centred: minus 1/C, so that the targets of an input sum to zero.
    """
    one_hot = np.eye(n_classes)[np.asarray(numbers, dtype=int)]
    return one_hot - 1.0 / n_classes if targets == CENTRED else one_hot


def class_coords(labels: Sequence[int | str], n_outputs: int) -> dict[str, list]:
    """Dimensions that classes with these labels have in results, and their coordinates.

    One output has `label` alone; C outputs also `pair` (of classes), `output` and `output2` (by number).
    """
    coords: dict[str, list] = {"label": list(labels)}
    if n_outputs > 1:
        outputs = list(range(n_outputs))
        coords |= {"pair": pair_names(labels), "output": outputs, "output2": outputs}
    return coords


def class_coords_of(settings: Sequence[Any]) -> dict[str, list]:
    """The same of all data sets of a study, by their settings: the union, as texts where there are texts among them."""
    coords: dict[str, list] = {}
    for labels in map(names_of, settings):
        for dim, values in class_coords(labels, outputs_of(len(labels))).items():
            known = coords.setdefault(dim, [])
            known += [value for value in values if value not in known]
    if any(isinstance(label, str) for label in coords["label"]):
        coords["label"] = list(dict.fromkeys(map(str, coords["label"])))
    return coords


def of_classes(found: np.ndarray, classes: Sequence[int | str]) -> tuple[np.ndarray, np.ndarray]:
    """Choose the inputs of some classes.

    Parameters
    ----------
    found : (M,) array
        What every input of the data is: numbers, booleans or texts.
    classes : sequence of int or str

    Returns
    -------
    chosen : (n,) array
        Positions of the inputs of these classes, in order.
    y : (n,) array
        The label that the task gives each of them.

    Raises
    ------
    InvalidInput
        If a class has no input.
    """
    numbers = np.full(len(found), -1)
    for number, name in enumerate(classes):
        same_kind = isinstance(name, str) == (found.dtype.kind == "U")
        members = found == name if same_kind else np.zeros(len(found), dtype=bool)
        if not members.any():
            raise InvalidInput("classes", name, f"a class of this data set: {_listed(found)}")
        numbers[members] = number
    chosen = np.flatnonzero(numbers >= 0)
    return chosen, np.asarray(task_labels(len(classes)), dtype=np.float64)[numbers[chosen]]


def _listed(found: np.ndarray) -> str:
    values = np.unique(found).tolist()
    shown = ", ".join(repr(v) if isinstance(v, str) else f"{v:g}" for v in values[:NAMED])
    return shown if len(values) <= NAMED else f"{shown}, … ({len(values)} labels)"
