"""proplim theory: one grid point of theory, in seconds."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from proplim.cli._point import (
    ActivationOption,
    AlphaOption,
    DatasetOption,
    HiddenOption,
    JsonOption,
    PluginOption,
    ReadoutOption,
    SeedOption,
    TemperatureOption,
    TrainOption,
    WidthOption,
    asked_point,
    print_parameters,
    rows_of,
)

if TYPE_CHECKING:
    import xarray as xr

EXAMPLES = """\b
Examples:
  proplim theory --dataset digits --classes 3 8 --n-train 200 --width 100 --temperature 0.1
  proplim theory --dataset gaussian --n-features 50 --n-train 100 --alpha 1.25 --temperature 1 --json
  proplim theory --dataset my.npz --n-train 150 --width 100 --temperature 0.01 --approximation cavity
"""

ApproximationOption = Annotated[list[str], typer.Option(help="Theory, may be repeated:", metavar="NAME")]


def theory(
    context: typer.Context,
    dataset: DatasetOption,
    n_train: TrainOption,
    temperature: TemperatureOption,
    width: WidthOption = None,
    alpha: AlphaOption = None,
    activation: ActivationOption = "erf",
    lambda0: HiddenOption = 1.0,
    lambda1: ReadoutOption = 1.0,
    seed: SeedOption = 0,
    approximation: ApproximationOption = ["infinite_width", "proportional"],  # noqa: B006
    plugin: PluginOption = [],  # noqa: B006
    as_json: JsonOption = False,
) -> None:
    """Solve the theory at one grid point.

    Prints the order parameter, class distance, radii, errors, weights and T* of each approximation.
    """
    point = asked_point(
        context, dataset, n_train, seed, width, alpha,
        activation=activation, temperature=temperature, lambda0=lambda0, lambda1=lambda1,
    )  # fmt: skip
    from proplim.theory import solve_grid

    names = list(dict.fromkeys(approximation))
    solved = solve_grid(point.dataset, **point.network, approximations=names)
    solved = solved.isel(width=0, temperature=0, lambda1=0)
    _say_what_is_missing(activation, solved)
    if as_json:
        print(json.dumps({**point.parameters, "approximations": _nested(solved)}, indent=1))
    else:
        print_parameters(point.parameters)
        _print(solved)


def _say_what_is_missing(activation: str, solved: xr.Dataset) -> None:
    """Why an approximation has no numbers, to standard error: it does not apply, or it fell short."""
    from proplim.activations import get_activation
    from proplim.theory import APPROXIMATIONS

    for name in solved["approximation"].values.tolist():
        if reason := APPROXIMATIONS.get(name).applies(get_activation(activation)):
            print(f"{name}: {reason}", file=sys.stderr)
    for reason in json.loads(solved.attrs.get("reasons", "{}")).values():
        print(reason, file=sys.stderr)


def _print(solved: xr.Dataset) -> None:
    from proplim.cli._output import print_table

    names = solved["approximation"].values.tolist()
    table = [
        [row, *(float(values.sel(approximation=a)) for a in names)] for row, values in rows_of(solved).items()
    ]
    print_table(["variable", *names], table, digits=8)


def _nested(solved: xr.Dataset) -> dict[str, dict[str, Any]]:
    from proplim.cli._output import plain

    names = solved["approximation"].values.tolist()
    return {a: {row: plain(v.sel(approximation=a)) for row, v in rows_of(solved).items()} for a in names}
