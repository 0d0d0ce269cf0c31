"""What a run has to say at its end, as pages: what converged, what was asked for, and the study to turn through."""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from proplim.config import resolved_yaml
from proplim.cube import PARTIAL, open_netcdf
from proplim.study._collect import convergence_summary
from proplim.study._plan import Plan

WORST = 8
"""Sampled points of the smallest ESS and the largest R-hat that are named."""

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 1.5rem; color: #222; background: #fff; max-width: 70rem; }
table { border-collapse: collapse; margin: 0.5rem 0 1.5rem; }
th, td { padding: 0.25rem 0.8rem; border-bottom: 1px solid #ddd; text-align: left; vertical-align: top; }
td.number { text-align: right; font-variant-numeric: tabular-nums; }
h2 { font-size: 1.1rem; margin-top: 1.6rem; }
pre { background: #f6f6f6; padding: 1rem; overflow-x: auto; }
.short { color: #a33; }
"""


def write_pages(plan: Plan, cubes: Mapping[str, str | Path]) -> list[Path]:
    """Write the pages of a study that are made of whole cubes, which are opened and verified once for all of them.

    Parameters
    ----------
    plan : Plan
    cubes : mapping
        Stage -> path of its cube.

    Returns
    -------
    list of Path
        ``summary/convergence.html``, ``summary/configuration.html`` and, where figures are wanted, ``explore.html``,
        one page, without a network, in which a user turns through the study.
    """
    opened = {stage: open_netcdf(path) for stage, path in cubes.items()}
    try:
        written = _write_summary(plan, opened, Path(plan.root, "summary"))
        for page in plan.explorer():
            from proplim.explore import write_explorer

            written.append(write_explorer(opened, page))
    finally:
        for cube in opened.values():
            cube.close()
    return written


def _write_summary(plan: Plan, cubes: Mapping[str, xr.Dataset], folder: Path) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    pages = {"convergence.html": _convergence(cubes), "configuration.html": _configuration(plan, cubes)}
    written = []
    for name, body in pages.items():
        title = f"{name.removesuffix('.html')} of the study {plan.config.study}"
        head = (
            f'<!doctype html><meta charset="utf-8"><title>{html.escape(title)}</title><style>{_STYLE}</style>'
        )
        path = folder / name
        path.write_text(f"{head}\n<body>{body}</body>\n", encoding="utf-8")
        written.append(path)
    return written


def _convergence(cubes: Mapping[str, xr.Dataset]) -> str:
    summaries = {stage: convergence_summary(cube, stage) for stage, cube in cubes.items()}
    rows = [
        [stage, s["points"], s["converged"], s["points"] - s["converged"]] for stage, s in summaries.items()
    ]
    parts = [
        f'<p class="short"><b>Partial results.</b> {stage}: {html.escape(cube.attrs[PARTIAL])}.</p>'
        for stage, cube in cubes.items()
        if PARTIAL in cube.attrs
    ]
    parts += ["<h2>Points converged</h2>", _table(["cube", "points", "converged", "fell short"], rows)]
    for stage, s in summaries.items():
        if s["short"]:
            missing = s["points"] - s["converged"] - len(s["short"])
            more = [f"and {missing} more: <code>converged</code> and <code>reason</code> of the cube"]
            items = [html.escape(text) for text in s["short"]] + (more if missing else [])
            parts.append(f"<h2>{stage}: what fell short, and why</h2>" + _list(items))
    if "sampling" in cubes:
        parts += _sampling_quality(cubes["sampling"])
    if {"theory", "sampling"} <= set(cubes):
        parts += _agreement(cubes["theory"], cubes["sampling"])
    return "\n".join(parts)


def _sampling_quality(cube: xr.Dataset) -> list[str]:
    """The sampled observables known least well: smallest ESS, largest R-hat."""
    parts = []
    for statistic, title, largest in (
        ("ess", "Smallest effective sample sizes", False),
        ("rhat", "Largest R-hat", True),
    ):
        found = []
        for name, values in cube.data_vars.items():
            if "statistic" not in values.dims:
                continue
            chosen = values.sel(statistic=statistic)
            flat = chosen.values.ravel()
            order = np.argsort(-flat if largest else flat)[:WORST]
            found += [
                (flat[i], name, chosen, np.unravel_index(i, chosen.shape))
                for i in order
                if np.isfinite(flat[i])
            ]
        found.sort(key=lambda item: -item[0] if largest else item[0])
        rows = [
            [str(name), f"{value:.4f}" if largest else f"{value:.0f}", _where(chosen, index)]
            for value, name, chosen, index in found[:WORST]
        ]
        parts.append(f"<h2>{title}</h2>" + _table(["observable", statistic, "where"], rows))
    return parts


def _agreement(theory: xr.Dataset, sampling: xr.Dataset) -> list[str]:
    """How far each approximation is from sampling."""
    from proplim.query import differences, summarise

    table = summarise(differences(sampling, theory))
    table = table[table["points"] > 0]
    head = [
        "approximation",
        "observable",
        "points",
        "rms z",
        "largest |z|",
        "median error",
        "largest error",
        "worst at",
    ]
    rows = [
        [
            row.approximation, row.variable, row.points, f"{row.rms_z:.1f}", f"{row.max_abs_z:.1f}",
            f"{100 * row.median_relative:.2g} %", f"{100 * row.max_relative:.2g} %", row.worst,
        ]
        for row in table.itertuples()
    ]  # fmt: skip
    text = (
        "<p>z = (theory - sampling) / Monte-Carlo standard error; errors are relative to the sampled mean. "
        "Sampling is of the finite network as it is: a |z| well above 3 is the error of the approximation.</p>"
    )
    return ["<h2>Theory against sampling</h2>", text, _table(head, rows)] if rows else []


def _configuration(plan: Plan, cubes: Mapping[str, xr.Dataset]) -> str:
    rows = []
    for stage, cube in cubes.items():
        axes = ", ".join(f"{size} {name}" for name, size in cube.sizes.items())
        rows.append([stage, axes, cube.attrs.get("proplim_version", ""), cube.attrs.get("git_revision", "")])
    return "\n".join(
        [
            "<h2>Cubes</h2>",
            _table(["cube", "axes", "proplim", "revision"], rows),
            "<h2>The configuration, with every default filled in</h2>",
            f"<pre>{html.escape(resolved_yaml(plan.config))}</pre>",
        ]
    )


def _where(values: xr.DataArray, index: Sequence[Any]) -> str:
    named = {d: values[d].values[i] for d, i in zip(values.dims, index, strict=True) if values.sizes[d] > 1}
    return ", ".join(
        f"{d} = {v:g}" if isinstance(v, float | np.floating) else f"{d} = {v}" for d, v in named.items()
    )


def _table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    def cell(value: Any) -> str:
        number = isinstance(value, int | np.integer) or str(value)[:1].isdigit()
        return f"<td{' class=number' if number else ''}>{html.escape(str(value))}</td>"

    titles = "".join(f"<th>{html.escape(t)}</th>" for t in head)
    body = "\n".join("<tr>" + "".join(cell(v) for v in row) + "</tr>" for row in rows)
    return f"<table><tr>{titles}</tr>\n{body}</table>"


def _list(items: Iterable[str]) -> str:
    return '<ul class="short">' + "".join(f"<li>{item}</li>" for item in items) + "</ul>"
