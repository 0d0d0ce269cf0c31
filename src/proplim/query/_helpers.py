"""The common questions about a cube, as functions."""

from __future__ import annotations

import numpy as np
import xarray as xr

from proplim.errors import InvalidInput
from proplim.geometry import pair_members
from proplim.query._order import PRIOR, plain_values

DISTANCE, RADIUS = "centroid_distance_sq", "gyration_radius_sq"


def means(values: xr.DataArray) -> xr.DataArray:
    """Sampled means of a variable of a sampling cube; a variable of another cube as it is."""
    return values.sel(statistic="mean", drop=True) if "statistic" in values.dims else values


def prior_distance(theory: xr.Dataset) -> xr.DataArray:
    """D of the prior: the infinite-width value, which is the prior's own at every temperature and width.

    <(1/N) sum_i sigma sigma'> over the prior is K for every N, and infinite width keeps K' = K (theory.md,
    section 3).

    Raises
    ------
    InvalidInput
        If the cube has no ``infinite_width``.
    """
    names = plain_values(theory["approximation"]) if "approximation" in theory.coords else []
    if PRIOR not in names:
        raise InvalidInput(
            "theory", names, f"a theory cube with the approximation {PRIOR}, which is the prior's D"
        )
    if "approximation" not in theory.dims:
        return theory[DISTANCE].drop_vars("approximation")
    return theory[DISTANCE].sel(approximation=PRIOR, drop=True)


def ratio_to_prior(cube: xr.Dataset, theory: xr.Dataset | None = None) -> xr.DataArray:
    """Class distance over its value in the prior, D/D_prior.

    Parameters
    ----------
    cube : xarray.Dataset
        Theory, sampling or dynamics cube; of sampling the means are used.
    theory : xarray.Dataset, optional
        Theory cube that holds infinite_width; `cube` itself by default.

    Raises
    ------
    InvalidInput
        If no infinite-width theory is at hand.
    """
    from proplim.query._compare import theory_at_sampled

    prior = prior_distance(cube if theory is None else theory)
    if theory is not None:
        prior = theory_at_sampled(prior.to_dataset(name=DISTANCE), cube)[DISTANCE]
    if "temperature" in prior.dims and "temperature" not in cube.dims:
        prior = prior.mean("temperature", skipna=True)  # the same at every temperature, up to missing points
    ratio = means(cube[DISTANCE]) / prior
    ratio.attrs = {"long_name": "class distance over its value in the prior", "units": "1"}
    return ratio.rename("ratio_to_prior")


def relative_distance(cube: xr.Dataset) -> xr.DataArray:
    """Class distance in units of the class sizes, D/(R_+^2 + R_-^2); of sampling, the ratio of the means.

    Of three and more classes that of every pair, with the radii of its two classes.
    """
    ratio = means(cube[DISTANCE]) / of_both_classes(means(cube[RADIUS]), cube)
    ratio.attrs = {"long_name": "class distance over the sum of squared gyration radii", "units": "1"}
    return ratio.rename("relative_distance")


def of_both_classes(values: xr.DataArray, cube: xr.Dataset) -> xr.DataArray:
    """Sum of what classes have, with dimension `label`, over the two classes of every distance of a cube."""
    if "pair" not in cube.dims:
        return values.sum("label", skipna=False)
    labels = [str(label) for label in cube["label"].values]
    first, second = np.array([pair_members(str(pair), labels) for pair in cube["pair"].values]).T
    both = [
        values.isel(label=xr.DataArray(which, dims="pair")).drop_vars("label") for which in (first, second)
    ]
    return (both[0] + both[1]).assign_coords(pair=cube["pair"])
