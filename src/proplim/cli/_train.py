"""proplim train: networks of one grid point, trained from the prior."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
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
    SetOption,
    ThreadsOption,
    TrainOption,
    WidthOption,
    asked_point,
    print_parameters,
    rows_of,
    said_now_and_then,
    settings_from,
)

if TYPE_CHECKING:
    import xarray as xr

EXAMPLES = """\b
Examples:
  proplim train --dataset digits --classes 3 8 --n-train 60 --width 60
  proplim train --dataset digits --classes 3 8 --n-train 60 --alpha 1 --set optimizers=[langevin] --set t_max=1000
"""


def train(
    context: typer.Context,
    dataset: DatasetOption,
    n_train: TrainOption,
    width: WidthOption = None,
    alpha: AlphaOption = None,
    activation: ActivationOption = "erf",
    lambda0: HiddenOption = 1.0,
    lambda1: ReadoutOption = 1.0,
    seed: SeedOption = 0,
    settings: SetOption = [],  # noqa: B006
    threads: ThreadsOption = 1,
    plugin: PluginOption = [],  # noqa: B006
    as_json: JsonOption = False,
) -> None:
    """Train networks of one grid point from the prior.

    Prints every observable at the first and the last recorded time and where D turns: mean over replicas, its standard
    error, and the number of replicas. Progress goes to standard error. Settings are the keys of `dynamics` in a
    configuration.
    """
    point = asked_point(
        context, dataset, n_train, seed, width, alpha,
        activation=activation, lambda0=lambda0, lambda1=lambda1,
    )  # fmt: skip
    from proplim.dynamics import DynamicsSettings
    from proplim.dynamics import train as train_point

    chosen = settings_from(settings, DynamicsSettings)
    report = said_now_and_then(_replicas)
    result = train_point(point.dataset, **point.network, settings=chosen, threads=threads, progress=report)
    ends = [float(result["time"][k]) for k in (0, -1)]
    found = {str(name): _rows(result.sel(optimizer=name)) for name in result["optimizer"].values}
    if as_json:
        print(json.dumps({**point.parameters, "times": ends, "optimizers": found}, indent=1))
        return
    from proplim.cli._output import print_table

    print_parameters(point.parameters)
    for name, rows in found.items():
        print(f"{name}: mean over replicas at t = {ends[0]:.3g} and t = {ends[1]:.3g}\n")
        table = [
            [row, *(np.nan if v is None else v for v in values.values())] for row, values in rows.items()
        ]
        print_table(["observable", "start", "end", "error", "replicas"], table)
        print()


def _rows(run: xr.Dataset) -> dict[str, dict[str, Any]]:
    """Row name -> mean at the first and last time, standard error at the last one, replicas; None for no number."""
    from proplim.cli._output import plain

    good = (run["converged"] > 0).all("time") if "time" in run["converged"].dims else run["converged"] > 0
    rows = {}
    for row, values in rows_of(run.drop_vars("converged")).items():
        kept = values.where(good) if "replica" in values.dims else values
        first, last = ((kept.isel(time=k) if "time" in kept.dims else kept).values.ravel() for k in (0, -1))
        last_known, first_known = last[np.isfinite(last)], first[np.isfinite(first)]
        count = len(last_known)
        rows[row] = {
            "start": plain(first_known.mean()) if len(first_known) and "time" in kept.dims else None,
            "end": plain(last_known.mean()) if count else None,
            "error": plain(last_known.std(ddof=1) / count**0.5) if count > 1 else None,
            "replicas": count,
        }
    return rows


def _replicas(now: Any) -> str:
    return f"{now.optimizer}, replica {now.replica} at t = {now.time:.3g}, {100 * now.done:.0f} % of all"
