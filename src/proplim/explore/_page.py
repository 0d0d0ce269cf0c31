"""Put page, script, plotting library and data into one file."""

from __future__ import annotations

import base64
import gzip
import html
import json
import os
from collections.abc import Mapping
from pathlib import Path
from string import Template

import xarray as xr

from proplim.errors import InvalidInput
from proplim.explore._data import pack_cubes

HERE = Path(__file__).parent
MAX_VALUES = 6_000_000
"""Numbers of a cube: 500 widths at 200 temperatures with all main variables fit."""

LEVEL = 5
"""Of compression: 9 takes twice as long for one part in a hundred."""


def explorer_html(cubes: Mapping[str, xr.Dataset], *, max_values: int = MAX_VALUES) -> str:
    """The page as text.

    Parameters
    ----------
    cubes : mapping
        Any of theory, sampling, dynamics; at least one.
    max_values : int
        Most numbers of a cube in the page; see :func:`proplim.explore._data.pack_cubes`.

    Raises
    ------
    InvalidInput
        If there is no cube.

    Notes
    -----
    Library and data are compressed (the library from 4.8 MB to 2 MB) and unpacked by the browser itself.
    """
    if not cubes:
        raise InvalidInput("cubes", "nothing", "at least one of theory, sampling, dynamics")
    from plotly.offline import get_plotlyjs

    first = next(iter(cubes.values()))
    study = str(first.attrs.get("study", "study"))
    data = {
        "study": study,
        "version": str(first.attrs.get("proplim_version", "")),
        "made": {name: dict(map(_text, cube.attrs.items())) for name, cube in cubes.items()},
        "configuration": str(first.attrs.get("configuration", "")),
        **pack_cubes(cubes, max_values),
    }
    return Template((HERE / "page.html").read_text(encoding="utf-8")).substitute(
        study=html.escape(study),
        style=(HERE / "page.css").read_text(encoding="utf-8"),
        script=(HERE / "page.js").read_text(encoding="utf-8"),
        library=_packed(get_plotlyjs()),
        data=_packed(json.dumps(data, separators=(",", ":"), allow_nan=False)),
    )


def write_explorer(
    cubes: Mapping[str, xr.Dataset], path: str | os.PathLike[str], *, max_values: int = MAX_VALUES
) -> Path:
    """Write :func:`explorer_html` to a file that appears whole or not at all."""
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.part")
    part.write_text(explorer_html(cubes, max_values=max_values), encoding="utf-8")
    os.replace(part, target)
    return target


def _text(item: tuple) -> tuple[str, str]:
    return str(item[0]), str(item[1])


def _packed(text: str) -> str:
    """gzip and base64; the same text gives the same characters (no time stamp)."""
    return base64.b64encode(gzip.compress(text.encode(), compresslevel=LEVEL, mtime=0)).decode()
