"""Which variables no figure of their own shows, and how they are labelled."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from typing import Any

import numpy as np

from proplim.figures._base import FIGURES, Cubes
from proplim.figures._looks import words
from proplim.figures._pages import INPUTS
from proplim.figures._panels import symbol
from proplim.figures._slices import values_of
from proplim.observables import ERROR, OBSERVABLES
from proplim.schema import SPLITS
from proplim.theory import APPROXIMATIONS

BOOKKEEPING = ("converged", "reason")
"""Variables that say how a point went."""
LABEL_LETTERS = 30
"""Length of a line of a label: the height of one row of panels."""
WORD = r"\mathrm{"
"""A symbol that is a word says nothing beside the words."""
DECADES = 3.0
"""Positive values that span more decades than this are drawn on a logarithmic axis."""


def unshown(cubes: Cubes, axis: str) -> list[str]:
    """Variables along `axis` that no figure names among those it shows, in the order of tables.

    Evidence and diagnostics are left out: they stand in the cubes. Errors are drawn with what they belong to, if
    at all.
    """
    shown = {name for figure in FIGURES.members() for name in figure.shows} | set(BOOKKEEPING)
    shown |= {v.name for v in OBSERVABLES.members() if not v.drawn}
    shown |= {name for theory in APPROXIMATIONS.members() for name in theory.evidence}
    found: dict[str, None] = {}
    for cube in cubes.values():
        for name, values in cube.data_vars.items():
            if axis in values.dims and values.dtype.kind in "fiu" and np.isfinite(values.values).any():
                found[str(name)] = None
    return sorted((n for n in found if n not in shown and not n.endswith(ERROR)), key=_rank)


def _rank(name: str) -> tuple[int, str]:
    return (OBSERVABLES.get(name).order if name in OBSERVABLES else 10**6, name)


def splits_of(cubes: Cubes, name: str) -> list[str | None]:
    """Kinds of inputs that a variable is of; None alone for one that is of no inputs."""
    if not any(name in c and "split" in c[name].dims for c in cubes.values()):
        return [None]
    there = values_of(cubes, "split")
    return [split for split in SPLITS if split in there]


def spans_decades(cubes: Cubes, name: str, where: dict[str, Any]) -> bool:
    """Whether all values of a variable are positive and too far apart for a linear axis."""
    parts = [c[name].sel(**where) for c in cubes.values() if name in c]
    parts = [p.sel(statistic="mean") if "statistic" in p.dims else p for p in parts]
    values = np.concatenate([p.values[np.isfinite(p.values)] for p in parts])
    return bool(values.size and values.min() > 0 and np.log10(values.max() / values.min()) > DECADES)


def axis_label(cubes: Cubes, name: str, split: str | None = None) -> str:
    """What a variable is, with its symbol: from the table of observables, or as the cube says; of which inputs."""
    told = [c[name].attrs.get("long_name") for c in cubes.values() if name in c]
    known = OBSERVABLES.get(name).long_name if name in OBSERVABLES else None
    text = _short(str(next(filter(None, told), known or words(name))))
    if name in OBSERVABLES and not OBSERVABLES.get(name).symbol.startswith(WORD):
        text = f"{text}, {symbol(name)}"
    return text if split is None else f"{text}\n{INPUTS.get(split, split)}"


def names_of_page(names: Iterable[str]) -> str:
    """What tells a page apart from others of its figure: the variables on it."""
    return "+".join(dict.fromkeys(names))


def _short(text: str) -> str:
    """A long name without what it adds in brackets, in lines that fit beside one row of panels."""
    return "\n".join(textwrap.wrap(text.split(" (")[0], LABEL_LETTERS))
