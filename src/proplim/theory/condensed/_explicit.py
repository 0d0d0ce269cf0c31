"""Averages over the measure of the explicit units (docs/condensed.md, section 3).

Everything comes as one value a group of chains, so that groups give the Monte-Carlo error. Draws are weighted by the
regression on functions whose means are known to be zero, by partial integration: control variates for every average.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from proplim.theory.condensed._inputs import Inputs
from proplim.theory.condensed._measure import Measure, States


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


class Contribution(NamedTuple):
    """Of the explicit units to f on one set of inputs."""

    mean: np.ndarray  # at the mean share, (n,)
    slope: np.ndarray  # its change with the share, (n,)


class Explicit(NamedTuple):
    """Averages over (C.1).

    Parameters
    ----------
    moments : dict of (G, ...) arrays
        What averages linearly over states, one a group: order_parameter, readout_variance, signal_variance,
        readout_signal_covariance, heavy_unit_share and, of every set of inputs i, mean<i> (n,), <f>, square<i> (n,),
        <(y - f)^2> with the conditional variance in it, and kernel<i> (n, n), the feature kernel.
    share, spread : float
        Mean share of all explicit units and its standard deviation.
    bounds : (2,) array
        Smallest explicit |v| at the mean share, and its change with the share.
    bound_spread : float
        Its standard deviation at a share.
    readouts : (S, k) array
        |v| of the explicit units of single draws.
    shares, squares : (S,) arrays
        Share and Q/lambda1 of these draws.
    controls : (S, C) array
        Functions of mean zero at these draws.
    ends : (G,) array
        How many of them are in this group and those before.
    contributions : tuple of Contribution
        On every set of inputs.
    """

    moments: dict[str, np.ndarray]
    share: float
    spread: float
    bounds: np.ndarray
    bound_spread: float
    readouts: np.ndarray
    shares: np.ndarray
    squares: np.ndarray
    controls: np.ndarray
    ends: np.ndarray
    contributions: tuple[Contribution, ...]


class _Draws(NamedTuple):
    """What averages are made of, of every draw."""

    states: States
    a: np.ndarray  # (S, m)
    prior: np.ndarray  # g
    widths: np.ndarray
    share: np.ndarray
    scalars: dict[str, np.ndarray]
    features: tuple[np.ndarray, ...]  # of every set of inputs, (S k, n)
    contributions: tuple[np.ndarray, ...]  # (S, n)


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
    found, moments, controls = [], [], []
    for i, part in enumerate(parts):
        draws = _draws(measure, part, sets, direction, _rows(noise, i, parts, measure.units))
        controls.append(_controls(measure, part, draws.states, direction))
        moments.append(_moments(measure, draws, sets, weights_of(controls[-1])))
        found.append(draws._replace(features=()))
    share = np.concatenate([draws.share for draws in found])
    size = np.abs(np.concatenate([draws.states.v for draws in found]))
    deviation, smallest = share - share.mean(), size.min(axis=1)
    variance = max(float(deviation @ deviation) / len(share), 1e-300)
    bound_slope = float(deviation @ smallest) / len(share) / variance
    contributions = []
    for i in range(len(sets)):
        of_draws = np.concatenate([draws.contributions[i] for draws in found])
        contributions.append(
            Contribution(of_draws.mean(axis=0), deviation @ of_draws / len(share) / variance)
        )
    return Explicit(
        moments={name: np.stack([m[name] for m in moments]) for name in moments[0]},
        share=float(share.mean()),
        spread=float(np.sqrt(variance)),
        bounds=np.array([smallest.mean(), bound_slope]),
        bound_spread=float((smallest - smallest.mean() - bound_slope * deviation).std()),
        readouts=size,
        shares=share,
        squares=np.exp(np.concatenate([draws.states.u for draws in found])) / measure.lambda1,
        controls=np.concatenate(controls),
        ends=np.cumsum([len(values) for values in controls]),
        contributions=tuple(contributions),
    )


def respond(
    measure: Measure,
    theta: np.ndarray,
    changes: list[np.ndarray],
    sets: tuple[Inputs, ...],
    direction: Direction,
    noise: tuple[np.ndarray, ...],
) -> list[dict[str, np.ndarray]]:
    """What adding dU to U changes in the moments, for every dU (S,) in `changes` at draws theta (S, dimension)."""
    draws = _draws(measure, theta, sets, direction, _rows(noise, 0, [theta], measure.units))
    before = _moments(measure, draws, sets, np.full(len(theta), 1.0 / len(theta)))
    result = []
    for change in changes:
        weights = np.exp(change.min() - change)
        after = _moments(measure, draws, sets, weights / weights.sum())
        result.append({name: np.asarray(after[name] - before[name]) for name in before})
    return result


class Watched(NamedTuple):
    """What says whether the chains are long enough, of every draw."""

    values: np.ndarray  # D on the training inputs and share of the labels, (draws, chains, 2)
    controls: np.ndarray  # (draws, chains, C)

    def and_then(self, more: Watched) -> Watched:
        """These draws and those after them."""
        return Watched(*(np.concatenate(pair) for pair in zip(self, more, strict=True)))

    def of_chains(self) -> np.ndarray:
        """Means over every chain, (chains, 2), what is linear in the controls taken out."""
        controls = self.controls.reshape(-1, self.controls.shape[-1])
        controls = controls - controls.mean(axis=0)
        values = self.values.reshape(-1, 2)
        values = values - controls @ np.linalg.lstsq(controls, values - values.mean(axis=0), rcond=None)[0]
        return np.asarray(values.reshape(self.values.shape).mean(axis=0))


def watched(measure: Measure, theta: np.ndarray, inputs: Inputs, direction: Direction) -> Watched:
    """Of draws theta (draws, chains, d), in single precision; `inputs` are the training inputs."""
    rows = theta.reshape(-1, theta.shape[-1]).astype(np.float32)
    states = measure.unpack(rows)
    terms = measure.terms(states)
    difference = inputs.classes[1] - inputs.classes[0]
    along = difference @ inputs.modes
    rise = ((terms.labels / terms.widths) @ along) ** 2 - (along**2 / terms.widths).sum(axis=1)
    part = measure.others / measure.width
    others = part * (difference @ inputs.kernel @ difference) + terms.prior * rise / measure.width
    own = ((terms.features @ difference) ** 2).sum(axis=1) / measure.width
    y, labels = inputs.targets, measure.problem.spectrum.labels
    values = np.stack([others + own, terms.contribution @ labels / (y @ y)], axis=1).astype(float)
    controls = _controls(measure, rows, states, direction)
    shape = theta.shape[:2]
    return Watched(values.reshape(*shape, -1), controls.reshape(*shape, -1))


def _controls(measure: Measure, rows: np.ndarray, states: States, direction: Direction) -> np.ndarray:
    """Functions of mean zero, (S, C): divergences of fields, less these times the gradient of U.

    The fields are smooth, the same for every unit and vanish or are parallel where two readouts change order: along v,
    along z and the signal in it, and along u.
    """
    gradient = measure.unpack(measure.largest(rows.astype(np.float32))[1].astype(float))
    v, d_v, d_u = states.v, gradient.v, gradient.u
    norm = float(np.linalg.norm(direction.signal))
    signal = direction.signal / norm if norm > 0.0 else direction.signal
    z, d_z = states.z @ signal, gradient.z @ signal
    radial = np.einsum("skr,skr->sk", states.z, gradient.z) - measure.rank
    square = float(signal @ signal)
    fields = (
        d_v, v * d_v - 1.0, v**2 * d_v - 2.0 * v, z * d_v, v * z * d_v - z,
        d_z, v * d_z, v**2 * d_z, z * d_z - square, radial, v**2 * radial, v * d_u[:, None],
    )  # fmt: skip
    return np.stack([d_u, *(field.sum(axis=1) for field in fields)], axis=1)


def weights_of(controls: np.ndarray) -> np.ndarray:
    """Weights of draws, of sum one, under which the controls have mean zero: averages with these are those of least
    squares at zero controls."""
    mean = controls.mean(axis=0)
    centred = controls - mean
    covariance = centred.T @ centred
    return (1.0 / len(controls)) - centred @ (np.linalg.pinv(covariance, hermitian=True) @ mean)


def _rows(
    noise: tuple[np.ndarray, ...], group: int, parts: list[np.ndarray], units: int
) -> tuple[np.ndarray, ...]:
    """Noise of a group of draws, a row for each of their units: its own as far as there is enough."""
    start = units * sum(len(p) for p in parts[:group])
    rows = np.arange(start, start + units * len(parts[group]))
    return tuple(x.take(rows, axis=0, mode="wrap") if len(x) > 1 else x for x in noise)


def _draws(
    measure: Measure,
    x: np.ndarray,
    sets: tuple[Inputs, ...],
    direction: Direction,
    noise: tuple[np.ndarray, ...],
) -> _Draws:
    signal, signal_modes = direction
    spectrum, n_width = measure.problem.spectrum, measure.width
    states = measure.unpack(x)
    terms = measure.terms(states)
    y = spectrum.dataset.y_train
    root_n, count = np.sqrt(n_width), len(x)
    a, g = terms.labels / terms.widths, terms.prior
    share_of_units = states.v * (terms.features @ y) / (root_n * float(y @ y))  # (S, k)
    along = states.z @ signal  # (S, k)
    rise = (a @ signal_modes) ** 2 - (signal_modes**2 / terms.widths).sum(axis=1)
    lambda0, part, q = spectrum.lambda0, measure.others / n_width, np.exp(states.u)
    outside = measure.units * max(1.0 - float(signal @ signal), 0.0)
    scalars = {
        "order_parameter": q,
        "readout_variance": part * q / measure.lambda1 + (states.v**2).sum(axis=1) / n_width,
        "heavy_unit_share": share_of_units[np.arange(count), np.abs(states.v).argmax(axis=1)],
        "readout_signal_covariance": g * (a @ signal_modes) / root_n
        + (states.v * along).sum(axis=1) / (n_width * np.sqrt(lambda0)),
        "signal_variance": part * (1.0 / lambda0 + g / measure.others * rise)
        + ((along**2).sum(axis=1) + outside) / (lambda0 * n_width),
    }
    flat = states.z.reshape(count * measure.units, -1).astype(np.float32)
    features = [terms.features.reshape(count * measure.units, -1)]
    features += [
        inputs.single_features(flat, outer) for inputs, outer in zip(sets[1:], noise[1:], strict=False)
    ]
    contributions = tuple(
        np.einsum("sk,skn->sn", states.v, s.reshape(count, measure.units, -1)) / root_n for s in features
    )
    share = share_of_units.sum(axis=1)
    return _Draws(states, a, g, terms.widths, share, scalars, tuple(features), contributions)


def _moments(
    measure: Measure, draws: _Draws, sets: tuple[Inputs, ...], weights: np.ndarray
) -> dict[str, np.ndarray]:
    """Averages with weights (S,) of sum one."""
    spectrum, n_width = measure.problem.spectrum, measure.width
    part, loads = measure.others / n_width, weights * draws.prior
    inverse = 1.0 / draws.widths
    # g (a a^T - D^-1), the rise of the others' feature kernel
    kernel_modes = (draws.a * loads[:, None]).T @ draws.a - np.diag(loads @ inverse)
    result = {name: np.asarray(weights @ values) for name, values in draws.scalars.items()}
    single = np.repeat(weights / n_width, measure.units).astype(np.float32)[:, None]
    for i, inputs in enumerate(sets):
        f = draws.contributions[i] + (draws.prior[:, None] * draws.a) @ inputs.modes.T
        if i == 0:  # without cancellation
            loading = loads @ (spectrum.eigenvalues * inverse)
            variance = measure.temperature * (spectrum.eigenvectors**2 @ loading)
        else:
            response = inputs.modes**2 @ ((loads * draws.prior) @ inverse)
            variance = loads.sum() * np.diag(inputs.kernel) - response
        features = draws.features[i].astype(np.float32, copy=False)
        second = part * inputs.kernel + (inputs.modes @ kernel_modes @ inputs.modes.T) / n_width
        result[f"mean{i}"] = weights @ f
        result[f"square{i}"] = weights @ (inputs.targets - f) ** 2 + np.maximum(variance, 0.0)
        result[f"kernel{i}"] = second + (features * single).T @ features
    return result
