"""Averages over the measure of the explicit units (docs/condensed.md, section 3).

Everything comes as one value a group of chains, so that groups give the Monte-Carlo error.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from proplim.theory.condensed._inputs import Inputs
from proplim.theory.condensed._measure import Measure


class Direction(NamedTuple):
    """The signal direction u.

    Parameters
    ----------
    signal : (r,) array
        u in the row space, for whitened weights.
    modes : (m,) array
        u^T B U.
    """

    signal: np.ndarray
    modes: np.ndarray


class ExplicitInputs(NamedTuple):
    """Averages on one set of inputs; the first axis counts groups."""

    mean: np.ndarray  # <f(x)>, (G, n)
    square: np.ndarray  # <(y - f)^2> with the conditional variance in it, (G, n)
    kernel: np.ndarray  # feature kernel, (G, n, n)
    contribution: np.ndarray  # of the explicit units to f, at the mean share, (n,)
    slope: np.ndarray  # and its change with the share, (n,)


class Explicit(NamedTuple):
    """Averages over (C.1); the first axis counts groups."""

    order_parameter: np.ndarray  # <Q>
    readout_square: np.ndarray  # (1/N) sum_i <v_i^2>, (G,)
    heavy_share: np.ndarray  # of the largest unit
    signal_covariance: np.ndarray
    signal_variance: np.ndarray
    share: float  # mean share of all explicit units
    spread: float  # its standard deviation
    bounds: np.ndarray  # smallest explicit |v| at the mean share, and its change with the share, (2,)
    bound_spread: float  # its standard deviation at a share
    readouts: np.ndarray  # |v| of the explicit units of single draws, (S, k)
    shares: np.ndarray  # share of these draws, (S,)
    squares: np.ndarray  # Q/lambda1 of these draws, (S,)
    inputs: tuple[ExplicitInputs, ...]


def average(
    measure: Measure,
    theta: np.ndarray,
    groups: int,
    sets: tuple[Inputs, ...],
    direction: Direction,
    noise: tuple[np.ndarray, ...],
) -> Explicit:
    """Averages over draws (draws, chains, dimension); chains are split into groups.

    Parameters
    ----------
    measure : Measure
    theta : (draws, chains, dimension) array
    groups : int
    sets : tuple of Inputs
        The training inputs first.
    direction : Direction
    noise : tuple of (S, n) arrays
        Of every input set, preactivations outside the row space; the same for every group.
    """
    dimension = theta.shape[-1]
    parts = [p.reshape(-1, dimension) for p in np.array_split(theta, groups, axis=1)]
    stats = [
        _group(measure, part, sets, direction, _rows(noise, i, parts, measure.units))
        for i, part in enumerate(parts)
    ]
    joined = {
        k: np.concatenate([s[k] for s in stats])
        for k in ("share", "smallest", "readouts", "square_of_others")
    }
    share = joined["share"]
    deviation = share - share.mean()
    variance = max(float(deviation @ deviation) / len(share), 1e-300)
    bound_slope = float(deviation @ joined["smallest"]) / len(share) / variance
    off = joined["smallest"] - joined["smallest"].mean() - bound_slope * deviation
    inputs = []
    for i in range(len(sets)):
        contribution = np.mean([s["contribution"][i] for s in stats], axis=0)
        product = np.mean([s["share_contribution"][i] for s in stats], axis=0)
        slope = (product - share.mean() * contribution) / variance
        mean, square, kernel = (
            np.stack([s[name][i] for s in stats]) for name in ("mean", "square", "kernel")
        )
        inputs.append(ExplicitInputs(mean, square, kernel, contribution, slope))

    def scalar(name: str) -> np.ndarray:
        return np.array([s[name] for s in stats])

    return Explicit(
        order_parameter=scalar("order_parameter"),
        readout_square=scalar("readout_square"),
        heavy_share=scalar("heavy_share"),
        signal_covariance=scalar("signal_covariance"),
        signal_variance=scalar("signal_variance"),
        share=float(share.mean()),
        spread=float(np.sqrt(variance)),
        bounds=np.array([joined["smallest"].mean(), bound_slope]),
        bound_spread=float(off.std()),
        readouts=joined["readouts"],
        shares=share,
        squares=joined["square_of_others"],
        inputs=tuple(inputs),
    )


def of_chains(measure: Measure, theta: np.ndarray, inputs: Inputs) -> tuple[np.ndarray, np.ndarray]:
    """D on the training `inputs` and share of the labels, means over every chain of theta (draws, chains, d)."""
    terms = measure.terms(measure.unpack(theta.reshape(-1, theta.shape[-1])))
    difference = inputs.classes[1] - inputs.classes[0]
    along = difference @ inputs.modes
    rise = ((terms.labels / terms.widths) @ along) ** 2 - (along**2 / terms.widths).sum(axis=1)
    part = measure.others / measure.width
    others = part * (difference @ inputs.kernel @ difference) + terms.prior * rise / measure.width
    own = ((terms.features @ difference) ** 2).sum(axis=1) / measure.width
    y, labels = inputs.targets, measure.problem.spectrum.labels
    share = terms.contribution @ labels / (y @ y)
    shape = theta.shape[:2]
    return (others + own).reshape(shape).mean(axis=0), share.reshape(shape).mean(axis=0)


def drawn_again(change: np.ndarray) -> np.ndarray:
    """Rows of draws, some several times, that follow exp(-dU) times the density of the draws; `change` is dU of each.

    At equal steps of the sum of the weights: where draws that are alike are neighbours it adds little noise.
    """
    reach = np.cumsum(np.exp(change.min() - change))
    return np.searchsorted(reach, reach[-1] * (np.arange(len(change)) + 0.5) / len(change))


def _rows(
    noise: tuple[np.ndarray, ...], group: int, parts: list[np.ndarray], units: int
) -> tuple[np.ndarray, ...]:
    """Noise of a group of draws, a row for each of their units: its own as far as there is enough."""
    start = units * sum(len(p) for p in parts[:group])
    rows = np.arange(start, start + units * len(parts[group]))
    return tuple(x.take(rows, axis=0, mode="wrap") if len(x) > 1 else x for x in noise)


def _group(
    measure: Measure,
    x: np.ndarray,
    sets: tuple[Inputs, ...],
    direction: Direction,
    noise: tuple[np.ndarray, ...],
) -> dict:
    signal, signal_modes = direction
    spectrum, n_width = measure.problem.spectrum, measure.width
    states = measure.unpack(x)
    terms = measure.terms(states)
    y = spectrum.dataset.y_train
    root_n, count = np.sqrt(n_width), len(x)
    a = terms.labels / terms.widths
    g = terms.prior
    label_norm = float(y @ y)
    share_of_units = states.v * (terms.features @ y) / (root_n * label_norm)  # (S, k)
    share = share_of_units.sum(axis=1)
    size = np.abs(states.v)
    rows, top = np.arange(count), size.argmax(axis=1)
    along = states.z @ signal  # (S, k)
    per_unit = g / measure.others  # <v^2> of another over N
    rise = (a @ signal_modes) ** 2 - (signal_modes**2 / terms.widths).sum(axis=1)
    lambda0 = spectrum.lambda0
    part = measure.others / n_width
    # g (a a^T - D^-1), the rise of the others' feature kernel
    kernel_modes = (a * g[:, None]).T @ a / count - np.diag((g[:, None] / terms.widths).mean(axis=0))
    gradient = measure.unpack(measure.largest(x)[1])
    # mean zero by partial integration over z, over (v, sqrt Q) scaled together, and over u
    controls = np.stack(
        [
            (states.z * gradient.z).sum(axis=(1, 2)) - measure.units * measure.rank,
            (states.v * gradient.v).sum(axis=1) + 2.0 * gradient.u - measure.units,
            gradient.u,
        ],
        axis=1,
    )
    q = np.exp(states.u)
    outside = measure.units * max(1.0 - float(signal @ signal), 0.0)
    scalars = {
        "order_parameter": q,
        "readout_square": part * q / measure.lambda1 + (states.v**2).sum(axis=1) / n_width,
        "heavy_share": share_of_units[rows, top],
        "signal_covariance": g * (a @ signal_modes) / root_n
        + (states.v * along).sum(axis=1) / (n_width * np.sqrt(lambda0)),
        "signal_variance": part * (1.0 / lambda0 + per_unit * rise)
        + ((along**2).sum(axis=1) + outside) / (lambda0 * n_width),
    }
    result: dict = {name: _controlled(values, controls) for name, values in scalars.items()}
    result |= {
        "share": share,
        "smallest": size.min(axis=1),
        "readouts": size,
        "square_of_others": q / measure.lambda1,
        "mean": [], "square": [], "kernel": [], "contribution": [], "share_contribution": [],
    }  # fmt: skip
    flat = states.z.reshape(count * measure.units, -1).astype(np.float32)
    for i, inputs in enumerate(sets):
        features = (
            terms.features
            if i == 0
            else inputs.single_features(flat, noise[i]).reshape(count, measure.units, -1)
        )
        contribution = (states.v[:, :, None] * features).sum(axis=1) / root_n
        f = contribution + (g[:, None] * a) @ inputs.modes.T
        response = np.einsum("ik,k->i", inputs.modes**2, (g[:, None] ** 2 / terms.widths).mean(axis=0))
        variance = g.mean() * np.diag(inputs.kernel) - response
        if i == 0:  # without cancellation
            in_range = spectrum.eigenvectors**2
            loading = (g[:, None] * spectrum.eigenvalues / terms.widths).mean(axis=0)
            variance = measure.temperature * (in_range @ loading)
        square = ((inputs.targets - f) ** 2).mean(axis=0) + np.maximum(variance, 0.0)
        flat_features = features.reshape(count * measure.units, -1)
        second = part * inputs.kernel + (inputs.modes @ kernel_modes @ inputs.modes.T) / n_width
        second = second + flat_features.T @ flat_features / (count * n_width)
        result["mean"].append(f.mean(axis=0))
        result["square"].append(square)
        result["kernel"].append(second)
        result["contribution"].append(contribution.mean(axis=0))
        result["share_contribution"].append(share @ contribution / count)
    return result


def _controlled(values: np.ndarray, controls: np.ndarray) -> float:
    """Mean of `values` with what is linear in controls of mean zero taken out."""
    centred = controls - controls.mean(axis=0)
    slopes = np.linalg.lstsq(centred, values - values.mean(), rcond=None)[0]
    return float(values.mean() - controls.mean(axis=0) @ slopes)
