"""The cube reference, written from the table of variables itself so that it cannot fall behind.

``python -m proplim.cube._reference > docs/cubes.md`` writes the page.
"""

from __future__ import annotations

from proplim.observables import Observable, variables_of
from proplim.schema import POINT_AXES, STAGES, STATISTICS

_HEAD = f"""# Cube reference

Written from the code by `python -m proplim.cube._reference`; do not edit by hand.

A study leaves `theory.nc`, `sampling.nc` and `dynamics.nc` under `results/<study>/`: netCDF-4 files that
`xarray.open_dataset` reads as they are. All share the dimensions {", ".join(f"`{d}`" for d in POINT_AXES)}
(dynamics has no `temperature`), each with its coordinate; a study on a grid of `alpha` has that dimension in place of
`width`, which is a coordinate over `n_train` and `alpha`. Beside them,

- theory has `approximation`, of infinite_width, proportional, cavity, exact;
- sampling has `statistic`: {", ".join(STATISTICS)} (mean, Monte-Carlo standard error, bulk effective sample size,
  rank-normalised R-hat);
- dynamics has `optimizer`, `replica` and `time`, continuous time = learning rate x step;
- variables have `split` (train, test) and `label` (-1, +1) where the table says so;
- of three and more classes, `label` holds the classes, and there are `pair` ("3-8"; of classes), `output` and `output2`
  (0 to C - 1, in the order of the classes), see the last table.

The same name means the same quantity in all three. A grid point that failed or is missing is NaN with
`converged` = 0, and the integer variable `reason` (on the grid alone) says why, as an index into the list in its
attribute `meanings`. Global attributes hold the full configuration, versions, git revision and creation time.
"""


MANY = 3
"""Outputs at which the table of many classes is made; it is the same for all numbers of them."""

_MANY_HEAD = """## Three and more classes

A network has one output for each class (docs/multiclass.md). The cubes hold the variables above, order_parameter being
tr Q/C, readout_variance and errors means over outputs. These have other dimensions, or are there for many
outputs alone:
"""


def reference_page() -> str:
    """The page as Markdown."""
    parts = [_HEAD]
    for stage in STAGES:
        parts.append(
            f"## {stage}.nc\n\n| variable | dims beside the grid | meaning | units |\n|---|---|---|---|"
        )
        for variable in variables_of(stage):
            parts.append(_row(variable))
        parts.append("")
    return "\n".join([*parts, *_many_classes()])


def _row(variable: Observable) -> str:
    dims = ", ".join(variable.dims) + "".join(f" (no {d})" for d in variable.without)
    latex = variable.symbol.replace("|", r"\vert ").strip()  # a bar would end the cell
    symbol = f", ${latex}$" if variable.name != "converged" else ""
    return f"| `{variable.name}` | {dims.strip()} | {variable.long_name}{symbol} | {variable.units} |"


def _many_classes() -> list[str]:
    """What is different in the cubes of three and more classes."""
    found: dict[str, str] = {}
    for stage in STAGES:
        one = {v.name: _row(v) for v in variables_of(stage)}
        found |= {v.name: row for v in variables_of(stage, MANY) if (row := _row(v)) != one.get(v.name)}
    return [
        _MANY_HEAD,
        "| variable | dims beside the grid | meaning | units |\n|---|---|---|---|",
        *found.values(),
        "",
    ]


if __name__ == "__main__":
    print(reference_page(), end="")
