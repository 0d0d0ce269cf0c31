"""The xarray accessor ``cube.proplim``: the common questions about a cube as methods."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import xarray as xr

from proplim.query._compare import differences
from proplim.query._helpers import DISTANCE, means, ratio_to_prior, relative_distance
from proplim.query._peak import peak_temperature
from proplim.query._select import select


@xr.register_dataset_accessor("proplim")
class ProplimAccessor:
    """Methods of every cube once :mod:`proplim.query` is imported."""

    def __init__(self, cube: xr.Dataset) -> None:
        self._cube = cube

    def at(self, *, method: str = "nearest", **selection: Any) -> xr.Dataset:
        """Slice by values: ``cube.proplim.at(width=60, temperature=(0.01, 1))``, as :func:`select`."""
        return select(self._cube, selection, method=method)

    def peak(self, dim: str | None = None) -> xr.Dataset:
        """Position (T*, or t* in a dynamics cube) and height of the largest D, read off the axis.

        See :func:`proplim.query.peak_temperature`; a theory cube's own ``peak_temperature`` is more precise.
        """
        if dim is None:
            dim = "temperature" if "temperature" in self._cube.dims else "time"
        return peak_temperature(means(self._cube[DISTANCE]), dim)

    def ratio_to_prior(self, theory: xr.Dataset | None = None) -> xr.DataArray:
        """D over the prior's. See :func:`proplim.query.ratio_to_prior`."""
        return ratio_to_prior(self._cube, theory)

    def relative_distance(self) -> xr.DataArray:
        """D/(R_+^2 + R_-^2). See :func:`proplim.query.relative_distance`."""
        return relative_distance(self._cube)

    def z_scores(self, theory: xr.Dataset, variables: Sequence[str] | None = None) -> xr.Dataset:
        """(theory - sampling)/mcse of this sampling cube, for each variable and approximation."""
        return self._suffix(theory, variables, "_z")

    def relative_errors(self, theory: xr.Dataset, variables: Sequence[str] | None = None) -> xr.Dataset:
        """(theory - sampling)/|sampling| of this sampling cube, for each variable and approximation."""
        return self._suffix(theory, variables, "_relative")

    def _suffix(self, theory: xr.Dataset, variables: Sequence[str] | None, suffix: str) -> xr.Dataset:
        compared = differences(self._cube, theory, variables)
        names = [str(n) for n in compared.data_vars if str(n).endswith(suffix)]
        return compared[names].rename({n: n.removesuffix(suffix) for n in names})
