"""proplim theory: one grid point of theory, in seconds."""

# ruff: noqa: B008  (typer reads options from defaults)

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from proplim.errors import InvalidInput

if TYPE_CHECKING:
    import xarray as xr

EXAMPLES = """\b
Examples:
  proplim theory --dataset digits --classes 3 8 --n-train 200 --width 100 --temperature 0.1
  proplim theory --dataset gaussian --n-features 50 --n-train 100 --width 80 --temperature 1 --json
  proplim theory --dataset my.npz --n-train 150 --width 100 --temperature 0.01 --approximation cavity
"""
PAIRED = ("digits", "mnist", "fashion_mnist", "cifar10")
SYNTHETIC = ("gaussian", "teacher")


def theory(
    dataset: str = typer.Option(
        ..., help=f"{', '.join((*PAIRED, *SYNTHETIC))}, or the path of a .npz or .nc file.", metavar="NAME"
    ),
    n_train: int = typer.Option(..., help="Number of training inputs P.", metavar="P"),
    width: int = typer.Option(..., help="Number of hidden units N.", metavar="N"),
    temperature: float = typer.Option(..., help="Temperature T.", metavar="T"),
    classes: tuple[int, int] | None = typer.Option(
        None,
        help="Two classes of an image collection: the first is y = -1, the second y = +1.",
        metavar="CLASS CLASS",
    ),
    activation: str = typer.Option("erf", help="Activation: erf, linear, relu, tanh.", metavar="NAME"),
    lambda0: float = typer.Option(1.0, help="Prior precision of hidden weights."),
    lambda1: float = typer.Option(1.0, help="Prior precision of readout weights."),
    seed: int = typer.Option(0, help="Draw of the training set."),
    n_test: int = typer.Option(100, help="Number of test inputs."),
    n_features: int = typer.Option(None, help="Number of features N0 of gaussian and teacher."),
    noise: float = typer.Option(0.0, help="Label noise of teacher."),
    root: Path = typer.Option(
        None, help="Folder with files of an image collection already downloaded.", metavar="FOLDER"
    ),
    approximation: list[str] = typer.Option(
        ["infinite_width", "proportional"],
        help="infinite_width, proportional, cavity, exact; may be repeated.",
        metavar="NAME",
    ),
    as_json: bool = typer.Option(False, "--json", help="Print JSON."),
) -> None:
    """Solve the theory at one grid point.

    Prints the order parameter, class distance, radii, errors, weights and T* of each approximation.
    """
    config = _dataset_config(dataset, classes, n_test, n_features, noise, root)
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
    if as_json:
        print(json.dumps({**parameters, "approximations": _nested(solved)}, indent=1))
    else:
        _print(parameters, solved)


def _dataset_config(
    dataset: str,
    classes: tuple[int, int] | None,
    n_test: int,
    n_features: int | None,
    noise: float,
    root: Path | None,
) -> Any:
    """The data set's configuration from flags, refused where a flag does not belong to its source."""
    import difflib

    entry: dict[str, Any] = {"name": "given", "n_test": n_test}
    if dataset in PAIRED:
        if classes is None:
            raise InvalidInput(
                "--classes", "nothing", f"two classes for --dataset {dataset}, as in --classes 3 8"
            )
        entry |= {"source": dataset, "classes": classes} | ({"root": str(root)} if root else {})
    elif dataset in SYNTHETIC:
        if n_features is None:
            raise InvalidInput("--n-features", "nothing", f"the number of features for --dataset {dataset}")
        entry |= {"source": dataset, "n_features": n_features, "noise": noise}
    elif Path(dataset).suffix in (".npz", ".nc"):
        entry |= {"source": "file", "path": dataset}
    else:
        near = difflib.get_close_matches(dataset, (*PAIRED, *SYNTHETIC), n=1)
        hint = f" (did you mean {near[0]!r}?)" if near else ""
        names = ", ".join((*PAIRED, *SYNTHETIC))
        raise InvalidInput("--dataset", dataset, f"choose from {names}, or a .npz or .nc file{hint}")
    from pydantic import TypeAdapter, ValidationError

    from proplim.config import DatasetConfig

    try:
        return TypeAdapter(DatasetConfig).validate_python(entry)
    except ValidationError as error:
        first = error.errors()[0]
        key = "--" + str([p for p in first["loc"] if isinstance(p, str)][-1]).replace("_", "-")
        message = first["msg"].removeprefix("Value error, ")
        raise InvalidInput(key, first.get("input"), message[0].lower() + message[1:]) from None


def _rows(solved: xr.Dataset) -> dict[str, xr.DataArray]:
    """Row name -> values over approximations, one row for each (variable, split, label)."""
    rows = {}
    for name, values in solved.data_vars.items():
        for split in values["split"].values.tolist() if "split" in values.dims else [None]:
            part = values if split is None else values.sel(split=split)
            for label in part["label"].values.tolist() if "label" in part.dims else [None]:
                row = part if label is None else part.sel(label=label)
                where = ", ".join([w for w in (split, None if label is None else f"y={label:+d}") if w])
                rows[f"{name} [{where}]" if where else str(name)] = row
    return rows


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
