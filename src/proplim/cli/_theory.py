"""proplim theory: one grid point of theory, in seconds."""

# ruff: noqa: B008  (typer reads options from defaults)

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from proplim.cli._source_options import dataset_settings
from proplim.errors import InvalidInput

if TYPE_CHECKING:
    import xarray as xr

EXAMPLES = """\b
Examples:
  proplim theory --dataset digits --classes 3 8 --n-train 200 --width 100 --temperature 0.1
  proplim theory --dataset gaussian --n-features 50 --n-train 100 --width 80 --temperature 1 --json
  proplim theory --dataset my.npz --n-train 150 --width 100 --temperature 0.01 --approximation cavity
"""


def theory(
    context: typer.Context,
    dataset: str = typer.Option(..., help="Source of the data:", metavar="NAME"),
    n_train: int = typer.Option(..., help="Number of training inputs P.", metavar="P"),
    width: int = typer.Option(..., help="Number of hidden units N.", metavar="N"),
    temperature: float = typer.Option(..., help="Temperature T.", metavar="T"),
    activation: str = typer.Option("erf", help="Activation:", metavar="NAME"),
    lambda0: float = typer.Option(1.0, help="Prior precision of hidden weights."),
    lambda1: float = typer.Option(1.0, help="Prior precision of readout weights."),
    seed: int = typer.Option(0, help="Draw of the training set."),
    approximation: list[str] = typer.Option(
        ["infinite_width", "proportional"], help="Theory, may be repeated:", metavar="NAME"
    ),
    plugin: list[Path] = typer.Option(
        [],
        "--plugin",
        help="Python file that registers a source, an activation or a theory; it is executed.",
        metavar="FILE",
    ),
    as_json: bool = typer.Option(False, "--json", help="Print JSON."),
) -> None:
    """Solve the theory at one grid point.

    Prints the order parameter, class distance, radii, errors, weights and T* of each approximation.
    """
    config = dataset_settings(dataset, context.obj)
    from proplim.datasets import prepare_dataset
    from proplim.theory import solve_grid

    if n_train < 2:
        raise InvalidInput("--n-train", n_train, "at least 2 training inputs")
    arrays = prepare_dataset(config, n_train, seed)
    solved = solve_grid(
        arrays,
        activation,
        temperature=temperature,
        width=width,
        lambda0=lambda0,
        lambda1=lambda1,
        approximations=list(dict.fromkeys(approximation)),
    ).isel(width=0, temperature=0, lambda1=0)
    parameters = {
        "dataset": dataset, "activation": activation, "n_train": n_train, "n_features": arrays.n_features,
        "width": width, "temperature": temperature, "lambda0": lambda0, "lambda1": lambda1, "seed": seed,
        "alpha": n_train / width,
    }  # fmt: skip
    _say_what_is_missing(activation, solved)
    if as_json:
        print(json.dumps({**parameters, "approximations": _nested(solved)}, indent=1))
    else:
        _print(parameters, solved)


def _rows(solved: xr.Dataset) -> dict[str, xr.DataArray]:
    """Row name -> values over approximations, one row for each (variable, split, label)."""
    rows = {}
    for name, values in solved.data_vars.items():
        for split in values["split"].values.tolist() if "split" in values.dims else [None]:
            part = values if split is None else values.sel(split=split)
            for label in part["label"].values.tolist() if "label" in part.dims else [None]:
                row = part if label is None else part.sel(label=label)
                where = ", ".join([w for w in (split, None if label is None else _class(label)) if w])
                rows[f"{name} [{where}]" if where else str(name)] = row
    return rows


def _class(label: Any) -> str:
    """A class by its label: y=+1."""
    return f"y={label:+d}" if isinstance(label, int) else f"y={label}"


def _say_what_is_missing(activation: str, solved: xr.Dataset) -> None:
    """Why an approximation has no numbers, to standard error: it does not apply, or it fell short."""
    from proplim.activations import get_activation
    from proplim.theory import APPROXIMATIONS

    for name in solved["approximation"].values.tolist():
        if reason := APPROXIMATIONS.get(name).applies(get_activation(activation)):
            print(f"{name}: {reason}", file=sys.stderr)
    for reason in json.loads(solved.attrs.get("reasons", "{}")).values():
        print(reason, file=sys.stderr)


def _print(parameters: dict[str, Any], solved: xr.Dataset) -> None:
    from proplim.cli._output import number, print_table

    print("  ".join(f"{k}={number(v)}" for k, v in parameters.items()))
    print()
    names = solved["approximation"].values.tolist()
    table = [
        [row, *(float(values.sel(approximation=a)) for a in names)] for row, values in _rows(solved).items()
    ]
    print_table(["variable", *names], table, digits=8)


def _nested(solved: xr.Dataset) -> dict[str, dict[str, Any]]:
    from proplim.cli._output import plain

    names = solved["approximation"].values.tolist()
    return {a: {row: plain(v.sel(approximation=a)) for row, v in _rows(solved).items()} for a in names}
