"""Colour, line and name in legends of everything that is told apart: theories, optimizers, classes."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

from proplim.dynamics import OPTIMIZERS
from proplim.theory import APPROXIMATIONS

PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
"""Okabe and Ito's colours, safe for colour blindness."""
SAMPLING_COLOR = "#000000"
LINES = ("-", "--", "-.", ":")
MARKERS = ("o", "s", "D", "^", "v", "P", "X", "<", ">")
_FREE = ("#882255", "#44AA99", "#999933", "#AA4499", "#332288")
"""Colours for what brings none of its own."""


@dataclass(frozen=True)
class Look:
    """Colour, line style and name in legends of a theory or an optimizer."""

    color: str
    linestyle: str
    title: str


def approximation_look(name: str) -> Look:
    """Look of a theory; what it does not bring is chosen by its name, the same everywhere."""
    chosen = _automatic(name)
    if name not in APPROXIMATIONS:  # a cube of a study whose own files are not loaded
        return chosen
    known = APPROXIMATIONS.get(name)
    return Look(known.look.color or chosen.color, known.look.linestyle or chosen.linestyle, known.label)


def optimizer_look(name: str) -> Look:
    """Look of an optimizer; what it does not bring is chosen by its name, the same everywhere."""
    chosen = _automatic(name)
    if name not in OPTIMIZERS:
        return chosen
    known = OPTIMIZERS.get(name)
    return Look(known.color or chosen.color, known.linestyle or chosen.linestyle, known.title or chosen.title)


def _automatic(name: str) -> Look:
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


def class_name(label: float | str, symbol: str = "y") -> str:
    """A class as a legend names it, from the label in the cube's coordinate: y = +1, class 3, output = 0."""
    if symbol == "y":
        return f"$y={label:+g}$" if isinstance(label, int | float) and label in (-1, 1) else f"class {label}"
    return f"${symbol}={label:g}$" if isinstance(label, int | float) else f"${symbol}$: {words(label)}"
