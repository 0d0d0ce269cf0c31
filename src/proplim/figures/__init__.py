"""Figures drawn from cubes alone, in one style. See docs/figures.md."""

from proplim.figures._captions import CAPTIONS, caption_of
from proplim.figures._draw import FIGURES, draw_figures, figure_names
from proplim.figures._dynamics import draw_stragglers, inversion_table
from proplim.figures._style import FORMATS, STYLE_FILE, Style

__all__ = [
    "CAPTIONS",
    "FIGURES",
    "FORMATS",
    "STYLE_FILE",
    "Style",
    "caption_of",
    "draw_figures",
    "draw_stragglers",
    "figure_names",
    "inversion_table",
]
