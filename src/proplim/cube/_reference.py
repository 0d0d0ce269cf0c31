"""The cube reference, written from the table of variables itself so that it cannot fall behind.

``python -m proplim.cube._reference > docs/cubes.md`` writes the page.
"""

from __future__ import annotations

from proplim.observables import variables_of
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
- variables have `split` (train, test) and `label` (-1, +1) where the table says so.

The same name means the same quantity in all three. A grid point that failed or is missing is NaN with
`converged` = 0, and the integer variable `reason` (on the grid alone) says why, as an index into the list in its
attribute `meanings`. Global attributes hold the full configuration, versions, git revision and creation time.
"""


def reference_page() -> str:
    """The page as Markdown."""
    parts = [_HEAD]
    for stage in STAGES:
        parts.append(
            f"## {stage}.nc\n\n| variable | dims beside the grid | meaning | units |\n|---|---|---|---|"
        )
        for variable in variables_of(stage):
            dims = ", ".join(variable.dims) + "".join(f" (no {d})" for d in variable.without)
            latex = variable.symbol.replace("|", r"\vert ").strip()  # a bar would end the cell
            symbol = f", ${latex}$" if variable.name != "converged" else ""
            parts.append(
                f"| `{variable.name}` | {dims.strip()} | {variable.long_name}{symbol} | {variable.units} |"
            )
        parts.append("")
    return "\n".join(parts)


if __name__ == "__main__":
    print(reference_page(), end="")
