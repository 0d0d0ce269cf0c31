"""proplim figures: redraw figures from cubes."""

# ruff: noqa: B008  (typer reads options from defaults)

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from proplim.cli._output import PLUGINS_OF_STUDY

if TYPE_CHECKING:
    import xarray as xr

EXAMPLES = """\b
Examples:
  proplim figures results/digits
  proplim figures results/digits --only class_distance --format pdf --width 3.4 --font-size 8 --output paper/
  proplim figures results/digits --only parity --select dataset=digits-3v8 --dpi 600
"""


def figures(
    study: Path = typer.Argument(..., help="Folder with cubes, as in results/<study>.", metavar="STUDY"),
    output: Path = typer.Option(
        None, "--output", "-o", help="Where to write; <study>/figures by default.", metavar="FOLDER"
    ),
    only: list[str] = typer.Option(
        [], "--only", help="Figure to draw; may be repeated. All by default; see --list.", metavar="NAME"
    ),
    select: list[str] = typer.Option(
        [], "--select", help="Draw only this part: axis=value, a,b,c or low:high.", metavar="AXIS=VALUE"
    ),
    form: list[str] = typer.Option(
        ["png", "pdf"], "--format", help="png, pdf, svg, eps; may be repeated.", metavar="FORMAT"
    ),
    width: float = typer.Option(None, help="Width in inches.", metavar="INCHES"),
    height: float = typer.Option(None, help="Height in inches.", metavar="INCHES"),
    font_size: float = typer.Option(None, help="Font size in points.", metavar="POINTS"),
    dpi: int = typer.Option(None, help="Resolution of png.", metavar="NUMBER"),
    slices: int = typer.Option(
        None, help="How many (P, N) a figure shows, evenly chosen (6); --select says which.", metavar="NUMBER"
    ),
    style: str = typer.Option(
        None, help="Matplotlib style file or name, on top of proplim's own.", metavar="STYLE"
    ),
    plugin: list[Path] = PLUGINS_OF_STUDY,
    listing: bool = typer.Option(False, "--list", help="Show the figures there are and stop."),
) -> None:
    """Redraw figures from cubes; nothing is computed again.

    Python files that `plugins` of the study's configuration names are executed, and named before they are.
    """
    from proplim.cli._output import cubes_of, load_plugins_of
    from proplim.figures import FIGURES, MOST_SLICES, draw_figures

    if listing:
        if study.is_dir():
            with cubes_of(study) as cubes:
                load_plugins_of(study, cubes, plugin)
        for figure in FIGURES.members():
            print(f"{figure.name:20s} {figure.summary}")
        return
    from proplim.errors import InvalidInput
    from proplim.query import parse_selection

    part = parse_selection(select)
    if "statistic" in part:
        raise InvalidInput(
            "--select", "statistic", "other axes: figures take the means and their errors by themselves"
        )
    with cubes_of(study) as cubes:
        load_plugins_of(study, cubes, plugin)
        written = draw_figures(
            {stage: _part(cube, part) for stage, cube in cubes.items()},
            output or study / "figures",
            formats=list(dict.fromkeys(f for word in form for f in word.split(",") if f)),
            names=[n for word in only for n in word.split(",") if n] or None,
            style=style,
            width=width,
            height=height,
            font_size=font_size,
            dpi=dpi,
            slices=MOST_SLICES if slices is None else slices,
            draws=study / "draws",
            stragglers=study / "stragglers",
        )
    if not written:
        wanted = " or ".join(only) or "some figure"
        raise InvalidInput(
            "study", str(study), f"a study, or the part of one selected, that holds what {wanted} shows"
        )
    for path in written:
        print(path)


def _part(cube: xr.Dataset, selection: dict[str, Any]) -> xr.Dataset:
    """A cube cut to a selection, axes kept; an axis that this cube does not have is no restriction on it."""
    from proplim.query import select

    keep = {k: v if isinstance(v, tuple | list) else [v] for k, v in selection.items() if k in cube.dims}
    return select(cube, keep)
