"""Eigenvalues of the matrix order parameter against T, theory and sampling."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from proplim.figures._base import EQUILIBRIUM, Cubes, Drawings, Figure, add
from proplim.figures._looks import approximation_look
from proplim.figures._pages import temperature_panels, theories
from proplim.figures._panels import draw_line, draw_points
from proplim.figures._slices import sampling_curve, theory_curve
from proplim.figures._style import Style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NAME = "readout_covariance"
VALUES = "eigenvalue"
"""Name of the eigenvalues in the slices that are drawn."""
MATRIX = ("output", "output2")


def _draw(cubes: Cubes, style: Style) -> Drawings:
    if not any(NAME in cube for cube in cubes.values()):
        return
    ylabel = r"eigenvalues of $Q=\lambda_1\langle v_c v_d\rangle$"
    yield from temperature_panels(cubes, [NAME], _paint, ylabel, style)


def _paint(ax: Axes, theory: xr.Dataset | None, sampling: xr.Dataset | None) -> None:
    for name, solved in theories(theory):
        look = approximation_look(name)
        values = with_eigenvalues(solved)
        for k in range(values.sizes[VALUES]):
            curve = theory_curve(values.isel({VALUES: k}), VALUES, name)
            draw_line(ax, curve, look, look.title)
    if sampling is not None:
        values = with_eigenvalues(sampling)
        for k in range(values.sizes[VALUES]):
            draw_points(ax, sampling_curve(values.isel({VALUES: k}), VALUES), "sampling")


def with_eigenvalues(cube: xr.Dataset) -> xr.Dataset:
    """A slice of a cube with the eigenvalues of Q, ascending, in place of the matrix <v_c v_c'>.

    Standard errors of sampled eigenvalues are to first order, entries of the matrix taken for independent.
    """
    matrix = cube[NAME]
    known = matrix.sel(statistic="mean", drop=True) if "statistic" in matrix.dims else matrix
    rest = [d for d in known.dims if d not in MATRIX]
    stacked = known.transpose(*rest, *MATRIX).values * float(cube["lambda1"])
    finite = np.asarray(np.isfinite(stacked).all((-2, -1)))[..., None]
    safe = np.where(finite[..., None], stacked, np.eye(stacked.shape[-1]))
    values, vectors = np.linalg.eigh(safe)
    values = np.where(finite, values, np.nan)
    found = xr.DataArray(values, dims=(*rest, VALUES), coords={d: known[d] for d in rest})
    if "statistic" in matrix.dims:
        errors = matrix.sel(statistic="mcse", drop=True).transpose(*rest, *MATRIX).values
        spread = np.sqrt(np.einsum("...ak,...ab,...bk->...k", vectors**2, errors**2, vectors**2))
        spread = spread * float(cube["lambda1"])
        of_errors = found.copy(data=np.where(finite, spread, np.nan))
        found = xr.concat([found, of_errors], xr.Variable("statistic", ["mean", "mcse"]))
    keep = [n for n in ("converged",) if n in cube]
    return cube[keep].assign({VALUES: found})


add(
    Figure(
        "order_parameter_eigenvalues",
        "eigenvalues of the order parameter",
        "Eigenvalues of the matrix order parameter Q, the scaled second moments of the readout weights, against "
        "temperature.",
        """\
At infinite width Q is the identity. At finite width an eigenvector of Q is a combination of the classes, and
its eigenvalue says by how much the prior of the predictor is rescaled along it. Of centred targets one
eigenvalue belongs to the sum of all outputs, which has no labels: it falls towards zero with T. The largest
belong to combinations of classes that are hard to tell apart in the kernel, and exceed one at low T where the
labels ask for more than the prior offers.""",
        _draw,
        section="3 Weights",
        any_of=EQUILIBRIUM,
        shows=(NAME, "order_parameter"),
        sliced=True,
        each_class=True,
        order=42,
    )
)
