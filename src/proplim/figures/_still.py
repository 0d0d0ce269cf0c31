"""An axis whose ticks and labels have their places: drawing it measures nothing."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from matplotlib.artist import Artist
from matplotlib.axis import Axis, Tick
from matplotlib.text import Text


class Still(Artist):
    """What an axis shows, in place of the axis, which looks for the places of ticks and labels each time it is drawn.

    Parameters
    ----------
    axis : Axis
        Laid out; what it shows must not change any more.
    ticks : iterable of Tick
        Those whose labels and grid lines are drawn.
    marks : iterable of Artist
        The marks of the ticks.
    """

    def __init__(self, axis: Axis, ticks: Iterable[Tick], marks: Iterable[Artist]) -> None:
        super().__init__()
        self.set_zorder(axis.get_zorder())
        self.set_in_layout(False)
        of_ticks = [(tick.gridline, tick.label1, tick.label2) for tick in ticks]
        beside = axis.label, axis.offsetText
        for text in beside:
            _fix_on_page(text)
        self._parts = [
            *(gridline for gridline, *_ in of_ticks),
            *marks,
            *(label for _, *labels in of_ticks for label in labels),
            *beside,
        ]

    def draw(self, renderer: Any) -> None:
        """Draw everything where it was when the page was laid out."""
        for part in self._parts:
            if part.get_visible():
                part.draw(renderer)


def _fix_on_page(text: Text) -> None:
    """Give a text its place in inches of the page: that of a label is in pixels, and other formats have others."""
    page = text.get_figure(root=True)
    assert page is not None
    place = text.get_transform().transform(text.get_position()) / page.dpi
    text.set_transform(page.dpi_scale_trans)
    text.set_position(place.tolist())
