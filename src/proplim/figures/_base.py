"""What a figure is: a file of this folder with its name, its words and the function that draws it."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import xarray as xr

from proplim._registry import Registry

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas

Cubes = Mapping[str, xr.Dataset]
"""Stage -> cube, of a study or a part of one."""
Drawings = Iterator[tuple[dict[str, object], "Canvas"]]
"""What tells a file apart from others of its figure (axis or word -> value), and what is drawn in it."""

EQUILIBRIUM = ("theory", "sampling")
HEADLINES = ("class_distance", "bridge", "heat_map", "training")
"""Figures that a report opens on: the first of these that there are."""
MOST_HEADLINES = 2
LINE = 4000
"""Letters of a line of a picture in a page."""
OTHERS = "8 More figures"
"""Section of a report for figures that name none."""


@dataclass(frozen=True)
class Figure:
    """One figure of a study: a file for each data set, activation, prior and whatever else it is split into.

    Parameters
    ----------
    name : str
        Start of its file names, and what ``proplim figures --only`` asks for.
    title : str
        A few words for the table of contents of a report.
    summary : str
        What one sees, as the first sentence of the caption.
    caption : str
        How to read it and what it means (reStructuredText).
    draw : callable
        ``draw(cubes, style)`` yields :data:`Drawings`; ``draw(cubes, style, folder)`` where `reads` is given.
    section : str
        Section of the report; sections are ordered by their text.
    needs : tuple of str
        Cubes without which there is no figure.
    any_of : tuple of str
        Cubes of which one will do.
    split : str or None
        Inputs that the figure shows; without them in the cubes there is no figure.
    shows : tuple of str
        Variables that are to be seen in it; those that no figure shows are in ``observables``.
    sliced : bool
        Whether it has a panel for each (P, N): of a large study it is then given a few, evenly chosen.
    each_class : bool
        Whether it reads the dimensions that three and more classes bring (pair, output, every label); otherwise it is
        given cubes averaged over them.
    reads : str or None
        Folder of the study that it is drawn from beside the cubes: "draws" or "stragglers".
    order : int
        Place among the figures.
    """

    name: str
    title: str
    summary: str
    caption: str
    draw: Callable[..., Drawings]
    section: str = OTHERS
    needs: tuple[str, ...] = ()
    any_of: tuple[str, ...] = ()
    split: str | None = None
    shows: tuple[str, ...] = ()
    sliced: bool = False
    each_class: bool = False
    reads: str | None = None
    order: int = 1000

    def has_cubes(self, cubes: Cubes) -> bool:
        """Whether the cubes, and the inputs in them, are those that the figure needs."""
        if not set(self.needs) <= set(cubes) or (self.any_of and not set(self.any_of) & set(cubes)):
            return False
        splits = {
            s for c in cubes.values() if "split" in c.coords for s in c["split"].values.ravel().tolist()
        }
        return self.split is None or not splits or self.split in splits


FIGURES: Registry[Figure] = Registry("figure", "proplim.figures")


def register_figure(figure: Figure) -> Figure:
    """Have a figure of one's own drawn with the others (docs/adding_figure.md).

    Raises
    ------
    InvalidInput
        If the name is taken.
    """
    return FIGURES.add(figure)


def figure_of(stem: str) -> Figure | None:
    """Figure that a file is of, from the start of its name; None where no figure has that name."""
    name = stem.split("__")[0]
    return FIGURES.get(name) if name in FIGURES else None


class Captions:
    """Caption of every figure file by its name, for the template of a report.

    It prints as a few words: a report shows what its rules were given beside every figure.
    """

    def __getitem__(self, stem: str) -> str:
        figure = figure_of(stem)
        return (
            f"**{figure.summary}** {figure.caption}"
            if figure
            else "A figure drawn from the cubes of the study."
        )

    def first_page(self, pictures: Iterable[Path]) -> str:
        """The headline figures among the pictures, with what one sees, as text of the report's first page.

        Pictures stand in the page itself: in a report they have no address of their own.
        """
        found = {path.stem.split("__")[0]: path for path in sorted(pictures, reverse=True)}
        chosen = [name for name in HEADLINES if name in found][:MOST_HEADLINES]
        return "\n\n".join(
            f".. image:: {_in_page(found[name])}\n   :alt: {FIGURES.get(name).title}\n\n{self[name]}"
            for name in chosen
        )

    def __repr__(self) -> str:
        return "those of proplim.figures"


def _in_page(picture: Path) -> str:
    """Address of a picture that holds the picture itself, in lines as short as reStructuredText wants them."""
    text = base64.b64encode(picture.read_bytes()).decode()
    lines = (text[start : start + LINE] for start in range(0, len(text), LINE))
    return "\n   ".join(["data:image/png;base64,", *lines])


add = FIGURES.add
