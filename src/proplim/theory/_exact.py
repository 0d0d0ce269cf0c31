"""The linear network at finite width, exactly (docs/theory.md, section 7).

With s = |v|^2/N and Q = lambda1 s, the posterior of u = ln Q has the density exp(-N S(u)/2) up to a constant,
S being the effective action of the kernel K = C. Given s, predictor, weights and feature kernel are those of
the proportional theory at that Q. So every posterior mean is a one-dimensional integral over u.

The trapezoidal rule over the interval outside of which the density is below exp(-CUTOFF) of its maximum
converges exponentially for this analytic integrand. The number of nodes is raised until the rule and the same
rule on every second node agree.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.special import gammaln

from proplim.theory._blocks import Points, elementwise, in_blocks, in_product_blocks
from proplim.theory._effective_action import OrderParameter, effective_action, solve_order_parameter
from proplim.theory._energies import energies
from proplim.theory._observables import Forms, forms_of, predictor_and_weights
from proplim.theory._peaks import maximise
from proplim.theory._spectrum import Spectrum

CUTOFF = 42.0
"""The density is cut where it has fallen by exp(-42), about 6e-19."""
NODES = (64, 256, 1024, 4096)
"""Numbers of nodes of the trapezoidal rule, tried in turn."""
NODES_AT_ONCE = 1024
TOLERANCE = 1e-7
"""Accepted difference to the rule with half the nodes; the error of the full rule is about its square."""
BISECTIONS = 10


class _Nodes(NamedTuple):
    """Quadrature of m grid points with k nodes each.

    Parameters
    ----------
    points : Points
        The grid points of all m k nodes.
    order_parameter : (m k,) array
    weights : (m, k) array
        Summing to one over the nodes.
    log_integral : (m,) array
        ln of the integral of exp(-N S/2) over u.
    error : (m,) array
        Difference to the rule on every second node.
    """

    points: Points
    order_parameter: np.ndarray
    weights: np.ndarray
    log_integral: np.ndarray
    error: np.ndarray


def solve_exact(spectrum: Spectrum, points: Points) -> dict[str, np.ndarray]:
    """Posterior means of the finite linear network; other activations come back unconverged.

    Parameters
    ----------
    spectrum : Spectrum
    points : Points

    Returns
    -------
    dict of (n, ...) arrays
        `order_parameter` is lambda1 <v^2>, the posterior mean of Q; `free_energy` is eq. 7.3.
    """
    if spectrum.activation.name != "linear":
        return {"converged": np.zeros(points.size)}
    forms = forms_of(spectrum)
    solution = solve_order_parameter(spectrum, points)
    low, high = _support(spectrum, points, solution)
    arrays = (*points, low, high, solution.action, solution.order_parameter)
    result: dict[str, np.ndarray] = {}
    todo = np.nonzero(solution.converged)[0]
    for nodes in NODES:
        if not len(todo):
            break

        def block(*a: np.ndarray, k: int = nodes) -> dict[str, np.ndarray]:
            return _averages(spectrum, forms, Points(*a[:3]), *a[3:], k=k)

        part = in_product_blocks(block, *(a[todo] for a in arrays), block=max(NODES_AT_ONCE // nodes, 1))
        for name, value in part.items():
            result.setdefault(name, np.full((points.size, *value.shape[1:]), np.nan))[todo] = value
        todo = todo[~(part["error"] <= TOLERANCE)]
    result["converged"] = solution.converged.astype(float)
    result["converged"][todo] = 0.0
    result["stationary_points"] = solution.stationary_points
    return result


def _support(spectrum: Spectrum, points: Points, solution: OrderParameter) -> tuple[np.ndarray, np.ndarray]:
    """Ends of the interval of u that the quadrature covers."""
    ends = ((solution.first, -1.0), (solution.last, 1.0))
    low, high = (_end_of_support(spectrum, points, solution.action, q, sign) for q, sign in ends)
    return low, high


def _end_of_support(
    spectrum: Spectrum, points: Points, action: np.ndarray, stationary: np.ndarray, sign: float
) -> np.ndarray:
    """The u beyond which N (S - S_min)/2 > CUTOFF, left (sign -1) or right (sign 1) of a stationary Q.

    Outside of the outermost stationary points S is monotone, so doubling the reach and bisecting finds it.
    Every point takes the same number of bisections: its result may not depend on its neighbours.
    """

    def short(u: np.ndarray) -> np.ndarray:
        excess = effective_action(spectrum, elementwise(np.exp, u), *points) - action
        return 0.5 * points.width * excess < CUTOFF

    start = elementwise(np.log, stationary)
    inner, reach = start, 1.0 / np.sqrt(points.width)
    while (growing := short(start + sign * reach)).any():
        inner = np.where(growing, start + sign * reach, inner)
        reach = np.where(growing, 2.0 * reach, reach)
    outer = start + sign * reach
    for _ in range(BISECTIONS):
        middle = 0.5 * (inner + outer)
        inside = short(middle)
        inner, outer = np.where(inside, middle, inner), np.where(inside, outer, middle)
    return outer


def _quadrature(
    spectrum: Spectrum, points: Points, low: np.ndarray, high: np.ndarray, action: np.ndarray, *, k: int
) -> _Nodes:
    step = (high - low) / k
    u = low[:, None] + step[:, None] * np.arange(k)  # the right end, of weight exp(-CUTOFF), is left out
    flat = Points(*(np.repeat(a, k) for a in points))
    q = np.exp(u.ravel())
    excess = effective_action(spectrum, q, *flat).reshape(u.shape) - action[:, None]
    density = np.exp(-0.5 * points.width[:, None] * excess)
    total = density.sum(axis=1)
    weights = density / total[:, None]
    # mass and the first two moments of u have to agree with the rule on every second node
    half_total = density[:, ::2].sum(axis=1)
    half = density[:, ::2] / half_total[:, None]
    deviation = u - (weights * u).sum(axis=1)[:, None]
    variance = (weights * deviation**2).sum(axis=1)
    error = np.abs(2.0 * half_total / total - 1.0)
    error = np.maximum(error, np.abs((half * deviation[:, ::2]).sum(axis=1)) / np.sqrt(variance))
    error = np.maximum(error, np.abs((half * deviation[:, ::2] ** 2).sum(axis=1) / variance - 1.0))
    log_integral = np.log(step * total) - 0.5 * points.width * action
    return _Nodes(flat, q, weights, log_integral, error)


def _averages(
    spectrum: Spectrum,
    forms: Forms,
    points: Points,
    low: np.ndarray,
    high: np.ndarray,
    action: np.ndarray,
    saddle: np.ndarray,
    *,
    k: int,
) -> dict[str, np.ndarray]:
    """Posterior means with k nodes a point; `saddle` is Q of the proportional theory (eqs. 7.1-7.5)."""
    nodes = _quadrature(spectrum, points, low, high, action, k=k)
    n = points.width

    def average(value: np.ndarray) -> np.ndarray:
        value = value.reshape(*nodes.weights.shape, *value.shape[1:])
        return np.stack([np.einsum("k,k...->...", w, v) for w, v in zip(nodes.weights, value, strict=True)])

    at = predictor_and_weights(spectrum, forms, nodes.points, nodes.order_parameter, feature_learning=True)
    at |= energies(spectrum, nodes.points, nodes.order_parameter, None)
    result = {name: average(value) for name, value in at.items()}
    result["error"] = nodes.error
    result["order_parameter"] = points.lambda1 * result["readout_variance"]
    response = _responses(spectrum, nodes.points, nodes.order_parameter)
    mean_t, mean_r = average(response["t"]), average(response["r"])
    result |= _mean_predictor(spectrum, forms, mean_t, mean_r)
    # Var f = <Var(f|s)> + Var <f|s>, the second from the squared biases, whose labels drop out
    spread = np.maximum(average(at["bias_sq"]) - result["bias_sq"], 0.0)
    result["predictive_variance"] = average(at["predictive_variance"]) + spread
    direction = _signal_in_modes(spectrum, forms, points, saddle)
    result |= _signal(spectrum, points, nodes, response["t"], direction, mean_t, average)
    result["free_energy"] = 0.5 - (0.5 * n * np.log(0.5 * n) - gammaln(0.5 * n) + nodes.log_integral) / n
    slope, energy = at["free_energy_temperature_derivative"], at["mean_energy"]
    deviation = energy - np.repeat(result["mean_energy"], k)
    covariance = average(deviation * (slope - np.repeat(average(slope), k)))
    result["mean_energy_temperature_derivative"] -= n * covariance
    return result


def _responses(spectrum: Spectrum, points: Points, q: np.ndarray) -> dict[str, np.ndarray]:
    """t and r of every point and mode, each (n, r)."""

    def block(t_: np.ndarray, _: np.ndarray, l1: np.ndarray, q: np.ndarray) -> dict[str, np.ndarray]:
        x = (q / (l1 * t_))[:, None] * spectrum.eigenvalues
        r = 1.0 / (1.0 + x)
        return {"t": x * r, "r": r}

    return in_blocks(block, *points, q)


def _modes(spectrum: Spectrum, t: np.ndarray) -> np.ndarray:
    """b of eq. 3.9."""
    return t * (spectrum.labels / np.sqrt(spectrum.eigenvalues))


def _mean_predictor(
    spectrum: Spectrum, forms: Forms, mean_t: np.ndarray, mean_r: np.ndarray
) -> dict[str, np.ndarray]:
    """Squared bias and accuracy of the averaged predictor, which is linear in t."""
    modes = _modes(spectrum, mean_t)
    result = {"bias_sq": np.full((len(modes), 2), np.nan), "accuracy": np.full((len(modes), 2), np.nan)}
    for i, inputs in enumerate((forms.train, forms.test)):
        if inputs is not None:
            f = in_product_blocks(lambda b, inputs=inputs: {"f": inputs.mean(b)}, modes)["f"]
            result["accuracy"][:, i] = (f * inputs.targets > 0.0).mean(-1)
            result["bias_sq"][:, i] = ((f - inputs.targets) ** 2).mean(-1)
    # on the training inputs y - f = U (r yt) is free of cancellation
    missed = ((mean_r * spectrum.labels) ** 2).sum(-1) + spectrum.null_label_energy
    result["bias_sq"][:, 0] = missed / spectrum.n_train
    return result


def _signal_in_modes(spectrum: Spectrum, forms: Forms, points: Points, saddle: np.ndarray) -> np.ndarray:
    """R^T u for the unit vector u = B a / |B a| of the proportional theory, (m, r); NaN without a signal."""

    def block(b: np.ndarray) -> dict[str, np.ndarray]:
        vector = forms.signal(b)
        norm = np.sqrt((vector**2).sum(-1, keepdims=True))
        unit = np.where(norm > 0.0, vector / np.where(norm > 0.0, norm, 1.0), np.nan)
        return {"direction": forms.signal_transposed(unit)}

    modes = _modes(spectrum, _responses(spectrum, points, saddle)["t"])
    return in_product_blocks(block, modes)["direction"]


def _signal(
    spectrum: Spectrum,
    points: Points,
    nodes: _Nodes,
    t: np.ndarray,
    direction: np.ndarray,
    mean_t: np.ndarray,
    average: Callable[[np.ndarray], np.ndarray],
) -> dict[str, np.ndarray]:
    """Moments of the hidden weights along u, which does not move with s (docs/theory.md, eq. 7.5)."""
    along = np.repeat(direction, nodes.weights.shape[1], axis=0)
    g = nodes.order_parameter / nodes.points.lambda1
    shift = (along * _modes(spectrum, t)).sum(-1) ** 2 / g - (t * along**2).sum(-1)
    covariance = (direction * _modes(spectrum, mean_t)).sum(-1) / np.sqrt(points.width)
    silent = ~np.isfinite(covariance)  # B a = 0: the covariance vanishes along every direction
    return {
        "readout_signal_covariance": np.where(silent, 0.0, covariance),
        "signal_variance": 1.0 / spectrum.lambda0 + average(shift) / points.width,
    }


def exact_class_distance(spectrum: Spectrum, forms: Forms, points: Points) -> np.ndarray:
    """D alone, (n, 2) with `split`, without the products of the full solution; NaN where unconverged."""
    solution = solve_order_parameter(spectrum, points)
    low, high = _support(spectrum, points, solution)
    result = np.full((points.size, 2), np.nan)
    todo = np.arange(points.size)
    for k in NODES:
        if not len(todo):
            break

        def block(*a: np.ndarray, k: int = k) -> dict[str, np.ndarray]:
            nodes = _quadrature(spectrum, Points(*a[:3]), *a[3:], k=k)
            responses = _responses(spectrum, nodes.points, nodes.order_parameter)["t"]
            g = nodes.order_parameter / nodes.points.lambda1
            columns = []
            for inputs in (forms.train, forms.test):
                if inputs is None:
                    columns.append(np.full(len(a[0]), np.nan))
                    continue
                product = inputs.contrast * spectrum.labels / np.sqrt(spectrum.eigenvalues)
                rise = (responses * product).sum(-1) ** 2 / g
                shift = rise - (responses * inputs.contrast**2).sum(-1)
                shift = (nodes.weights * shift.reshape(nodes.weights.shape)).sum(axis=1)
                columns.append(inputs.prior_centroid + shift / a[1])
            return {"value": np.stack(columns, axis=-1), "error": nodes.error}

        arrays = (*points, low, high, solution.action)
        part = in_product_blocks(block, *(a[todo] for a in arrays), block=max(NODES_AT_ONCE // k, 1))
        good = part["error"] <= TOLERANCE
        result[todo[good]] = part["value"][good]
        todo = todo[~good]
    return result


def find_exact_peaks(spectrum: Spectrum, width: np.ndarray, lambda1: np.ndarray) -> dict[str, np.ndarray]:
    """T* of the exact class distance (docs/theory.md, section 7); parameters and result as `find_peaks`."""
    forms = forms_of(spectrum)
    return maximise(lambda points: exact_class_distance(spectrum, forms, points), spectrum, width, lambda1)
