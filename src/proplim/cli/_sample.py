"""proplim sample: the posterior of one grid point, by sampling."""

from __future__ import annotations

import json
import sys
from typing import Any

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
    TemperatureOption,
    ThreadsOption,
    TrainOption,
    WidthOption,
    asked_point,
    print_parameters,
    rows_of,
    said_now_and_then,
    settings_from,
)

EXAMPLES = """\b
Examples:
  proplim sample --dataset digits --classes 3 8 --n-train 60 --width 60 --temperature 0.1
  proplim sample --dataset digits --classes 3 8 --n-train 60 --alpha 1 --temperature 1 --set target_ess=1000
"""

COLUMNS = {"mean": "mean", "mcse": "error", "ess": "ESS", "rhat": "R-hat"}
"""Statistic of a sampled observable -> what the table calls it."""


def sample(
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
    settings: SetOption = [],  # noqa: B006
    threads: ThreadsOption = 1,
    plugin: PluginOption = [],  # noqa: B006
    as_json: JsonOption = False,
) -> None:
    """Sample the posterior of one grid point.

    Prints mean, Monte-Carlo error, effective sample size and R-hat of every observable; progress goes to standard
    error. Settings are the keys of `sampling` in a configuration.
    """
    point = asked_point(
        context, dataset, n_train, seed, width, alpha,
        activation=activation, temperature=temperature, lambda0=lambda0, lambda1=lambda1,
    )  # fmt: skip
    from proplim.sampling import SamplingSettings, sample_posterior

    chosen = settings_from(settings, SamplingSettings)
    report = said_now_and_then(_chains)
    result = sample_posterior(
        point.dataset, **point.network, settings=chosen, threads=threads, progress=report
    ).summary
    converged, reason = bool(result["converged"]), str(result.attrs.get("reason", ""))
    rows = rows_of(result.drop_vars("converged"))
    table = {row: {s: float(values.sel(statistic=s)) for s in COLUMNS} for row, values in rows.items()}
    if as_json:
        from proplim.cli._output import plain

        observables = {row: {s: plain(v) for s, v in values.items()} for row, values in table.items()}
        print(json.dumps({**point.parameters, "converged": converged, "observables": observables}, indent=1))
    else:
        from proplim.cli._output import print_table

        print_parameters(point.parameters)
        print_table(["observable", *COLUMNS.values()], [[r, *v.values()] for r, v in table.items()])
    if not converged:
        print(f"not converged: {reason}", file=sys.stderr)


def _chains(now: Any) -> str:
    check = f", smallest ESS {now.ess:.0f}, largest R-hat {now.rhat:.3f}" if now.ess >= 0 else ""
    return f"{now.draws} draws a chain{check}"
