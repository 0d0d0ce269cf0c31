"""Sampling against theories, point by point, with z-scores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from proplim.figures._base import EQUILIBRIUM, Cubes, Drawings, Figure, add
from proplim.figures._looks import MARKERS, approximation_look
from proplim.figures._pages import equilibrium
from proplim.figures._panels import finish, panel_figure, parameters_text
from proplim.figures._slices import Point, at, chosen, points
from proplim.figures._style import Style
from proplim.observables import variable
from proplim.query import differences, plain_values

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

SHOWN = (
    ("centroid_distance_sq", "$D$"),
    ("gyration_radius_sq", "$R_s^2$"),
    ("readout_variance", f"${variable('readout_variance').symbol}$"),
    ("readout_signal_covariance", f"${variable('readout_signal_covariance').symbol}$"),
    ("mse", r"$\langle (y-f)^2\rangle$"),
)
Z_LINEAR = 4.0
"""z-scores beyond this are drawn on a logarithmic scale."""


def _draw(cubes: Cubes, style: Style) -> Drawings:
    """Sampled against theoretical values, and z = (theory - sampling)/mcse below; a column an observable."""
    both = equilibrium(cubes)
    for point in points({"sampling": both["sampling"]}):
        theory, sampling = at(both["theory"], point), at(both["sampling"], point)
        if theory is None or sampling is None:
            continue
        shown = [(n, s) for n, s in SHOWN if n in theory and n in sampling]
        compared = differences(sampling, theory, [n for n, _ in shown], all_points=True)
        good = differences(sampling, theory, [n for n, _ in shown])
        if not any(bool(np.isfinite(compared[f"{n}_z"]).any()) for n, _ in shown):
            continue
        yield point, _page(both, compared, good, shown, point, style)


def _page(
    both: Cubes, compared: xr.Dataset, good: xr.Dataset, shown: Sequence, point: Point, style: Style
) -> Canvas:
    figure, axes = panel_figure(2, len(shown), style, sharex="col", sharey="none")
    names = plain_values(compared["approximation"])
    for j, (name, symbol) in enumerate(shown):
        top, bottom = axes[0, j], axes[1, j]
        for k, approximation in enumerate(names):
            _scatter(top, bottom, compared, good, name, approximation, MARKERS[k % len(MARKERS)])
        low, high = _limits(compared, name)
        top.plot([low, high], [low, high], color="0.6", linewidth=0.8, zorder=0)
        top.set_xlim(low, high)
        top.set_ylim(low, high)
        top.set_title(symbol, y=1.0)
        bottom.axhspan(-2, 2, color="0.9", zorder=0, linewidth=0)
        bottom.axhline(0, color="0.6", linewidth=0.8, zorder=0)
        bottom.set_yscale("symlog", linthresh=Z_LINEAR, linscale=1.0)
        _z_ticks(bottom, compared[f"{name}_z"].values)
        bottom.set_xlabel("theory")
        top.locator_params(axis="x", nbins=3)
        top.locator_params(axis="y", nbins=4)
    axes[0, 0].set_ylabel("sampling")
    axes[1, 0].set_ylabel("$z$")
    figure.align_ylabels(axes[:, 0])
    text = ["training and test inputs", "$z$ = (theory − sampling)/(standard error), grey band: two"]
    if any(bool((compared[f"{n}_z"].notnull() & good[f"{n}_z"].isnull()).any()) for n, _ in shown):
        text.append("open: not converged")
    return finish(figure, axes, parameters_text(both, point, *text))


def _scatter(
    top: Axes,
    bottom: Axes,
    compared: xr.Dataset,
    good: xr.Dataset,
    name: str,
    approximation: str,
    marker: str,
) -> None:
    x = chosen(compared, f"{name}_theory", {"approximation": approximation})
    y, error, z, kept = (
        chosen(cube, f"{name}_{kind}", {"approximation": approximation}).set_dims(x.sizes).values.ravel()
        for cube, kind in ((compared, "sampling"), (compared, "mcse"), (compared, "z"), (good, "z"))
    )
    values, solid = x.values.ravel(), ~np.isnan(kept)
    look = approximation_look(approximation)
    for converged in (True, False):
        use = np.isfinite(z) & (solid == converged)
        if not use.any():
            continue
        face = look.color if converged else "none"
        draw: dict[str, Any] = {
            "linestyle": "",
            "marker": marker,
            "color": look.color,
            "mfc": face,
            "markersize": 2.8,
        }
        label = look.title if converged else None
        top.errorbar(values[use], y[use], yerr=error[use], elinewidth=0.6, capsize=0, label=label, **draw)
        bottom.plot(values[use], z[use], **draw)


def _limits(compared: xr.Dataset, name: str) -> tuple[float, float]:
    both = np.concatenate([compared[f"{name}_{k}"].values.ravel() for k in ("theory", "sampling")])
    low, high = float(np.nanmin(both)), float(np.nanmax(both))
    margin = 0.07 * (high - low) or 0.1 * abs(high) or 1.0
    return low - margin, high + margin


def _z_ticks(ax: Axes, z: np.ndarray) -> None:
    """Ticks at round z-scores on both sides, few enough to read."""
    largest = float(np.nanmax(np.abs(z))) if np.isfinite(z).any() else 1.0
    reach = max(Z_LINEAR, largest)
    ax.set_ylim(-2 * reach, 2 * reach)  # room for the markers of the largest
    decades = [10.0**k for k in range(1, int(np.floor(np.log10(reach))) + 1)]
    sides = [2.0, *decades[:: max(1, len(decades) // 2)]]
    ticks = [-v for v in reversed(sides)] + [0.0] + sides
    ax.set_yticks(ticks, [f"{t:g}".replace("-", "−") for t in ticks])
    ax.minorticks_off()


add(
    Figure(
        "parity",
        "parity and z-scores",
        "Theory against sampling, point by point, with the differences in units of the Monte-Carlo standard error (z).",
        """\
On the diagonal, and in the grey band below, theory is right. A cloud that leaves it by many standard errors
while staying within a few per cent is a small systematic error of the approximation, seen because sampling
is precise; the table in section 7 has the numbers. The scale of z is linear up to 4 and logarithmic beyond.""",
        _draw,
        section="5 Theory against sampling",
        needs=EQUILIBRIUM,
        shows=tuple(name for name, _ in SHOWN),
        order=80,
    )
)
