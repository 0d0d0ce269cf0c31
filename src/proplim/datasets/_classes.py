"""Classes: what a user calls them, which inputs are of them, and the labels that a task gives them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import numpy as np
from pydantic import BeforeValidator

from proplim.errors import InvalidInput
from proplim.geometry import LABELS

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
        If there are fewer than two, one comes twice, or there are three or more.
    """
    if len(classes) < len(LABELS):
        raise ValueError("two classes, the first for y = -1 and the second for +1")
    if len(set(classes)) < len(classes):
        raise ValueError("two different classes")
    if len(classes) > len(LABELS):
        raise ValueError("two classes; three or more are not supported")
    return classes


def task_labels(n_classes: int) -> tuple[int, ...]:
    """Labels of the classes of a task, in order: -1 and +1 of two classes, else the numbers of the classes."""
    return LABELS if n_classes == len(LABELS) else tuple(range(n_classes))


def labels_of(settings: Any) -> tuple[int, ...]:
    """Labels of the classes that a data set has by its settings."""
    return task_labels(len(getattr(settings, "classes", None) or LABELS))


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
