"""proplim query: numbers out of a cube."""

# ruff: noqa: B008  (typer reads options from defaults)

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    import xarray as xr

EXAMPLES = """\b
Examples:
  proplim query results/digits/theory.nc --list
  proplim query results/digits/theory.nc --var centroid_distance_sq width=60 temperature=0.1 split=train
  proplim query results/digits/theory.nc --var mse temperature=0.01:1 n_train=60,120 split=test --csv
  proplim query results/digits/sampling.nc --var centroid_distance_sq temperature=0.1 --exact --json
"""


def query(
    cube: Path = typer.Argument(
        ..., help="A cube: results/<study>/theory.nc, sampling.nc or dynamics.nc.", metavar="CUBE"
    ),
    selection: list[str] = typer.Argument(
        None,
        help="axis=value (nearest), axis=a,b,c or axis=low:high, as many as you like.",
        metavar="AXIS=VALUE",
    ),
    var: list[str] = typer.Option(
        [], "--var", "-v", help="Variable to print; may be repeated. All by default.", metavar="NAME"
    ),
    exact: bool = typer.Option(
        False, "--exact", help="Numbers must be on the axis, instead of the nearest ones."
    ),
    csv: bool = typer.Option(False, "--csv", help="Print CSV, every digit."),
    as_json: bool = typer.Option(False, "--json", help="Print JSON, every digit."),
    limit: int = typer.Option(60, help="Most rows of a text table; 0 for all.", min=0),
    listing: bool = typer.Option(False, "--list", help="Show variables and axes and stop."),
) -> None:
    """Select from a cube and print a table."""
    from proplim.cli._output import one_form, print_frame
    from proplim.query import open_cube, parse_selection, pick_variables, select, to_table

    form = one_form(csv, as_json)
    with open_cube(cube) as opened:
        if listing:
            _list(opened, form)
            return
        chosen = pick_variables(opened, [n for word in var for n in word.split(",") if n])
        part = select(chosen, parse_selection(selection or []), method="exact" if exact else "nearest")
        frame = to_table(part.load())
    if form == "text":
        frame = _hoist(frame)
    print_frame(frame, form, limit=limit)


def _hoist(frame: Any) -> Any:
    """Print columns that hold one and the same coordinate in a line of their own; return the others."""
    from proplim.cli._output import number, plain_or_nan
    from proplim.schema import AXES, DIMENSIONS

    if len(frame) < 1:
        return frame
    fixed = [c for c in frame.columns if c in (*AXES, *DIMENSIONS) and frame[c].nunique(dropna=False) == 1]
    if fixed:
        print("  ".join(f"{c}={number(plain_or_nan(frame[c].iloc[0]))}" for c in fixed))
    return frame.drop(columns=fixed)


def _list(cube: xr.Dataset, form: str) -> None:
    from proplim.cli._output import number, plain, plain_or_nan, print_table

    axes = {str(d): [plain_or_nan(v) for v in cube[d].values] if d in cube.coords else [] for d in cube.dims}
    if form != "text":
        variables = {
            str(n): {
                "dims": list(v.dims),
                **{k: plain(v.attrs[k]) for k in ("long_name", "units") if k in v.attrs},
            }
            for n, v in cube.data_vars.items()
        }
        print(json.dumps({"axes": axes, "variables": variables}, indent=1))
        return
    print(cube.attrs.get("title", ""))
    print("\nAxes")
    for name, values in axes.items():
        shown = ", ".join(number(v) for v in values[:8])
        more = f", … {number(values[-1])} ({len(values)} values)" if len(values) > 8 else ""
        print(f"  {name:14s} {shown}{more}")
    print("\nVariables")
    rows = [[f"  {n}", _own(v), v.attrs.get("long_name", "")] for n, v in cube.data_vars.items()]
    print_table(["  name", "beside the grid", "meaning"], rows)


def _own(values: xr.DataArray) -> str:
    from proplim.schema import AXES

    return ", ".join(str(d) for d in values.dims if d not in AXES) or "-"
