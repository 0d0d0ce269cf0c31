"""Drawing the attribution of one training run to its inputs: :func:`draw_stragglers` and its page."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from proplim.errors import InvalidInput
from proplim.figures._looks import PALETTE, class_marker, class_name, optimizer_look
from proplim.figures._save import save
from proplim.figures._style import FORMATS, Style, applied

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

SHOWN = 8
"""How many inputs are shown as images."""


def draw_stragglers(
    table: xr.Dataset,
    inputs: np.ndarray,
    path: str | os.PathLike[str],
    *,
    optimizer: str | None = None,
    count: int = SHOWN,
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

    Raises
    ------
    InvalidInput
        For an unknown format.
    """
    for form in formats:
        if form not in FORMATS:
            raise InvalidInput("formats", form, f"choose from {', '.join(FORMATS)}")
    look = style or Style()
    with applied(look):
        page = straggler_page(table, np.asarray(inputs), optimizer, count, image_shape, look)
        return [save(page, Path(path).with_name(f"{Path(path).name}.{form}"), form) for form in formats]


def straggler_page(
    table: xr.Dataset,
    inputs: np.ndarray | None,
    optimizer: str | None,
    count: int,
    image_shape: tuple[int, ...] | None,
    style: Style,
) -> Canvas:
    from matplotlib.figure import Figure as Canvas

    run = table.sel(optimizer=optimizer or table["optimizer"].values[0])
    turned = np.isfinite(run["inversion_time"].values)
    # Optimizers whose motion is not that of the gradient have no drive; their own motion is shown instead.
    name = "drive_fall" if np.isfinite(run["drive_fall"]).any() else "motion_fall"
    symbol = r"$\Delta D$ by its gradient" if name == "drive_fall" else r"$\Delta D$ by its motion"
    fall = run[name].mean("replica", skipna=True).values
    margin = run["inversion_margin"].mean("replica", skipna=True).values
    label = table["label"].values
    figure = Canvas(figsize=(style.width or 7.0, style.height or 4.2), layout="constrained")
    top, bottom = np.asarray(figure.subfigures(2, 1, height_ratios=(2.2, 1.2)))
    axes = top.subplots(1, 2, width_ratios=(1.5, 1.0))
    labels = np.unique(label).tolist()
    for s, name_of_class in enumerate(map(class_name, labels)):
        chosen = label == labels[s]
        axes[0].plot(
            margin[chosen],
            fall[chosen],
            linestyle="",
            marker=class_marker(s, len(labels)),
            color=PALETTE[s % len(PALETTE)],
            markersize=3.5,
            label=name_of_class,
        )
    axes[0].axhline(0.0, color="0.6", linewidth=0.7)
    axes[0].axvline(0.0, color="0.6", linewidth=0.7)
    axes[0].set_xlabel("margin $y f$ at the maximum of $D$")
    axes[0].set_ylabel(symbol)
    axes[0].legend()
    order = np.argsort(fall) if turned.any() else np.arange(0)
    if turned.any():
        ranked = fall[np.argsort(margin)]
        axes[1].plot(np.arange(1, len(ranked) + 1), np.cumsum(ranked), color=PALETTE[2])
        axes[1].axhline(ranked.sum(), color="0.4", linestyle="--", linewidth=0.8, label="change of $D$")
        axes[1].legend()
    axes[1].set_xlabel("inputs, smallest margin first")
    axes[1].set_ylabel(f"summed {symbol}")
    shape = image_shape or (_square(inputs.shape[1]) if inputs is not None else None)
    panels = bottom.subplots(1, count, squeeze=False)[0]
    for ax, index in zip(panels, [*order[:count], *[None] * count], strict=False):
        ax.set_xticks([])
        ax.set_yticks([])
        if index is None or inputs is None:
            ax.set_axis_off()
            continue
        _draw_input(ax, inputs[index], shape)
        ax.set_title(f"{class_name(label[index].item())}, {margin[index]:+.2f}", fontsize=6.5, y=1.0)
        ax.set_xlabel(f"{fall[index]:+.2g}", fontsize=6.5)
    text = f"training inputs that lower $D$ most after its maximum: label, margin (above), {symbol} (below)"
    if not turned.any():
        text = "$D$ does not turn in any of these trajectories"
    bottom.suptitle(text, fontsize=7.5)
    features = f"$N_0={inputs.shape[1]}$   ·   " if inputs is not None else ""
    figure.supxlabel(
        f"{optimizer_look(run['optimizer'].item()).title}   ·   $P={len(label)}$   ·   {features}"
        f"mean over the {int(turned.sum())} of {len(turned)} trained networks in which $D$ turns",
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
