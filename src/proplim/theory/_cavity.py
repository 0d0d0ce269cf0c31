"""The cavity approximation: one hidden unit in the field of all the others (docs/cavity.md, part B).

The other units act on a unit through the residual a and the covariance Sigma of the network's output,

    weight(h) = (1 + b/lambda1)^(-1/2) exp(q^2 / (2 (lambda1 + b)))                                    (B.2)
    q = a.s/sqrt(N),   b = s^T Sigma^-1 s/N,   s = sigma(h),   h ~ N(0, C)
    y = T a + sqrt(N) <v s>,      Sigma = T + Omega,   Omega = <v^2 s s^T> - <v s><v s>^T              (B.4)

and a and Omega follow from the averages over the unit that they tilt. The averages are importance sums over
scrambled Sobol points (B.6-B.8, `_cavity_draws`); the fixed point is reached by Newton's method (B.5,
`_cavity_field`) down a ladder of temperatures that belongs to the point alone. All of it is done on independent
replicates of the draws, which give the Monte-Carlo errors.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from proplim.kernels import feature_covariance, mean_slope
from proplim.seeds import derive_seed
from proplim.theory._blocks import Points
from proplim.theory._cavity_draws import (
    MODE_SHARE,
    Draws,
    Problem,
    draw_central,
    find_modes,
    proposal_covariance,
    sobol_normals,
    with_modes,
)
from proplim.theory._cavity_field import (
    Field,
    Tilt,
    fixed_point,
    log_weight_at,
    temperature_response,
    tilt_of,
)
from proplim.theory._signal import signal_of_point
from proplim.theory._spectrum import Spectrum

REPLICATES = 4
DRAWS = 8192
"""Central draws of a replicate: at least this many and at least 40 for every training input."""
GROWTH = 4
"""A point that fails is tried once more with this many times the draws."""
LARGEST_SAMPLE = 1 << 24
"""Draws times training inputs beyond which they are not grown (an array of that many doubles is 128 MiB)."""
LADDER = 2.0
"""Ratio of neighbouring temperatures on the way down to the point's own."""
HALVINGS = 2
"""How often a step of the ladder that finds no solution is cut in two."""
TOLERANCE, LADDER_TOLERANCE = 1e-5, 1e-2
"""Linearised distance to the solution, in units of the width of the modes of Sigma, accepted on the draws."""
LEAST_EFFECTIVE_FRACTION = 0.6
"""Least effective sample size over number of draws; below, single draws feed back on the field they feel."""
LARGEST_ERROR = 0.01
"""Largest accepted Monte-Carlo error of D on the training inputs, relative to D."""


def solve_cavity(spectrum: Spectrum, points: Points) -> dict[str, np.ndarray]:
    """Solve the cavity equations at every point, one by one (docs/cavity.md, part B).

    Parameters
    ----------
    spectrum : Spectrum
    points : Points

    Returns
    -------
    dict of (n,), (n, 2) or (n, 2, 2) arrays
        The variables of the theory cube; beside each its standard error over replicates, with the suffix
        `_mcse`; `effective_sample_fraction`, the smallest over replicates, and `closure_residual`, the
        largest. `converged` is 1 where every replicate has been solved to far below its error, the weights
        have not degenerated and D is known to a percent (section B.6).
    """
    problem = Problem(spectrum)
    results = [_solve_point(problem, Points(*(p[i : i + 1] for p in points))) for i in range(points.size)]
    return {name: np.stack([r[name] for r in results]) for name in results[0]}


def _solve_point(problem: Problem, point: Points) -> dict[str, np.ndarray]:
    signal = problem.basis.T @ signal_of_point(problem.spectrum, point)
    result, count = _failed(), number_of_draws(problem.spectrum.n_train)
    for draws in (count, GROWTH * count):
        if draws > count and draws * problem.spectrum.n_train > LARGEST_SAMPLE:
            break
        replicates: list[dict[str, np.ndarray]] = []
        while len(replicates) < REPLICATES:
            found = _solve_replicate(problem, point, signal, len(replicates), draws)
            if found is None:  # one that fails decides: no time is spent on the others
                break
            replicates.append(found)
        if len(replicates) == REPLICATES:
            result = _combine(problem, point, replicates)
        if result["converged"] > 0.0:
            break
    return result


class State(NamedTuple):
    """What one rung of the ladder hands to the next: a guess of the field, and where the signal is."""

    omega: np.ndarray
    labels: np.ndarray  # Sigma a, y for Gaussian features: it changes little from rung to rung
    direction: np.ndarray  # <v z>
    spread: float  # excess variance along it


class Normals(NamedTuple):
    """Standard normals of one replicate, for central draws and for those at modes."""

    central: np.ndarray
    far: np.ndarray


class Solution(NamedTuple):
    """A fixed point on its draws."""

    draws: Draws
    field: Field
    tilt: Tilt


def number_of_draws(n_train: int) -> int:
    """Central draws of a replicate, a power of two as Sobol points want it."""
    return 1 << int(np.ceil(np.log2(max(DRAWS, 40 * n_train))))


def draw_normals(problem: Problem, count: int, rng: np.random.Generator) -> Normals:
    """Quasi-random normals of one replicate."""
    rank = problem.root.shape[1]
    return Normals(sobol_normals(count, rank, rng), sobol_normals(int(MODE_SHARE * count), rank, rng))


def first_state(problem: Problem, lambda1: float) -> State:
    """The prior, with the signal along the gradient of the labels."""
    y = problem.spectrum.dataset.y_train
    return State(problem.spectrum.kernel / lambda1, y, problem.root.T @ (problem.slopes * y), 0.3)


def descend(
    problem: Problem,
    normals: Normals,
    state: State,
    temperature: float,
    width: float,
    lambda1: float,
    *,
    final: bool,
) -> tuple[Solution, State] | None:
    """Solve at one temperature from the state of a higher one; None where there is no solution to be found."""
    y = problem.spectrum.dataset.y_train
    a = np.linalg.solve(state.omega + temperature * np.eye(len(y)), state.labels)
    field = Field(a, state.omega, temperature, width, lambda1)
    central = draw_central(problem, normals.central, state.direction, 0.3 + 1.5 * max(state.spread, 0.3))
    tilt = tilt_of(central, field, y)
    for _ in range(2 if final else 1):  # the modes move with the field
        if tilt is None:
            return None
        modes = find_modes(problem, log_weight_at(problem, field, tilt), state.direction)
        draws = with_modes(problem, central, modes, normals.far)
        field, tilt, distance = fixed_point(draws, y, field, TOLERANCE if final else LADDER_TOLERANCE)
        if tilt is None or not np.isfinite(distance):
            return None
        if not modes:
            break
    assert tilt is not None
    direction = (tilt.weights * tilt.readout) @ draws.z
    unit = direction / max(np.linalg.norm(direction), 1e-300)
    spread = min(float(tilt.weights @ (draws.z @ unit) ** 2) / draws.central - 1.0, 10.0)
    labels = field.omega @ field.a + temperature * field.a
    return Solution(draws, field, tilt), State(field.omega, labels, direction, spread)


def follow(
    problem: Problem,
    normals: Normals,
    state: State,
    temperatures: tuple[float, float],
    width: float,
    lambda1: float,
    *,
    final: bool,
    halvings: int = HALVINGS,
) -> tuple[Solution, State] | None:
    """:func:`descend` from the first temperature, where `state` belongs, to the second; in shorter steps if need be."""
    hot, cold = temperatures
    found = descend(problem, normals, state, cold, width, lambda1, final=final)
    if found is None and halvings and hot > cold:
        middle, less = float(np.sqrt(hot * cold)), {"halvings": halvings - 1}
        half = follow(problem, normals, state, (hot, middle), width, lambda1, final=False, **less)
        if half is not None:
            found = follow(problem, normals, half[1], (middle, cold), width, lambda1, final=final, **less)
    return found


def _solve_replicate(
    problem: Problem, point: Points, signal: np.ndarray, replicate: int, count: int
) -> dict[str, np.ndarray] | None:
    """One fixed point on its own draws with all observables; None where none was found."""
    spectrum = problem.spectrum
    t, n, l1 = (float(p[0]) for p in point)
    seed = derive_seed(
        "cavity",
        {
            "dataset": spectrum.dataset.identity, "activation": spectrum.activation.name, "width": n,
            "temperature": t, "lambda0": spectrum.lambda0, "lambda1": l1, "replicate": replicate,
            "draws": count,
        },
    )  # fmt: skip
    rng = np.random.default_rng(seed)
    normals = draw_normals(problem, count, rng)
    state = first_state(problem, l1)
    ladder = temperature_ladder(spectrum, t, l1)
    for step in zip([ladder[0], *ladder], ladder, strict=False):
        found = follow(problem, normals, state, step, n, l1, final=step[1] == t)
        if found is None:
            return None
        solution, state = found
    draws, field, tilt = solution
    result = _unit_observables(problem, draws, field, tilt, signal)
    result |= _train_observables(problem, draws, field, tilt)
    if spectrum.dataset.n_test:
        result |= _test_observables(problem, draws, field, tilt, rng)
    result["effective_sample_fraction"] = np.asarray(draws.central / np.sum(tilt.weights**2))
    result["closure_residual"] = np.asarray(tilt.residual)
    return result


def weak_temperature(spectrum: Spectrum, lambda1: float) -> float:
    """A temperature at which the field on a unit is weak."""
    y = spectrum.dataset.y_train
    return max(float(np.trace(spectrum.kernel)) / (len(y) * lambda1), float(y @ y) / len(y))


def temperature_ladder(spectrum: Spectrum, temperature: float, lambda1: float) -> list[float]:
    """Temperatures from one at which the field is weak down to the point's own: the point alone decides."""
    weak = weak_temperature(spectrum, lambda1)
    rungs = [temperature]
    while rungs[-1] < weak:
        rungs.append(rungs[-1] * LADDER)
    return rungs[::-1]


def _unit_observables(
    problem: Problem, draws: Draws, field: Field, tilt: Tilt, signal: np.ndarray
) -> dict[str, np.ndarray]:
    """Moments of a unit's weights and the free energy (B.10, B.13, B.14)."""
    spectrum, n, t = problem.spectrum, field.width, field.temperature
    lambda0, w, count, control = spectrum.lambda0, tilt.weights, draws.central, draws.control()
    readout_variance = w @ tilt.readout_sq / count
    along = draws.z @ signal
    # w and w <v|h>/q are nearly constant: only their variation is left to the sample (control variates)
    prior_sq = signal @ signal + draws.excess * (signal @ draws.direction) ** 2
    variance = prior_sq + (w - control) @ along**2 / count
    ratio = w * tilt.variance  # w/(lambda1 + b)
    level = ratio.sum() / count
    tilted = signal + draws.excess * (signal @ draws.direction) * draws.direction
    proposal_variance = ((problem.root @ draws.direction) ** 2 * draws.excess) + (problem.root**2).sum(axis=1)
    slopes = mean_slope(problem.activation, proposal_variance)
    known = (field.a * slopes) @ (problem.root @ tilted) / np.sqrt(n)
    covariance = level * known + (ratio - level * control) @ (tilt.q * along) / count
    size = len(field.a)
    log_det = float(np.linalg.slogdet(field.omega + t * np.eye(size))[1])
    y = spectrum.dataset.y_train
    quadratic = field.a @ y - 0.5 * t * field.a @ field.a
    fluctuation = 0.5 * (log_det + t * (tilt.inverse_root**2).sum() - size)
    free_energy = 0.5 - tilt.log_norm + (quadratic + fluctuation) / n
    return {
        "readout_variance": np.asarray(readout_variance),
        "order_parameter": np.asarray(readout_variance * field.lambda1),
        "signal_variance": np.asarray((variance + max(1.0 - signal @ signal, 0.0)) / lambda0),
        "readout_signal_covariance": np.asarray(covariance / np.sqrt(lambda0)),
        "hidden_trace_shift": np.asarray(_radial_response(problem, draws, field, tilt) / lambda0),
        "free_energy": np.asarray(free_energy),
    }


def _radial_response(problem: Problem, draws: Draws, field: Field, tilt: Tilt) -> float:
    """<|z|^2> - r = <z . d ln weight/dz> (B.13): far less noise than the left side."""
    n, step = field.width, 1e-5
    h = draws.z @ problem.root.T
    sigma = problem.activation.function
    radial = (sigma(h * (1.0 + step)) - sigma(h * (1.0 - step))) / (2.0 * step)  # h sigma'(h)
    slope = tilt.readout[:, None] * (field.a / np.sqrt(n))
    slope = slope - tilt.readout_sq[:, None] * (tilt.features @ tilt.inverse_root) / n
    return float(tilt.weights @ (slope * radial).sum(axis=1)) / draws.central


def _train_observables(problem: Problem, draws: Draws, field: Field, tilt: Tilt) -> dict[str, np.ndarray]:
    """Geometry and predictor on the training inputs (B.9, B.11), and the slope of its error in T (B.16)."""
    spectrum, t = problem.spectrum, field.temperature
    size, inverse = len(field.a), tilt.inverse
    variance = t - t * t * np.trace(inverse) / size
    response = temperature_response(tilt, field)
    variance_slope = 1.0 - (2.0 * t * np.trace(inverse) - t * t * (inverse * response.sigma).sum()) / size
    return {
        "train_mean": spectrum.dataset.y_train - t * field.a,
        "train_predictive_variance": np.asarray(max(variance, 0.0)),
        "residual_slope": field.a + t * response.a,
        "variance_slope": np.asarray(variance_slope),
        **{f"train_{k}": v for k, v in geometry_of_training(problem, draws, tilt).items()},
    }


def geometry_of_training(problem: Problem, draws: Draws, tilt: Tilt) -> dict[str, np.ndarray]:
    """D and R_s^2 on the training inputs (B.9)."""
    kernel = _proposal_kernel(problem, draws, problem.root, problem.root @ problem.root.T)
    return _geometry(draws, draws.features, tilt.weights, problem.spectrum.class_weights_train, kernel)


def geometry_of_tests(
    problem: Problem, draws: Draws, tilt: Tilt, features: np.ndarray
) -> dict[str, np.ndarray]:
    """D and R_s^2 on the test inputs (B.9)."""
    kernel = _proposal_kernel(problem, draws, problem.test_root, problem.test_covariance)
    return _geometry(draws, features, tilt.weights, problem.spectrum.class_weights_test, kernel)


def features_of_tests(problem: Problem, draws: Draws, rng: np.random.Generator) -> np.ndarray:
    """sigma(h) of the test inputs on the draws; outside the row space w keeps its prior, (S, P_test)."""
    noise = rng.standard_normal((len(draws.z), problem.test_rest.shape[1]))
    return problem.activation.function(draws.z @ problem.test_root.T + noise @ problem.test_rest.T)


def _proposal_kernel(problem: Problem, draws: Draws, root: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    """E[sigma sigma'] of one input set under the proposal."""
    shifted = covariance + draws.excess * np.outer(root @ draws.direction, root @ draws.direction)
    variance = np.diag(shifted).copy()
    return feature_covariance(problem.activation, shifted, variance[:, None], variance[None, :])


def _geometry(
    draws: Draws, features: np.ndarray, weights: np.ndarray, classes: np.ndarray, kernel: np.ndarray
) -> dict[str, np.ndarray]:
    """D and R_s^2 of <s s^T>, with the kernel of the proposal as control variate."""
    centroids = features @ classes.T
    variation = weights - draws.control()
    difference = classes[1] - classes[0]
    rise = variation @ (centroids[:, 1] - centroids[:, 0]) ** 2 / draws.central
    spread = features**2 @ classes.T - centroids**2
    known = classes @ np.diag(kernel) - np.einsum("si,ij,sj->s", classes, kernel, classes)
    return {
        "centroid_distance_sq": np.asarray(difference @ kernel @ difference + rise),
        "gyration_radius_sq": known + variation @ spread / draws.central,
    }


def _test_observables(
    problem: Problem, draws: Draws, field: Field, tilt: Tilt, rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """Predictor (B.11, B.12) and geometry on the test inputs."""
    n, features = field.width, features_of_tests(problem, draws, rng)
    w, s, count, control = tilt.weights, draws.features, draws.central, draws.control()
    cross = proposal_covariance(problem.test_root, problem.root, draws.direction, draws.excess)
    test_variance = (
        np.diag(problem.test_covariance) + draws.excess * (problem.test_root @ draws.direction) ** 2
    )
    train_variance = (problem.root**2).sum(axis=1) + draws.excess * (problem.root @ draws.direction) ** 2
    kernel = feature_covariance(problem.activation, cross, test_variance[:, None], train_variance[None, :])
    diagonal = feature_covariance(problem.activation, test_variance, test_variance, test_variance)

    ratio = w * tilt.variance
    level = ratio.sum() / count
    varying = ((ratio - level * control) * tilt.q) @ features / count
    mean = level * kernel @ field.a / np.sqrt(n) + varying  # <v sigma(h(x))>
    second = w * tilt.readout_sq
    level = second.sum() / count
    variation = second - level * control
    train_mean = (w * tilt.readout) @ s / count
    omega = level * kernel + (features * variation[:, None]).T @ s / count - np.outer(mean, train_mean)
    omega_diagonal = level * diagonal + variation @ features**2 / count - mean**2
    variance = omega_diagonal - ((omega @ tilt.inverse_root) ** 2).sum(axis=1)
    geometry = geometry_of_tests(problem, draws, tilt, features)
    return {
        "test_mean": np.sqrt(n) * mean,
        "test_predictive_variance": np.asarray(np.maximum(variance, 0.0).mean()),
        **{f"test_{k}": v for k, v in geometry.items()},
    }


_UNIT = (
    "readout_variance",
    "order_parameter",
    "signal_variance",
    "readout_signal_covariance",
    "hidden_trace_shift",
    "free_energy",
)
_ENERGIES = ("mean_energy", "free_energy_temperature_derivative", "mean_energy_temperature_derivative")
_SPLIT = ("bias_sq", "predictive_variance", "mse", "accuracy", "centroid_distance_sq")


def _combine(
    problem: Problem, point: Points, replicates: list[dict[str, np.ndarray]]
) -> dict[str, np.ndarray]:
    """Averages over replicates and their standard errors; energies from the mean squared error (B.15)."""
    spectrum = problem.spectrum
    stacked = {k: np.stack([r[k] for r in replicates]) for k in replicates[0]}
    count = len(replicates)
    result: dict[str, np.ndarray] = {}

    def put(name: str, values: np.ndarray) -> None:
        result[name] = values.mean(axis=0)
        result[f"{name}_mcse"] = values.std(axis=0, ddof=1) / np.sqrt(count)

    for name in _UNIT:
        put(name, stacked[name])
    for split, y in (("train", spectrum.dataset.y_train), ("test", spectrum.dataset.y_test)):
        if f"{split}_mean" in stacked:
            means = stacked[f"{split}_mean"]
            stacked[f"{split}_bias_sq"] = _unbiased_bias_sq(means, y)
            stacked[f"{split}_mse"] = stacked[f"{split}_bias_sq"] + stacked[f"{split}_predictive_variance"]
            stacked[f"{split}_accuracy"] = (means * y > 0.0).mean(axis=1)
        else:
            for name in _SPLIT:
                stacked[f"{split}_{name}"] = np.full(count, np.nan)
            stacked[f"{split}_gyration_radius_sq"] = np.full((count, 2), np.nan)
    for name in (*_SPLIT, "gyration_radius_sq"):
        put(name, np.stack([stacked[f"train_{name}"], stacked[f"test_{name}"]], axis=1))
    t, n = float(point.temperature[0]), float(point.width[0])
    size = len(spectrum.dataset.y_train)
    squared_error = size * stacked["train_mse"]
    put("mean_energy", squared_error / (2.0 * n))
    put("free_energy_temperature_derivative", (size * t - squared_error) / (2.0 * n * t * t))
    put("mean_energy_temperature_derivative", _squared_error_slope(spectrum, stacked) / (2.0 * n))
    result["effective_sample_fraction"] = stacked["effective_sample_fraction"].min()
    result["closure_residual"] = stacked["closure_residual"].max()
    distance, error = result["centroid_distance_sq"][0], result["centroid_distance_sq_mcse"][0]
    precise = not error > LARGEST_ERROR * distance  # a class may be missing: then D is NaN, and no reason
    sound = result["effective_sample_fraction"] >= LEAST_EFFECTIVE_FRACTION
    result["converged"] = np.asarray(float(sound and precise))
    return result


def _squared_error_slope(spectrum: Spectrum, stacked: dict[str, np.ndarray]) -> np.ndarray:
    """d/dT of the sum of squared training errors, one value a replicate (B.16); see _unbiased_bias_sq."""
    residual, slope = spectrum.dataset.y_train - stacked["train_mean"], stacked["residual_slope"]
    count, size = residual.shape
    others = (residual.sum(axis=0) - residual) / (count - 1)
    slope_of_others = (slope.sum(axis=0) - slope) / (count - 1)
    bias = (slope * others + residual * slope_of_others).sum(axis=1)
    return bias + size * stacked["variance_slope"]


def _unbiased_bias_sq(means: np.ndarray, y: np.ndarray) -> np.ndarray:
    """One value a replicate whose mean is (y - mean f)^2 less the sampling variance of the mean predictor.

    Each replicate's residual is multiplied with the mean residual of the others.
    """
    residual = y - means
    others = (residual.sum(axis=0) - residual) / (len(means) - 1)
    return (residual * others).mean(axis=1)


def _failed() -> dict[str, np.ndarray]:
    """All NaN, not converged."""
    result: dict[str, np.ndarray] = {}
    for name in (*_UNIT, *_SPLIT, "gyration_radius_sq"):
        shape = {"gyration_radius_sq": (2, 2)}.get(name, (2,) if name in _SPLIT else ())
        result[name] = result[f"{name}_mcse"] = np.full(shape, np.nan)
    for name in _ENERGIES:
        result[name] = result[f"{name}_mcse"] = np.asarray(np.nan)
    result["effective_sample_fraction"] = np.asarray(np.nan)
    result["closure_residual"] = np.asarray(np.inf)
    result["converged"] = np.asarray(0.0)
    return result
