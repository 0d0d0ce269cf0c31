"""Texts of figures, laid out once by a renderer, which asks for the box of a label again and again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from weakref import WeakKeyDictionary

from matplotlib.text import Text

_LAYOUT = "_get_layout"
"""Method of a text that Matplotlib's own drawing and measuring go through."""


@contextmanager
def measuring_once() -> Iterator[None]:
    """Have equal texts laid out once by a renderer: the result is relative to the place of a text."""
    usual = getattr(Text, _LAYOUT)
    known: WeakKeyDictionary[Any, dict[tuple, Any]] = WeakKeyDictionary()

    def remembered(text: Text, renderer: Any) -> Any:
        if text.get_wrap() or text.get_transform_rotates_text() or text.get_usetex():
            return usual(text, renderer)  # these depend on the place
        layouts, key = known.setdefault(renderer, {}), _all_that_shapes(text)
        if key not in layouts:
            layouts[key] = usual(text, renderer)
        return layouts[key]

    setattr(Text, _LAYOUT, remembered)
    try:
        yield
    finally:
        setattr(Text, _LAYOUT, usual)


def _all_that_shapes(text: Text) -> tuple:
    page = text.get_figure(root=True)
    return (
        text.get_text(),
        hash(text.get_fontproperties()),
        text.get_rotation(),
        text.get_rotation_mode(),
        text.get_horizontalalignment(),
        text.get_verticalalignment(),
        getattr(text, "_multialignment", None),
        getattr(text, "_linespacing", None),
        text.get_parse_math(),
        None if page is None else page.dpi,
    )
