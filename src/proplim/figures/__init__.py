"""Figures drawn from cubes alone, in one style. See docs/figures.md.

A file of this folder whose name does not start with an underscore is one figure: its words, what it needs and the
function that draws it. From outside, :func:`register_figure` does the same (docs/adding_figure.md).
"""

from proplim.figures._base import (
    FIGURES,
    OTHERS,
    Captions,
    Cubes,
    Drawings,
    Figure,
    figure_of,
    register_figure,
)
from proplim.figures._draw import draw_figures
from proplim.figures._inversion_table import inversion_table
from proplim.figures._looks import Look, approximation_look, optimizer_look
from proplim.figures._slices import FILE_DIMS
from proplim.figures._straggler_page import draw_stragglers
from proplim.figures._style import FORMATS, STYLE_FILE, Style
from proplim.figures._thinning import MOST_SLICES

__all__ = [
    "FIGURES",
    "FILE_DIMS",
    "FORMATS",
    "MOST_SLICES",
    "OTHERS",
    "STYLE_FILE",
    "Captions",
    "Cubes",
    "Drawings",
    "Figure",
    "Look",
    "Style",
    "approximation_look",
    "draw_figures",
    "draw_stragglers",
    "figure_of",
    "inversion_table",
    "optimizer_look",
    "register_figure",
]
