"""Colour, line and name in legends of everything that is told apart: theories, optimizers, classes."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
"""Okabe and Ito's colours, safe for colour blindness."""
SAMPLING_COLOR = "#000000"
LINES = ("-", "--", "-.", ":")
MARKERS = ("o", "s", "D", "^", "v", "P", "X", "<", ">")
_FREE = ("#CC79A7", "#E69F00", "#56B4E9", "#8C6D31", "#7B3F99")
"""Colours for what brings none of its own."""


@dataclass(frozen=True)
class Look:
    """Colour, line style and name in legends of a theory or an optimizer."""

    color: str
    linestyle: str
    title: str


_APPROXIMATIONS: dict[str, Look] = {
    "infinite_width": Look("#666666", "--", "infinite width"),
    "proportional": Look("#0072B2", "-", "proportional"),
    "cavity": Look("#D55E00", "-.", "cavity"),
    "exact": Look("#009E73", ":", "exact (linear)"),
}
_OPTIMIZERS: dict[str, Look] = {
    "gradient_descent": Look("#CC79A7", "-", "gradient descent"),
    "gradient_flow": Look("#7B3F99", "-", "gradient flow"),
    "sgd": Look("#E69F00", "-", "sgd"),
    "langevin": Look("#56B4E9", "-", "langevin"),
    "adam": Look("#8C6D31", "-", "adam"),
}


def approximation_look(name: str) -> Look:
    """Look of a theory; one that brings none gets a colour and a line by its name, the same everywhere."""
    return _APPROXIMATIONS.get(name) or automatic_look(name)


def optimizer_look(name: str) -> Look:
    """Look of an optimizer; one that brings none gets a colour by its name, the same everywhere."""
    return _OPTIMIZERS.get(name) or automatic_look(name)


def automatic_look(name: str) -> Look:
    """A colour and a line drawn from the name alone."""
    number = zlib.crc32(name.encode())
    return Look(_FREE[number % len(_FREE)], LINES[number // len(_FREE) % len(LINES)], words(name))


def words(name: object) -> str:
    """A name as it is read: underscores are spaces."""
    return str(name).replace("_", " ")


def class_line(index: int, count: int) -> str:
    """Line style of a class: the last of them solid."""
    return LINES[(count - 1 - index) % len(LINES)]


def class_marker(index: int, count: int) -> str:
    """Marker of a class: the last of them a disc."""
    return MARKERS[(count - 1 - index) % len(MARKERS)]


def class_name(label: float, symbol: str = "y") -> str:
    """A class as a legend names it, from the label in the cube's coordinate: y = +1."""
    sign = "+" if isinstance(label, int | float) and label in (-1, 1) else ""
    return f"${symbol}={label:{sign}g}$" if isinstance(label, int | float) else f"${symbol}$: {words(label)}"
