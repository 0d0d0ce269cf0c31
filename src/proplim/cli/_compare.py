"""proplim compare: sampling against each theory over a study."""

# ruff: noqa: B008  (typer reads options from defaults)

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

EXAMPLES = """\b
Examples:
  proplim compare results/digits
  proplim compare results/digits split=train temperature=0.01:1 --var centroid_distance_sq --worst 5
  proplim compare results/digits --csv > z_scores.csv
"""


def compare(
    study: Path = typer.Argument(
        ..., help="Folder with theory.nc and sampling.nc, as in results/<study>.", metavar="STUDY"
    ),
    selection: list[str] = typer.Argument(
        None, help="Compare only there: axis=value, axis=a,b,c or axis=low:high.", metavar="AXIS=VALUE"
    ),
    var: list[str] = typer.Option(
        [], "--var", "-v", help="Variable to compare; may be repeated. All by default.", metavar="NAME"
    ),
    worst: int = typer.Option(5, help="How many of the worst points of each theory to show.", min=0),
    all_points: bool = typer.Option(False, "--all", help="Include points that did not converge."),
    csv: bool = typer.Option(False, "--csv", help="Print every compared point as CSV."),
    as_json: bool = typer.Option(False, "--json", help="Print summary and worst points as JSON."),
) -> None:
    """Compare sampling with each theory over a study.

    z = (theory - sampling)/(Monte-Carlo standard error), relative errors, and the worst points."""
    import json

    from proplim.cli._output import cubes_of, one_form, print_frame, records
    from proplim.errors import InvalidInput
    from proplim.query import differences, parse_selection, select, summarise, worst_points

    form = one_form(csv, as_json)
    names = [n for word in var for n in word.split(",") if n]
    with cubes_of(study) as cubes:
        for stage in ("theory", "sampling"):
            if stage not in cubes:
                raise InvalidInput("study", str(study), f"a folder with {stage}.nc as well")
        sampling, theory = cubes["sampling"].load(), cubes["theory"].load()
    compared = differences(sampling, theory, names or None, all_points=all_points)
    compared = select(compared, parse_selection(selection or []))
    if form == "csv":
        print_frame(_long(compared), "csv")
        return
    summary, table = summarise(compared), worst_points(compared, worst)
    if form == "json":
        print(json.dumps({"summary": records(summary), "worst": records(table)}, indent=1))
        return
    if not summary["points"].sum():
        raise InvalidInput(
            "study", str(study), "at least one sampled point with theory beside it (try --all)"
        )
    print("Theory minus sampling, over all compared points (z in Monte-Carlo standard errors)\n")
    print_frame(summary, "text", digits=3)
    if worst and len(table):
        print("\nThe points of largest |z| of each theory\n")
        print_frame(table, "text", digits=4)


def _long(compared: xr.Dataset) -> pd.DataFrame:
    """Every compared number: a row for each variable, approximation and point."""
    import pandas as pd

    from proplim.query import to_table

    parts = []
    for name in [str(n)[:-2] for n in compared.data_vars if str(n).endswith("_z")]:
        kinds = ("theory", "sampling", "mcse", "z", "relative")
        part = compared[[f"{name}_{k}" for k in kinds]].rename({f"{name}_{k}": k for k in kinds})
        frame = to_table(part)
        frame.insert(0, "variable", name)
        parts.append(frame.dropna(subset=["z"]))
    return pd.concat(parts, ignore_index=True)
