"""Distributions of weights over the posterior, beside the Gaussians that the theory predicts.

The cubes hold moments only. With ``sampling: {histograms: true}`` the files of draws beside them also hold the weights
of single units, from which :func:`weight_histograms` makes a data set with the axes of the sampling cube.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from proplim.figures._base import Cubes, Drawings, Figure, add
from proplim.figures._files import files_of_study
from proplim.figures._looks import SAMPLING_COLOR, approximation_look
from proplim.figures._pages import equilibrium
from proplim.figures._panels import (
    MAX_COLUMNS,
    configuration_of,
    finish,
    number,
    pages,
    panel_figure,
    parameters_text,
)
from proplim.figures._slices import Point, at, filled, has_data, matches, points
from proplim.figures._style import Style
from proplim.query import plain_values
from proplim.schema import AXES

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

WEIGHTS = (
    ("unit_readout", "readout_variance", "lambda1", r"\sqrt{\lambda_1}\,v"),
    ("unit_signal", "signal_variance", "lambda0", r"\sqrt{\lambda_0}\,w\cdot u"),
)
"""Weight, variable with its second moment, precision of its prior and symbol in units of the prior's s.d."""

FLOOR = 1e-4
"""Smallest density drawn."""

REACH, BINS = 12.0, 241
"""Half-width of the histograms in units of the largest standard deviation in the study, and their bins."""


def weight_histograms(sampling: xr.Dataset, folder: Path) -> xr.Dataset | None:
    """Histograms of the weights of single units at every point of a sampling cube.

    Parameters
    ----------
    sampling : xarray.Dataset
        Sampling cube.
    folder : Path
        Folder with the files of draws of its study, ``results/<study>/draws``.

    Returns
    -------
    xarray.Dataset or None
        ``unit_readout`` and ``unit_signal`` over the grid and ``bin``: probability density of
        lambda1^(1/2) v and lambda0^(1/2) w.u, units of the prior's standard deviation, pooled over chains,
        draws and units; NaN where the files hold none. The coordinate ``bin`` is the middle of a bin. None if
        the study has not kept single units.

    Notes
    -----
    A file belongs to a point if its own summary repeats the cube's numbers: files of a study that was changed
    since stay in the folder and are passed over.
    """
    if not configuration_of(sampling).get("sampling", {}).get("histograms"):
        return None
    edges = _edges(sampling)
    grid = {d: sampling[d].values for d in AXES if d in sampling.dims}
    shape = (*map(len, grid.values()), BINS)
    densities = {name: np.full(shape, np.nan) for name, *_ in WEIGHTS}
    for index, draws in _files(sampling, folder):
        for name, _, prior, _ in WEIGHTS:
            scaled = np.sqrt(float(draws.attrs[prior])) * draws[name].values
            densities[name][index] = np.histogram(scaled, edges)[0] / scaled.size / np.diff(edges)
    if not any(np.isfinite(d).any() for d in densities.values()):
        return None
    dims = (*grid, "bin")
    coords = {**grid, "bin": 0.5 * (edges[1:] + edges[:-1])}
    return xr.Dataset({k: (dims, v) for k, v in densities.items()}, coords, attrs=dict(sampling.attrs))


def _edges(sampling: xr.Dataset) -> np.ndarray:
    """Edges of the bins, the same for all points, symmetric about zero."""
    scaled = [sampling[moment].sel(statistic="mean") * sampling[prior] for _, moment, prior, _ in WEIGHTS]
    largest = np.nanmax([float(np.sqrt(s.max())) for s in scaled])
    return np.linspace(-REACH * largest, REACH * largest, BINS + 1)


def _files(sampling: xr.Dataset, folder: Path) -> Iterator[tuple[tuple[int, ...], xr.Dataset]]:
    """Position in the grid, and draws of single units, of every file that belongs to the cube."""
    grid = _grid_of(sampling)
    for path in files_of_study(folder):
        with xr.open_dataset(path) as draws:
            point = json.loads(draws.attrs.get("point", "{}"))
            index = _index(sampling, point)
            if index is None or any(name not in draws for name, *_ in WEIGHTS):
                continue
            if _repeats(draws.attrs, sampling.isel(dict(zip(grid, index, strict=True)))):
                single = draws[[name for name, *_ in WEIGHTS]].load()
                yield index, single.assign_attrs({prior: point[prior] for _, _, prior, _ in WEIGHTS})


def _grid_of(sampling: xr.Dataset) -> list[str]:
    return [d for d in AXES if d in sampling.dims]


def _index(sampling: xr.Dataset, point: Mapping[str, Any]) -> tuple[int, ...] | None:
    """Position of a point in the grid of the cube."""
    found = [matches(sampling, d, point[d]) if d in point else np.array([], int) for d in _grid_of(sampling)]
    return tuple(int(f[0]) for f in found) if all(f.size for f in found) else None


def _repeats(attributes: Mapping[str, Any], here: xr.Dataset) -> bool:
    """Whether the summary in a file of draws holds the numbers of the cube at this point, bit for bit."""
    moments = [moment for _, moment, *_ in WEIGHTS]
    summary = xr.Dataset.from_dict(json.loads(attributes["summary"]))
    return all(
        float(summary[m].sel(statistic="mean")) == float(here[m].sel(statistic="mean")) for m in moments
    )


def _draw(cubes: Cubes, style: Style, folder: Path) -> Drawings:
    """Distributions of v and w.u beside the Gaussians of the theory: a file a (P, N), a column a temperature."""
    counted = weight_histograms(cubes["sampling"], folder)
    if counted is None:
        return
    shown = {"histograms": counted}
    cubes = {**cubes, **shown}
    names = [name for name, *_ in WEIGHTS]
    for point in points(shown):
        for n_train in filled(shown, point, "n_train", names):
            for width in filled(shown, {**point, "n_train": n_train}, "width", names):
                here: Point = {**point, "n_train": n_train, "width": width}
                columns = pages(filled(shown, here, "temperature", names), MAX_COLUMNS)
                for page, temperatures in enumerate(columns, start=1):
                    key = {**here, "page": page} if len(columns) > 1 else here
                    yield key, _page(cubes, here, temperatures, style)


def _page(cubes: Cubes, point: Point, temperatures: Sequence, style: Style) -> Canvas:
    from matplotlib.ticker import MaxNLocator

    figure, axes = panel_figure(len(WEIGHTS), len(temperatures), style, sharex="row", sharey="row")
    theory = equilibrium(cubes).get("theory")
    for j, temperature in enumerate(temperatures):
        where = {**point, "temperature": temperature}
        sampled, predicted = at(cubes["histograms"], where), at(theory, where)
        assert sampled is not None
        for ax, (name, moment, prior, symbol) in zip(axes[:, j], WEIGHTS, strict=True):
            _bars(ax, sampled[name])
            precision = float(point[prior])  # type: ignore[arg-type]
            if has_data(predicted, [moment]):
                assert predicted is not None
                _gaussians(ax, predicted[moment] * precision, sampled["bin"].values)
            ax.set_xlabel(f"${symbol}$")
        axes[0, j].set_title(f"$T={number(temperature)}$", y=1.0)
    figure.align_ylabels(axes[:, 0])
    for ax, (name, *_) in zip(axes[:, 0], WEIGHTS, strict=True):
        ax.set_ylabel("probability density")
        reach = _reach(at(cubes["histograms"], point), name, temperatures)
        ax.set_xlim(-reach, reach)
        ax.xaxis.set_major_locator(MaxNLocator(nbins=5, integer=True, symmetric=True))
    more = ("$u$: signal direction", "weights in units of the prior's s.d.")
    return finish(figure, axes, parameters_text({"sampling": cubes["sampling"]}, point, *more))


def _reach(counted: xr.Dataset | None, name: str, temperatures: Sequence) -> float:
    """Half-width of the panels of a row: as far as any of its histograms can be seen."""
    assert counted is not None
    shown = counted[name].sel(temperature=temperatures)
    seen = (shown > FLOOR).any([d for d in shown.dims if d != "bin"])
    middle = abs(counted["bin"].values)
    return float(np.max(middle[seen.values], initial=4.0)) + 2 * float(counted["bin"][1] - counted["bin"][0])


def _bars(ax: Axes, density: xr.DataArray) -> None:
    """The histogram, averaged over draws of the training set, on a logarithmic scale: Gaussians are parabolas."""
    pooled = density.mean("seed", skipna=True) if "seed" in density.dims else density
    x, y = pooled["bin"].values, pooled.values
    half = 0.5 * (x[1] - x[0])
    ax.set_yscale("log")
    ax.stairs(y, np.append(x - half, x[-1] + half), baseline=FLOOR, fill=True, color="0.85")
    ax.stairs(y, np.append(x - half, x[-1] + half), baseline=None, color=SAMPLING_COLOR, label="sampling")
    ax.set_ylim(FLOOR, 1.0)


def _gaussians(ax: Axes, variance: xr.DataArray, x: np.ndarray) -> None:
    """Gaussians of mean zero with the second moments of the theories, averaged over draws."""
    pooled = variance.mean("seed", skipna=True) if "seed" in variance.dims else variance
    for name in plain_values(pooled["approximation"]):
        look, value = approximation_look(name), float(pooled.sel(approximation=name))
        if np.isfinite(value):
            y = np.exp(-0.5 * x**2 / value) / np.sqrt(2 * np.pi * value)
            ax.plot(x, y, color=look.color, linestyle=look.linestyle, label=look.title)


add(
    Figure(
        "histograms",
        "distributions of weights",
        "Distributions of the readout weights and of the hidden weights along the signal, sampled, beside "
        "Gaussians of the theory.",
        """\
Weights are in units of the prior's standard deviation; Gaussians have mean zero and the second moments that
the theory predicts, and are parabolas on the logarithmic scale.

Agreement says that a unit's weights are jointly Gaussian to leading order; heavier tails or two humps are
where the Gaussian theory ends and the cavity theory goes on.""",
        _draw,
        section="3 Weights",
        needs=("sampling",),
        shows=tuple(moment for _, moment, *_ in WEIGHTS),
        reads="draws",
        order=60,
    )
)
