"""Cubes of many classes as figures of one distance read them: averaged over pairs, outputs and many classes."""

from __future__ import annotations

from collections.abc import Mapping

import xarray as xr

from proplim.figures._distances import with_distances
from proplim.figures._looks import LINES

AVERAGED = "averaged_over"
"""Attribute of an averaged cube: what its numbers are means over, in words."""
_SECOND = "output2"


def averaged_over_classes(cubes: Mapping[str, xr.Dataset]) -> dict[str, xr.Dataset]:
    """Cubes without the dimensions that three and more classes bring; those of two classes as they are.

    Distances are means over pairs of classes and what belongs to an output over outputs; radii over classes where
    there are more than line styles. Standard errors are averaged too: a bound from above of that of the mean. Matrices
    over classes are left out.
    """
    many = {stage for stage, cube in cubes.items() if "output" in cube.dims}
    # A ratio of means over pairs is no mean over pairs of ratios.
    whole = with_distances({stage: cubes[stage] for stage in many})
    return {stage: _averaged(whole[stage]) if stage in many else cube for stage, cube in cubes.items()}


def _averaged(cube: xr.Dataset) -> xr.Dataset:
    dims = [d for d in ("pair", "output") if d in cube.dims]
    dims += ["label"] if cube.sizes.get("label", 0) > len(LINES) else []
    plain = cube.drop_vars([n for n, v in cube.data_vars.items() if _SECOND in v.dims])
    means = {
        str(name): values.mean(over, skipna=True, keep_attrs=True)
        for name, values in plain.data_vars.items()
        if (over := [d for d in dims if d in values.dims])
    }
    averaged = plain.assign(means)
    unused = [d for d in (*dims, _SECOND) if d in averaged.coords]
    words = {"pair": "distances: mean over pairs of classes", "label": "radii: mean over classes"}
    return averaged.drop_vars(unused).assign_attrs(
        {**cube.attrs, AVERAGED: ", ".join(words[d] for d in dims if d in words)}
    )
