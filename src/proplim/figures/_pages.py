"""Equilibrium observables against temperature: theory lines and sampled points."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from proplim.figures._panels import (
    MAX_COLUMNS,
    MAX_ROWS,
    draw_line,
    draw_points,
    finish,
    label_bottom,
    log_axis,
    pages,
    panel_figure,
    panel_title,
    parameters_text,
    symbol,
)
from proplim.figures._slices import (
    Cubes,
    Point,
    at,
    filled,
    has_data,
    mean_peak,
    points,
    sampling_curve,
    shared_seeds,
    theory_curve,
    values_of,
)
from proplim.figures._style import LABEL_LINES, LABEL_MARKERS, LABEL_NAMES, Style, approximation_look
from proplim.geometry import LABELS
from proplim.observables import variables_of
from proplim.schema import SPLITS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INPUTS = {"train": "training inputs", "test": "test inputs"}
Painter = Callable[["Axes", xr.Dataset | None, xr.Dataset | None], None]
Drawings = Iterator[tuple[dict[str, object], "Figure"]]


def theories(theory: xr.Dataset | None) -> list[tuple[str, xr.Dataset]]:
    """(name, cube) of every approximation of a theory cube that has a number here, none where there is no cube.

    `exact` of a network that is not linear has none, and no place in a legend.
    """
    if theory is None:
        return []
    names = [v.name for v in variables_of("theory") if v.name != "converged"]
    approximations = theory["approximation"].values.tolist()
    return [(a, theory) for a in approximations if has_data(theory.sel(approximation=a), names)]


def equilibrium(cubes: Cubes) -> dict[str, xr.Dataset]:
    """Theory and sampling on the training-set draws that both have."""
    return shared_seeds({k: cubes[k] for k in ("theory", "sampling") if k in cubes})


def width_pages(cubes: Cubes, names: Sequence[str]) -> Iterator[tuple[Point, Point, list]]:
    """Pages of figures that have a file a width and a column a training-set size.

    Yields
    ------
    key, point : dict
        What tells the file apart, with the page where there are several; what it shows.
    n_trains : list
        Its columns.
    """
    for point in points(cubes):
        for width in filled(cubes, point, "width", names):
            here: Point = {**point, "width": width}
            columns = pages(filled(cubes, here, "n_train", names), MAX_COLUMNS)
            for page, n_trains in enumerate(columns, start=1):
                yield ({**here, "page": page} if len(columns) > 1 else here), here, n_trains


def temperature_panels(
    cubes: Cubes, names: Sequence[str], paint: Painter, ylabel: str, style: Style, more: str = ""
) -> Drawings:
    """A figure for each (dataset, activation, lambda0, lambda1), a panel for each (P, N), cut into pages."""
    both = equilibrium(cubes)
    for point in points(both):
        columns = pages(filled(both, point, "n_train", names), MAX_COLUMNS)
        rows = pages(filled(both, point, "width", names), MAX_ROWS)
        several = len(columns) * len(rows) > 1
        page = 0
        for row_values in rows:
            for column_values in columns:
                page += 1
                figure = _page(both, point, row_values, column_values, names, paint, ylabel, style, more)
                yield ({**point, "page": page} if several else point), figure


def _page(
    both: Cubes,
    point: Point,
    widths: Sequence,
    n_trains: Sequence,
    names: Sequence[str],
    paint: Painter,
    ylabel: str,
    style: Style,
    more: str,
) -> Figure:
    figure, axes = panel_figure(len(widths), len(n_trains), style)
    for i, width in enumerate(widths):
        for j, n_train in enumerate(n_trains):
            ax, where = axes[i, j], {**point, "n_train": n_train, "width": width}
            theory, sampling = (at(both.get(k), where) for k in ("theory", "sampling"))
            theory, sampling = (c if has_data(c, names) else None for c in (theory, sampling))
            if theory is None and sampling is None:
                ax.text(0.5, 0.5, "no data", transform=ax.transAxes, ha="center", va="center", color="0.5")
            paint(ax, theory, sampling)
            ax.set_title(panel_title(n_train, width), y=1.0)
    log_axis(axes[0, 0], [np.asarray(values_of(both, "temperature"), dtype=float)])
    label_bottom(axes, "temperature $T$")
    figure.supylabel(ylabel, fontsize="medium")
    return finish(figure, axes, parameters_text(both, point, more))


def _lines(ax: Axes, theory: xr.Dataset | None, name: str, **where: Any) -> None:
    for approximation, solved in theories(theory):
        look = approximation_look(approximation)
        draw_line(ax, theory_curve(solved, name, approximation, **where), look, look.title)


def _held(cubes: Cubes, dim: str, values: Sequence) -> list:
    """Those of `values` that equilibrium cubes have on an axis; a part of a study may lack some."""
    there = values_of(equilibrium(cubes), dim)
    return [v for v in values if v in there]


def class_distance(cubes: Cubes, style: Style) -> Drawings:
    """D against T: theory lines, infinite width, sampled points with error bars, and T* of each theory."""
    for split in _held(cubes, "split", SPLITS):

        def paint(
            ax: Axes, theory: xr.Dataset | None, sampling: xr.Dataset | None, split: str = split
        ) -> None:
            _lines(ax, theory, "centroid_distance_sq", split=split)
            if sampling is not None:
                draw_points(ax, sampling_curve(sampling, "centroid_distance_sq", split=split), "sampling")
            _mark_peaks(ax, theory, split)

        drawings = temperature_panels(
            cubes, ["centroid_distance_sq"], paint, "class distance $D$", style, INPUTS[split]
        )
        for key, figure in drawings:
            yield {**key, "split": split}, figure


def _mark_peaks(ax: Axes, theory: xr.Dataset | None, split: str) -> None:
    """A tick from the maximum down to the axis of T, for every theory whose D has one."""
    for approximation, solved in theories(theory):
        if approximation == "infinite_width":
            continue  # its D is the prior's, at every T
        position, height = mean_peak(solved, approximation, split)
        if not np.isfinite(position):
            continue
        look = approximation_look(approximation)
        ax.axvline(position, color=look.color, linewidth=0.7, linestyle=(0, (1, 2)), zorder=1)
        ax.plot(
            [position], [height], marker="v", color=look.color, markersize=4.5, linestyle="", label="$T^*$"
        )


def gyration_radii(cubes: Cubes, style: Style) -> Drawings:
    """R_+^2 and R_-^2 against T."""
    name = "gyration_radius_sq"
    for split in _held(cubes, "split", SPLITS):

        def paint(
            ax: Axes, theory: xr.Dataset | None, sampling: xr.Dataset | None, split: str = split
        ) -> None:
            for label in _held(cubes, "label", LABELS):
                where: dict[str, Any] = {"split": split, "label": label}
                for approximation, solved in theories(theory):
                    look = approximation_look(approximation)
                    title = f"{look.title}, {LABEL_NAMES[label]}"
                    curve = theory_curve(solved, name, approximation, **where)
                    draw_line(ax, curve, look, title, linestyle=LABEL_LINES[label])
                if sampling is not None:
                    curve = sampling_curve(sampling, name, **where)
                    draw_points(ax, curve, f"sampling, {LABEL_NAMES[label]}", marker=LABEL_MARKERS[label])

        drawings = temperature_panels(
            cubes, [name], paint, "squared gyration radius $R_s^2$", style, INPUTS[split]
        )
        for key, figure in drawings:
            yield {**key, "split": split}, figure


def test_error(cubes: Cubes, style: Style) -> Drawings:
    """Test error against T: mean squared error, and the squared bias of the mean predictor (dotted)."""
    from dataclasses import replace

    def paint(ax: Axes, theory: xr.Dataset | None, sampling: xr.Dataset | None) -> None:
        for approximation, solved in theories(theory):
            look = approximation_look(approximation)
            for name, linestyle, what in (("mse", "-", "error"), ("bias_sq", ":", r"bias$^2$")):
                curve = theory_curve(solved, name, approximation, split="test")
                draw_line(ax, curve, replace(look, linestyle=linestyle), f"{look.title}, {what}")
        if sampling is not None:
            draw_points(ax, sampling_curve(sampling, "mse", split="test"), "sampling, error")
            draw_points(
                ax, sampling_curve(sampling, "bias_sq", split="test"), r"sampling, bias$^2$", marker="s"
            )

    ylabel = r"test error $\langle (y-f)^2\rangle$"
    yield from temperature_panels(cubes, ["mse", "bias_sq"], paint, ylabel, style, INPUTS["test"])


def signal_variance(cubes: Cubes, style: Style) -> Drawings:
    """Hidden-weight covariance along the signal direction u against T."""

    def paint(ax: Axes, theory: xr.Dataset | None, sampling: xr.Dataset | None) -> None:
        _lines(ax, theory, "signal_variance")
        if sampling is not None:
            draw_points(ax, sampling_curve(sampling, "signal_variance"), "sampling")

    ylabel = rf"hidden weights along the signal, {symbol('signal_variance')}"
    yield from temperature_panels(cubes, ["signal_variance"], paint, ylabel, style)


WEIGHT_VARIABLES = ("readout_variance", "hidden_trace_shift", "readout_signal_covariance")


def weights(cubes: Cubes, style: Style) -> Drawings:
    """Single-unit statistics against T: a file a width, a row a quantity, a column a training-set size."""
    both = equilibrium(cubes)
    for key, here, n_trains in width_pages(both, WEIGHT_VARIABLES):
        yield key, _weights_page(both, here, n_trains, style)


def _weights_page(both: Cubes, point: Point, n_trains: Sequence, style: Style) -> Figure:
    figure, axes = panel_figure(len(WEIGHT_VARIABLES), len(n_trains), style, sharey="row")
    for j, n_train in enumerate(n_trains):
        theory, sampling = (at(both.get(k), {**point, "n_train": n_train}) for k in ("theory", "sampling"))
        for ax, name in zip(axes[:, j], WEIGHT_VARIABLES, strict=True):
            _lines(ax, theory if has_data(theory, [name]) else None, name)
            if has_data(sampling, [name]):
                assert sampling is not None
                draw_points(ax, sampling_curve(sampling, name), "sampling")
            if j == 0:
                ax.set_ylabel(symbol(name))
        axes[0, j].set_title(panel_title(n_train, point["width"]), y=1.0)
    figure.align_ylabels(axes[:, 0])
    log_axis(axes[0, 0], [np.asarray(values_of(both, "temperature"), dtype=float)])
    label_bottom(axes, "temperature $T$")
    return finish(figure, axes, parameters_text(both, point))
