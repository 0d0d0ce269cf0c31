"""Equilibrium and training side by side: the bridge, the inversion beside T*, and the stragglers."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from proplim.dynamics import find_turn
from proplim.figures._panels import (
    finish,
    label_bottom,
    lay_out,
    log_axis,
    number,
    panel_figure,
    panel_title,
    parameters_text,
)
from proplim.figures._slices import (
    Cubes,
    Point,
    at,
    dynamics_curve,
    points,
    sampling_curve,
    shared_seeds,
    theory_curve,
    values_of,
)
from proplim.figures._style import (
    LABEL_MARKERS,
    LABEL_NAMES,
    OPTIMIZER_COLORS,
    SAMPLING_COLOR,
    Style,
    applied,
    approximation_look,
)
from proplim.figures._temperature import Drawings, width_pages

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_NAMES = ("centroid_distance_sq", "mse")
_CURVE_COLORS = OPTIMIZER_COLORS[3:] + OPTIMIZER_COLORS[:3]
"""Optimizers in other colours than the theories they are drawn beside."""
Decade = tuple[str, tuple[float, float], str]
"""Text, place on the curve and colour of a label."""
_SIDES = tuple((dx, dy) for dy in (-8, 8, -14, 14, 0) for dx in (18, -18, 0, 26, -26) if dx or dy)
"""Where a label may stand, in points from its mark."""


def bridge(cubes: Cubes, style: Style) -> Drawings:
    """D against the training error: temperature runs along equilibrium, time along training; a file a width.

    Both curves leave the prior on the left and go right as the training error decreases.
    """
    if "dynamics" not in cubes or not {"theory", "sampling"} & set(cubes):
        return
    cubes = shared_seeds({k: v for k, v in cubes.items() if k in ("theory", "sampling", "dynamics")})
    dynamics = {"dynamics": cubes["dynamics"]}
    for key, here, n_trains in width_pages(dynamics, _NAMES):
        yield key, _bridge_page(cubes, here, n_trains, style)


def _bridge_page(cubes: Cubes, point: Point, n_trains: Sequence, style: Style) -> Figure:
    figure, axes = panel_figure(1, len(n_trains), style, sharex=True, sharey=False)
    errors: list[np.ndarray] = []
    decades: list[list[Decade]] = []
    for ax, n_train in zip(axes[0], n_trains, strict=True):
        where = {**point, "n_train": n_train}
        labels: list[Decade] = []
        errors += _draw_equilibrium(
            ax, at(cubes.get("theory"), where), at(cubes.get("sampling"), where), labels
        )
        errors += _draw_training(ax, at(cubes["dynamics"], where), labels)
        decades.append(labels)
        ax.set_title(panel_title(n_train, point["width"]), y=1.0)
    axes[0, 0].set_ylabel("class distance $D$")
    log_axis(axes[0, 0], errors)
    # From left to right as training goes on and as it gets colder.
    axes[0, 0].invert_xaxis()
    label_bottom(axes, "training error")
    replicas = int(cubes["dynamics"].sizes.get("replica", 1))
    more = f"{replicas} initialisation{'s (thin) and their mean' if replicas > 1 else ''}"
    finish(figure, axes, parameters_text(cubes, point, more, "training inputs"))
    lay_out(figure)
    for ax, labels in zip(axes[0], decades, strict=True):
        _write_decades(ax, labels)
    return figure


def _draw_equilibrium(
    ax: Axes, theory: xr.Dataset | None, sampling: xr.Dataset | None, decades: list[Decade]
) -> list[np.ndarray]:
    errors = []
    for name in () if theory is None else theory["approximation"].values.tolist():
        assert theory is not None
        distance, error = (theory_curve(theory, v, name, split="train") for v in _NAMES)
        if len(distance.x) != len(error.x) or not len(error.x):
            continue
        look = approximation_look(name)
        ax.plot(
            error.y, distance.y, color=look.color, linestyle=look.linestyle, label=f"{look.title}, over $T$"
        )
        top = int(np.argmax(distance.y))
        if 0 < top < len(distance.y) - 1 and name != "infinite_width":
            _mark(ax, error.y[top], distance.y[top], look.color)
        errors.append(error.y)
        if name == "proportional":
            decades += _mark_decades(ax, distance.x, error.y, distance.y, look.color, "T")
    if sampling is not None:
        distance, error = (sampling_curve(sampling, v, split="train") for v in _NAMES)
        if len(distance.x) == len(error.x) and len(error.x):
            ax.errorbar(
                error.y,
                distance.y,
                xerr=error.spread,
                yerr=distance.spread,
                linestyle="",
                marker="o",
                color=SAMPLING_COLOR,
                markersize=3.8,
                elinewidth=0.9,
                zorder=4,
                label="sampling, over $T$",
            )
            errors.append(error.y)
    return errors


def _draw_training(ax: Axes, dynamics: xr.Dataset | None, decades: list[Decade]) -> list[np.ndarray]:
    errors = []
    for k, name in enumerate(() if dynamics is None else dynamics["optimizer"].values.tolist()):
        assert dynamics is not None
        color = _CURVE_COLORS[k % len(_CURVE_COLORS)]
        for replica in dynamics["replica"].values:
            single = dynamics.sel(replica=[replica])
            distance, error = (dynamics_curve(single, v, name, split="train") for v in _NAMES)
            if len(distance.x) == len(error.x):
                ax.plot(error.y, distance.y, color=color, linewidth=0.6, alpha=0.45)
        distance, error = (dynamics_curve(dynamics, v, name, split="train") for v in _NAMES)
        if len(distance.x) != len(error.x) or not len(error.x):
            continue
        ax.plot(error.y, distance.y, color=color, linewidth=1.8, label=f"{name.replace('_', ' ')}, over $t$")
        turn = find_turn(distance.y)
        if turn is not None:
            _mark(ax, error.y[turn[0]], distance.y[turn[0]], color)
        if k == 0:
            decades += _mark_decades(ax, distance.x, error.y, distance.y, color, "t")
        errors.append(error.y)
    return errors


def _mark(ax: Axes, x: float, y: float, color: str) -> None:
    ax.plot([x], [y], marker="v", color=color, markersize=5, linestyle="", label="maximum of $D$")


def _mark_decades(
    ax: Axes, parameter: np.ndarray, x: np.ndarray, y: np.ndarray, color: str, letter: str
) -> list[Decade]:
    """Small marks on a curve at every second power of ten of its parameter, and what to write at them."""
    low, high = np.log10(parameter.min()), np.log10(parameter.max())
    decades = []
    for k in range(int(np.ceil(low - 1e-9)), int(np.floor(high + 1e-9)) + 1, 2):
        spot = (float(np.interp(k, np.log10(parameter), x)), float(np.interp(k, np.log10(parameter), y)))
        if spot[0] > 0.6 * x.max():
            continue  # the curves leave the prior together; labels would lie on each other
        ax.plot([spot[0]], [spot[1]], marker=".", color=color, markersize=5)
        decades.append((f"${letter}=10^{{{k}}}$", spot, color))
    return decades


def _write_decades(ax: Axes, decades: Sequence[Decade]) -> None:
    """Write each label beside its mark, near it and where it covers little; limits have to be final."""
    from matplotlib.patheffects import withStroke

    points = ax.figure.dpi / 72
    width, height = 26 * points, 8 * points
    points_of = [np.asarray(line.get_xydata()) for line in ax.get_lines()]
    lines = [ax.transData.transform(found) for found in points_of if len(found)]
    crowd = np.concatenate([_filled_in(line, 2 * points) for line in lines])
    inside = ax.get_window_extent()
    for text, spot, color in decades:
        center = ax.transData.transform(spot)
        costs = []
        for side in _SIDES:
            middle = center + np.array(side) * points
            covered = (np.abs(crowd - middle) < (0.5 * width, 0.5 * height)).all(axis=1).sum()
            half = 0.5 * np.array([width, height])
            low, high = middle - half, middle + half
            fits = (low >= inside.min).all() and (high <= inside.max).all()
            costs.append(int(covered) + 0.3 * float(np.hypot(*side)) + (0.0 if fits else 1000.0))
        best = _SIDES[int(np.argmin(costs))]
        ax.annotate(
            text,
            spot,
            xytext=best,
            textcoords="offset points",
            ha="center",
            va="center",
            fontsize=6,
            color=color,
            zorder=5,
            path_effects=[withStroke(linewidth=1.8, foreground="white")],
            arrowprops={"arrowstyle": "-", "color": color, "linewidth": 0.4, "shrinkA": 0.0, "shrinkB": 1.5},
        )
        # What comes next keeps clear of this label.
        grid = np.stack(np.meshgrid(np.linspace(-0.5, 0.5, 9), np.linspace(-0.5, 0.5, 5)), axis=-1)
        taken = center + np.array(best) * points + grid.reshape(-1, 2) * (width, height)
        crowd = np.concatenate([crowd, np.repeat(taken, 5, axis=0)])


def _filled_in(path: np.ndarray, spacing: float) -> np.ndarray:
    """Points along a path in pixels, no further apart than about `spacing`."""
    length = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(path, axis=0).T))])
    if not np.isfinite(length[-1]) or length[-1] == 0.0:
        return path[np.isfinite(path).all(axis=1)]
    at_length = np.linspace(0.0, length[-1], int(length[-1] / spacing) + 2)
    return np.stack([np.interp(at_length, length, path[:, k]) for k in (0, 1)], axis=1)


def inversion_table(
    cubes: Cubes, *, approximation: str = "proportional", split: str = "train"
) -> pd.DataFrame:
    """T* of the equilibrium beside the inversion of training, one row a grid point and optimizer.

    Parameters
    ----------
    cubes : mapping of str to xarray.Dataset
        ``theory`` and ``dynamics``.
    approximation : str
        Theory that T* is taken from.
    split : {"train", "test"}
        Inputs whose D is looked at; errors are training errors for both.

    Returns
    -------
    pandas.DataFrame
        Grid coordinates and alpha; ``T_star``, ``T_star_mse`` (training error of the theory at T*,
        interpolated in ln T) and ``T_star_height`` (D(T*) over the prior's D); ``optimizer``, ``replicas``
        that trained without diverging and ``turning`` of them with an inversion; mean and standard deviation
        over these of ``inversion_mse``, ``inversion_time`` and ``inversion_height`` (D at the maximum over D
        at the first time). NaN where D does not turn.
    """
    import pandas as pd

    theory = cubes["theory"].sel(approximation=approximation, drop=True)
    rows = []
    names = [str(d) for d in cubes["dynamics"].dims if d in theory.dims and d not in ("split", "label")]
    for point in points({"dynamics": cubes["dynamics"]}, names):
        trained, solved = at(cubes["dynamics"], point), at(theory, point)
        if trained is None or solved is None:
            continue
        equilibrium = _equilibrium_peak(solved, split)
        alpha = float(point["n_train"]) / float(point["width"])  # type: ignore[arg-type]
        for optimizer in trained["optimizer"].values.tolist():
            run = trained.sel(optimizer=optimizer)
            if bool((run["converged"] > 0).any()):
                rows.append(
                    {**point, "alpha": alpha, **equilibrium, "optimizer": optimizer} | _inversion(run, split)
                )
    return pd.DataFrame(rows)


def _equilibrium_peak(solved: xr.Dataset, split: str) -> dict[str, float]:
    peak = solved["peak_temperature"].sel(split=split)
    star = float(peak)
    log_t = np.log(solved["temperature"].values)
    error = solved["mse"].sel(split="train").values
    inside = np.isfinite(star) and log_t[0] <= np.log(star) <= log_t[-1]
    return {
        "T_star": star,
        "T_star_mse": float(np.interp(np.log(star), log_t, error)) if inside else np.nan,
        "T_star_height": float(solved["peak_height_over_prior"].sel(split=split)),
    }


def _inversion(run: xr.Dataset, split: str) -> dict[str, float]:
    good = (run["converged"] > 0).all("time").values
    first = run["centroid_distance_sq"].sel(split=split).isel(time=0).values
    height = run["inversion_height"].sel(split=split).values / first
    values = {
        "inversion_mse": run["inversion_mse"].sel(split=split).values,
        "inversion_time": run["inversion_time"].sel(split=split).values,
        "inversion_height": height,
    }
    turned = good & np.isfinite(height)
    row: dict[str, float] = {"replicas": int(good.sum()), "turning": int(turned.sum())}
    for name, value in values.items():
        chosen = value[turned]
        row[name] = float(chosen.mean()) if len(chosen) else np.nan
        row[f"{name}_sd"] = float(chosen.std(ddof=1)) if len(chosen) > 1 else np.nan
    return row


def inversion_summary(cubes: Cubes, style: Style) -> Drawings:
    """T* against alpha, and the training error at the largest D: at T* in equilibrium, at t* in training."""
    if not {"theory", "dynamics"} <= set(cubes):
        return
    approximations = cubes["theory"]["approximation"].values.tolist()
    finite_width = [a for a in ("proportional", "cavity", "exact") if a in approximations]
    if not finite_width or "peak_temperature" not in cubes["theory"]:
        return
    table = inversion_table(cubes, approximation=finite_width[0])
    if table.empty or not (np.isfinite(table["T_star"]).any() or np.isfinite(table["inversion_mse"]).any()):
        return
    keys = [k for k in ("activation", "lambda0", "lambda1") if k in table]
    for values, part in table.groupby(keys, sort=False):
        point = dict(zip(keys, values, strict=True))
        yield point, _summary_page(cubes, point, part, finite_width[0], style)


def _summary_page(
    cubes: Cubes, point: Mapping[str, object], table: pd.DataFrame, approximation: str, style: Style
) -> Figure:
    figure, axes = panel_figure(1, 2, style, sharex=True, sharey=False)
    left, right = axes[0]
    datasets, widths = values_of({"t": cubes["dynamics"]}, "dataset"), sorted(set(table["width"]))
    markers = dict(zip(datasets, "osD^v<>P*X" * (1 + len(datasets) // 10), strict=False))
    colors = dict(zip(widths, OPTIMIZER_COLORS * (1 + len(widths) // 6), strict=False))
    first = table["optimizer"].iloc[0]
    for (dataset, width), group in table[table["optimizer"] == first].groupby(
        ["dataset", "width"], sort=False
    ):
        look = {"color": colors[width], "marker": markers[dataset], "markersize": 4.5}
        name = f"{dataset}, $N={number(width)}$" if len(datasets) > 1 else f"$N={number(width)}$"
        mean = group.groupby("alpha").mean(numeric_only=True)
        left.plot(mean.index, mean["T_star"], linestyle="-", label=name, **look)
        right.plot(mean.index, mean["T_star_mse"], linestyle="--", mfc="white", **look)
        turned = group[group["turning"] > 0]
        right.errorbar(
            turned["alpha"],
            turned["inversion_mse"],
            yerr=turned["inversion_mse_sd"].fillna(0.0),
            linestyle="",
            elinewidth=0.9,
            **look,
        )
    right.plot([], [], color="0.3", marker="o", mfc="white", linestyle="--", label="equilibrium at $T^*$")
    right.plot([], [], color="0.3", marker="o", linestyle="", label=f"{first.replace('_', ' ')} at $t^*$")
    left.set_ylabel("$T^*$")
    right.set_ylabel("training error at the maximum of $D$")
    for ax, names in ((left, ["T_star"]), (right, ["T_star_mse", "inversion_mse"])):
        if np.isfinite(table[names]).any(axis=None):
            ax.set_yscale("log")
        else:
            ax.text(0.5, 0.5, "no maximum of $D$", transform=ax.transAxes, ha="center", color="0.5")
    _alpha_axis(left, np.unique(table["alpha"].to_numpy()))
    label_bottom(axes, r"$\alpha=P/N$")
    of = table[table["optimizer"] == first]
    share = f"$D$ turns in {int(of['turning'].sum())} of {int(of['replicas'].sum())} trained networks"
    title = approximation_look(approximation).title
    return finish(
        figure,
        axes,
        parameters_text(cubes, point, f"theory: {title}", share, "training inputs"),
        legend_columns=3,
    )


def _alpha_axis(ax: Axes, alphas: np.ndarray) -> None:
    """Logarithmic axis labelled with the values of alpha themselves, as far as they have room."""
    from matplotlib.ticker import NullLocator

    log_axis(ax, [alphas])
    ax.margins(x=0.08)
    ax.autoscale(axis="x")
    shown: list[float] = []
    for alpha in alphas.tolist():
        if not shown or alpha > shown[-1] * (alphas[-1] / alphas[0]) ** 0.12:
            shown.append(alpha)
    ax.set_xticks(shown, [f"{alpha:.3g}" for alpha in shown])
    ax.xaxis.set_minor_locator(NullLocator())


def draw_stragglers(
    table: xr.Dataset,
    inputs: np.ndarray,
    path: str | os.PathLike[str],
    *,
    optimizer: str | None = None,
    count: int = 8,
    image_shape: tuple[int, ...] | None = None,
    formats: Sequence[str] = ("png", "pdf"),
    style: Style | None = None,
) -> list[Path]:
    """Draw which training inputs drive the fall of D: drive against margin, and the largest as images.

    Parameters
    ----------
    table : xarray.Dataset
        From :func:`proplim.dynamics.stragglers`.
    inputs : (P, N0) array
        The training inputs.
    path : path
        Of the files, without suffix.
    optimizer : str, optional
        One of the table; the first by default.
    count : int
        How many inputs are shown as images.
    image_shape : tuple of int, optional
        Shape of an input as an image, (rows, columns) or (channels, rows, columns); square images are
        recognised. Inputs that are no images are drawn as bars.
    formats : sequence of str
    style : Style, optional

    Returns
    -------
    list of Path
        Files written.
    """
    from proplim.figures._draw import _save

    look = style or Style()
    with applied(look):
        figure = _straggler_figure(table, np.asarray(inputs), optimizer, count, image_shape, look)
        return [_save(figure, Path(path).with_name(f"{Path(path).name}.{form}"), form) for form in formats]


def _straggler_figure(
    table: xr.Dataset,
    inputs: np.ndarray,
    optimizer: str | None,
    count: int,
    image_shape: tuple[int, ...] | None,
    style: Style,
) -> Figure:
    from matplotlib.figure import Figure

    run = table.sel(optimizer=optimizer or table["optimizer"].values[0])
    turned = np.isfinite(run["inversion_time"].values)
    # Optimizers whose motion is not that of the gradient have no drive; their own motion is shown instead.
    name = "drive_fall" if np.isfinite(run["drive_fall"]).any() else "motion_fall"
    symbol = r"$\Delta D$ by its gradient" if name == "drive_fall" else r"$\Delta D$ by its motion"
    fall = run[name].mean("replica", skipna=True).values
    margin = run["inversion_margin"].mean("replica", skipna=True).values
    label = table["label"].values
    figure = Figure(figsize=(style.width or 7.0, style.height or 4.2), layout="constrained")
    top, bottom = np.asarray(figure.subfigures(2, 1, height_ratios=(2.2, 1.2)))
    axes = top.subplots(1, 2, width_ratios=(1.5, 1.0))
    for s in (-1, 1):
        chosen = label == s
        axes[0].plot(
            margin[chosen],
            fall[chosen],
            linestyle="",
            marker=LABEL_MARKERS[s],
            color=OPTIMIZER_COLORS[0 if s < 0 else 1],
            markersize=3.5,
            label=LABEL_NAMES[s],
        )
    axes[0].axhline(0.0, color="0.6", linewidth=0.7)
    axes[0].axvline(0.0, color="0.6", linewidth=0.7)
    axes[0].set_xlabel("margin $y f$ at the maximum of $D$")
    axes[0].set_ylabel(symbol)
    axes[0].legend()
    order = np.argsort(fall) if turned.any() else np.arange(0)
    if turned.any():
        ranked = fall[np.argsort(margin)]
        axes[1].plot(np.arange(1, len(ranked) + 1), np.cumsum(ranked), color=OPTIMIZER_COLORS[2])
        axes[1].axhline(ranked.sum(), color="0.4", linestyle="--", linewidth=0.8, label="change of $D$")
        axes[1].legend()
    axes[1].set_xlabel("inputs, smallest margin first")
    axes[1].set_ylabel(f"summed {symbol}")
    shape = image_shape or _square(inputs.shape[1])
    panels = bottom.subplots(1, count, squeeze=False)[0]
    for ax, index in zip(panels, [*order[:count], *[None] * count], strict=False):
        ax.set_xticks([])
        ax.set_yticks([])
        if index is None:
            ax.set_axis_off()
            continue
        _draw_input(ax, inputs[index], shape)
        ax.set_title(f"$y={int(label[index]):+d}$, {margin[index]:+.2f}", fontsize=6.5, y=1.0)
        ax.set_xlabel(f"{fall[index]:+.2g}", fontsize=6.5)
    text = f"training inputs that lower $D$ most after its maximum: label, margin (above), {symbol} (below)"
    if not turned.any():
        text = "$D$ does not turn in any of these trajectories"
    bottom.suptitle(text, fontsize=7.5)
    figure.supxlabel(
        f"{run['optimizer'].item().replace('_', ' ')}   ·   $P={inputs.shape[0]}$   ·   "
        f"$N_0={inputs.shape[1]}$   ·   mean over the {int(turned.sum())} of {len(turned)} trained networks "
        "in which $D$ turns",
        fontsize=7,
        color="0.35",
    )
    return figure


def _square(n_features: int) -> tuple[int, ...] | None:
    for channels in (1, 3):
        side = round((n_features / channels) ** 0.5)
        if side > 2 and channels * side**2 == n_features:
            return (side, side) if channels == 1 else (channels, side, side)
    return None


def _draw_input(ax: Axes, x: np.ndarray, shape: tuple[int, ...] | None) -> None:
    if shape is None:
        ax.bar(np.arange(len(x)), x, color="0.3")
        return
    image = x.reshape(shape)
    if image.ndim == 3:
        image = np.moveaxis(image, 0, -1)
        image = (image - image.min()) / max(float(np.ptp(image)), 1e-12)
    ax.imshow(image, cmap="gray_r", interpolation="nearest")
