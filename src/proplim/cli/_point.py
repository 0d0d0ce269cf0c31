"""What the commands of one grid point have in common: options, the point, rows of results."""

from __future__ import annotations

import itertools
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from proplim.cli._source_options import dataset_settings
from proplim.errors import InvalidInput
from proplim.geometry import LABELS

if TYPE_CHECKING:
    import xarray as xr

    from proplim.datasets import Dataset

DatasetOption = Annotated[str, typer.Option(help="Source of the data:", metavar="NAME")]
TrainOption = Annotated[int, typer.Option(help="Number of training inputs P.", metavar="P")]
WidthOption = Annotated[int | None, typer.Option(help="Number of hidden units N.", metavar="N")]
AlphaOption = Annotated[
    float | None, typer.Option(help="Load alpha = P/N, in place of --width.", metavar="A")
]
TemperatureOption = Annotated[float, typer.Option(help="Temperature T.", metavar="T")]
ActivationOption = Annotated[str, typer.Option(help="Activation:", metavar="NAME")]
HiddenOption = Annotated[float, typer.Option("--lambda0", help="Prior precision of hidden weights.")]
ReadoutOption = Annotated[float, typer.Option("--lambda1", help="Prior precision of readout weights.")]
SeedOption = Annotated[int, typer.Option(help="Draw of the training set.")]
PluginOption = Annotated[
    list[Path],
    typer.Option(
        "--plugin",
        help="Python file that registers a source, an activation, a theory or an optimizer; it is executed.",
        metavar="FILE",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
SetOption = Annotated[
    list[str],
    typer.Option(
        "--set", help="A setting, as the key has it in a configuration; may be repeated.", metavar="KEY=VALUE"
    ),
]
ThreadsOption = Annotated[int, typer.Option(help="Cores to use.", min=1)]

SILENCE = 2.0
"""Seconds between two lines of progress."""


class Asked(NamedTuple):
    """A grid point as the command line asks for it: data, arguments of a network, and all of it to be printed."""

    dataset: Dataset
    network: dict[str, Any]
    parameters: dict[str, Any]


def asked_point(
    context: typer.Context,
    dataset: str,
    n_train: int,
    seed: int,
    width: int | None,
    alpha: float | None,
    **others: Any,
) -> Asked:
    """Prepare the data of a point, and judge its sizes.

    Raises
    ------
    InvalidInput
        If an option is missing or outside its range.
    """
    from proplim.datasets import prepare_dataset
    from proplim.schema import AXES, width_at

    config = dataset_settings(dataset, context.obj)
    if n_train < 2:
        raise InvalidInput("--n-train", n_train, "at least 2 training inputs")
    if (width is None) == (alpha is None):
        raise InvalidInput("--width", width, "either --width or --alpha")
    if alpha is not None:
        AXES["alpha"].check(alpha)
    size = width if width is not None else width_at(n_train, alpha)
    arrays = prepare_dataset(config, n_train, seed)
    network = {"width": size, **others}
    parameters = {
        "dataset": dataset, "n_train": n_train, "n_features": arrays.n_features, **network, "seed": seed,
        "alpha": n_train / size,
    }  # fmt: skip
    return Asked(arrays, network, parameters)


OF_ROWS: dict[str, Callable[[Any], str]] = {
    "split": str,
    "label": lambda label: f"class {label}",
    "pair": str,
    "output": lambda output: f"output {output}",
    "output2": str,
}
"""Dimensions whose values have rows of their own, and what the row calls a value."""


def rows_of(solved: xr.Dataset) -> dict[str, xr.DataArray]:
    """Row name -> values, one row for each variable, kind of inputs, class, pair of classes and output."""
    names, rows = dict(OF_ROWS), {}
    if "label" in solved.coords and tuple(solved["label"].values.tolist()) == LABELS:
        names["label"] = lambda label: f"y={label:+d}"
    for name, values in solved.data_vars.items():
        dims = [d for d in names if d in values.dims]
        for at in itertools.product(*(values[d].values.tolist() for d in dims)):
            where = ", ".join(names[d](value) for d, value in zip(dims, at, strict=True))
            rows[f"{name} [{where}]" if where else str(name)] = values.sel(dict(zip(dims, at, strict=True)))
    return rows


def print_parameters(parameters: Mapping[str, Any]) -> None:
    """The point in one line."""
    from proplim.cli._output import number

    print("  ".join(f"{k}={number(v)}" for k, v in parameters.items()))
    print()


def settings_from(words: Sequence[str], model: Any) -> Any:
    """Settings made of ``key=value`` words, values as in a configuration.

    Raises
    ------
    InvalidInput
        If a word is not of that form, or the model refuses it.
    """
    import yaml

    given = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals:
            raise InvalidInput("--set", word, "KEY=VALUE")
        try:
            given[key.strip()] = yaml.safe_load(value)
        except yaml.YAMLError:
            raise InvalidInput("--set", word, "a value as in a configuration") from None
    return model(**given)


def said_now_and_then(describe: Callable[[Any], str]) -> Callable[[Any], None]:
    """Callback that says on standard error how far a computation is, with the time left, every few seconds."""
    last = time.monotonic()

    def report(now: Any) -> None:
        nonlocal last
        if time.monotonic() - last >= SILENCE:
            last = time.monotonic()
            left = f", about {now.seconds_left:.0f} s left" if now.seconds_left >= 0 else ""
            print(f"{describe(now)}{left}", file=sys.stderr, flush=True)

    return report
