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
from proplim.observables import ClassKernel, variables_of
from proplim.schema import SPLITS
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
from proplim.theory._cosine import CosineInputs
from proplim.theory._signal import signal_of_point
from proplim.theory._spectrum import Spectrum
from proplim.theory._states import observables_of

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
    dict of (n, ...) arrays
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
    result, count = _failed(problem.spectrum), number_of_draws(problem.spectrum.n_train)
    for draws in (count, GROWTH * count):
        if draws > count and draws * problem.spectrum.n_train > LARGEST_SAMPLE:
            break
        replicates: list[Replicate] = []
        while len(replicates) < REPLICATES:
            found = _solve_replicate(problem, point, signal, len(replicates), draws)
            if found is None:  # one that fails decides: no time is spent on the others
                break
            replicates.append(found)
        if len(replicates) == REPLICATES:
            result |= _combine(problem.spectrum, point, replicates)
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
) -> Replicate | None:
    """One fixed point on its own draws and what it says; None where none was found."""
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
    test = _test_inputs(problem, solution, rng) if spectrum.dataset.n_test else None
    return _replicate(problem, solution, signal, test)


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


class ReplicateInputs(NamedTuple):
    """What one fixed point says about m inputs: predictor (B.11, B.12) and feature kernel (B.9)."""

    mean: np.ndarray  # (m,)
    predictive_variance: float
    kernel: np.ndarray  # <s s^T>, (m, m)


class Replicate(NamedTuple):
    """What one fixed point says about its grid point: moments of a unit's weights (B.10), energies, evidence."""

    readout_variance: float
    signal_variance: float
    readout_signal_covariance: float
    hidden_trace_shift: float
    free_energy: float
    residual_slope: np.ndarray  # d(T a)/dT, (P,)
    variance_slope: float  # of the predictive variance on the training inputs
    effective_fraction: float
    closure_residual: float
    train: ReplicateInputs
    test: ReplicateInputs | None


def _replicate(
    problem: Problem, solution: Solution, signal: np.ndarray, test: ReplicateInputs | None
) -> Replicate:
    """Moments of a unit's weights and the free energy (B.10, B.13, B.14)."""
    draws, field, tilt = solution
    spectrum, n, t = problem.spectrum, field.width, field.temperature
    lambda0, w, count, control = spectrum.lambda0, tilt.weights, draws.central, draws.control()
    directed = bool(np.isfinite(signal).all())  # else B a = 0: the covariance vanishes along every direction
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
    response = temperature_response(tilt, field)
    trace = np.trace(tilt.inverse)
    variance_slope = 1.0 - (2.0 * t * trace - t * t * (tilt.inverse * response.sigma).sum()) / size
    return Replicate(
        readout_variance=float(w @ tilt.readout_sq / count),
        signal_variance=float((variance + max(1.0 - signal @ signal, 0.0)) / lambda0),
        readout_signal_covariance=float(covariance / np.sqrt(lambda0)) if directed else 0.0,
        hidden_trace_shift=_radial_response(problem, draws, field, tilt) / lambda0,
        free_energy=float(free_energy),
        residual_slope=field.a + t * response.a,
        variance_slope=float(variance_slope),
        effective_fraction=float(draws.central / np.sum(w**2)),
        closure_residual=tilt.residual,
        train=ReplicateInputs(
            y - t * field.a,
            max(float(t - t * t * trace / size), 0.0),
            kernel_of_training(problem, draws, tilt),
        ),
        test=test,
    )


def _radial_response(problem: Problem, draws: Draws, field: Field, tilt: Tilt) -> float:
    """<|z|^2> - r = <z . d ln weight/dz> (B.13): far less noise than the left side."""
    n, step = field.width, 1e-5
    h = draws.z @ problem.root.T
    sigma = problem.activation.function
    radial = (sigma(h * (1.0 + step)) - sigma(h * (1.0 - step))) / (2.0 * step)  # h sigma'(h)
    slope = tilt.readout[:, None] * (field.a / np.sqrt(n))
    slope = slope - tilt.readout_sq[:, None] * (tilt.features @ tilt.inverse_root) / n
    return float(tilt.weights @ (slope * radial).sum(axis=1)) / draws.central


def kernel_of_training(problem: Problem, draws: Draws, tilt: Tilt) -> np.ndarray:
    """<s s^T> on the training inputs (B.9)."""
    kernel = _proposal_kernel(problem, draws, problem.root, problem.root @ problem.root.T)
    return _posterior_kernel(draws, tilt, draws.features, kernel)


def kernel_of_tests(problem: Problem, draws: Draws, tilt: Tilt, features: np.ndarray) -> np.ndarray:
    """<s s^T> on the test inputs (B.9)."""
    kernel = _proposal_kernel(problem, draws, problem.test_root, problem.test_covariance)
    return _posterior_kernel(draws, tilt, features, kernel)


def features_of_tests(problem: Problem, draws: Draws, rng: np.random.Generator) -> np.ndarray:
    """sigma(h) of the test inputs on the draws; outside the row space w keeps its prior, (S, P_test)."""
    noise = rng.standard_normal((len(draws.z), problem.test_rest.shape[1]))
    return problem.activation.function(draws.z @ problem.test_root.T + noise @ problem.test_rest.T)


def _proposal_kernel(problem: Problem, draws: Draws, root: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    """E[sigma sigma'] of one input set under the proposal."""
    shifted = covariance + draws.excess * np.outer(root @ draws.direction, root @ draws.direction)
    variance = np.diag(shifted).copy()
    return feature_covariance(problem.activation, shifted, variance[:, None], variance[None, :])


def _posterior_kernel(draws: Draws, tilt: Tilt, features: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """<s s^T> with the kernel of the proposal as control variate."""
    variation = tilt.weights - draws.control()
    shift = (features * variation[:, None]).T @ features / draws.central
    return kernel + 0.5 * (shift + shift.T)


def _test_inputs(problem: Problem, solution: Solution, rng: np.random.Generator) -> ReplicateInputs:
    """Predictor (B.11, B.12) and feature kernel on the test inputs."""
    draws, field, tilt = solution
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
    return ReplicateInputs(
        np.sqrt(n) * mean,
        float(np.maximum(variance, 0.0).mean()),
        kernel_of_tests(problem, draws, tilt, features),
    )


class CavityInputs(CosineInputs):
    """One kind of inputs, a row for each replicate; a :class:`proplim.observables.StateInputs`."""

    def __init__(self, replicates: list[ReplicateInputs], targets: np.ndarray, weights: np.ndarray) -> None:
        self.targets, self._weights = targets, weights
        self.mean = np.stack([r.mean for r in replicates])
        self.predictive_variance = np.array([r.predictive_variance for r in replicates])
        self._kernels = [r.kernel for r in replicates]

    @property
    def class_weights(self) -> np.ndarray:
        """u_s, (C, m)."""
        return self._weights

    @property
    def bias_sq(self) -> np.ndarray:
        """(y - mean f)^2, averaged over inputs, less the sampling variance of the mean predictor, (replicates,).

        Each replicate's residual is multiplied with the mean residual of the others: only the average over
        replicates has a meaning.
        """
        residual = self.targets - self.mean
        others = (residual.sum(axis=0) - residual) / (len(residual) - 1)
        return (residual * others).mean(axis=1)

    def feature_form(self, vector: np.ndarray) -> np.ndarray:
        """a^T <s s^T> a, (replicates,)."""
        return np.array([vector @ kernel @ vector for kernel in self._kernels])

    def feature_spread(self, weights: np.ndarray) -> np.ndarray:
        """sum_mu u_mu <s_mu^2> - u^T <s s^T> u, (replicates,)."""
        diagonals = np.array([weights @ np.diag(kernel) for kernel in self._kernels])
        return diagonals - self.feature_form(weights)

    @property
    def feature_lengths_sq(self) -> np.ndarray:
        """<s^2> of every input, (replicates, m)."""
        return np.stack([np.diag(kernel) for kernel in self._kernels])

    def scaled_class_kernel(self, scale: np.ndarray) -> ClassKernel:
        """Class averages of <s s^T> of features times (replicates, m) factors."""
        rows = [self._weights * row for row in scale]
        pairs = list(zip(self._kernels, rows, strict=True))
        between = np.stack([own @ kernel @ own.T for kernel, own in pairs])
        lengths_sq = np.stack([own @ (np.diag(k) * row) for (k, own), row in zip(pairs, scale, strict=True)])
        return ClassKernel(between, lengths_sq - np.diagonal(between, axis1=1, axis2=2))


class CavityState:
    """One grid point, a row for each replicate; a :class:`proplim.observables.State`."""

    def __init__(self, spectrum: Spectrum, replicates: list[Replicate]) -> None:
        data = spectrum.dataset
        self.readout_variance = np.array([r.readout_variance for r in replicates])
        self.signal_variance = np.array([r.signal_variance for r in replicates])
        self.readout_signal_covariance = np.array([r.readout_signal_covariance for r in replicates])
        self.hidden_trace_shift = np.array([r.hidden_trace_shift for r in replicates])
        trained = [r.train for r in replicates]
        tested = [r.test for r in replicates if r.test is not None]
        self.train = CavityInputs(trained, data.y_train, spectrum.class_weights_train)
        self.test = CavityInputs(tested, data.y_test, spectrum.class_weights_test) if tested else None


def _combine(spectrum: Spectrum, point: Points, replicates: list[Replicate]) -> dict[str, np.ndarray]:
    """Averages over replicates and their standard errors; energies from the mean squared error (B.15)."""
    values = observables_of(CavityState(spectrum, replicates))
    t, n, l1 = (float(p[0]) for p in point)
    size = spectrum.n_train
    squared_error = size * values["mse"][:, 0]
    values["order_parameter"] = l1 * values["readout_variance"]
    values["free_energy"] = np.array([r.free_energy for r in replicates])
    values["mean_energy"] = squared_error / (2.0 * n)
    values["free_energy_temperature_derivative"] = (size * t - squared_error) / (2.0 * n * t * t)
    values["mean_energy_temperature_derivative"] = _squared_error_slope(spectrum, replicates) / (2.0 * n)
    result = {name: value.mean(axis=0) for name, value in values.items()}
    result |= {f"{name}_mcse": standard_error(value) for name, value in values.items()}
    result["effective_sample_fraction"] = np.asarray(min(r.effective_fraction for r in replicates))
    result["closure_residual"] = np.asarray(max(r.closure_residual for r in replicates))
    distance, error = result["centroid_distance_sq"][0], result["centroid_distance_sq_mcse"][0]
    precise = not error > LARGEST_ERROR * distance  # a class may be missing: then D is NaN, and no reason
    sound = result["effective_sample_fraction"] >= LEAST_EFFECTIVE_FRACTION
    finite = np.isfinite(result["free_energy_temperature_derivative"])  # T^2 does not underflow
    result["converged"] = np.asarray(float(sound and precise and finite))
    return result


def standard_error(values: np.ndarray) -> np.ndarray:
    """Of the mean over replicates, the first axis."""
    return values.std(axis=0, ddof=1) / np.sqrt(len(values))


def _squared_error_slope(spectrum: Spectrum, replicates: list[Replicate]) -> np.ndarray:
    """d/dT of the sum of squared training errors, one value a replicate (B.16).

    Products are of different replicates, as in :attr:`CavityInputs.bias_sq`.
    """
    residual = spectrum.dataset.y_train - np.stack([r.train.mean for r in replicates])
    slope = np.stack([r.residual_slope for r in replicates])
    count, size = residual.shape
    others = (residual.sum(axis=0) - residual) / (count - 1)
    slope_of_others = (slope.sum(axis=0) - slope) / (count - 1)
    bias = (slope * others + residual * slope_of_others).sum(axis=1)
    return bias + size * np.array([r.variance_slope for r in replicates])


OWN = (
    "order_parameter",
    "free_energy",
    "mean_energy",
    "free_energy_temperature_derivative",
    "mean_energy_temperature_derivative",
)
"""Variables beside those that follow from the state."""


def _failed(spectrum: Spectrum) -> dict[str, np.ndarray]:
    """All NaN, not converged."""
    sizes = {"split": len(SPLITS), "label": len(spectrum.class_weights_train)}
    result: dict[str, np.ndarray] = {}
    for variable in variables_of("theory"):
        if (variable.of_state() is not None or variable.name in OWN) and set(variable.dims) <= set(sizes):
            unknown = np.full(tuple(sizes[d] for d in variable.dims), np.nan)
            result |= {variable.name: unknown, f"{variable.name}_mcse": unknown}
    result["effective_sample_fraction"] = np.asarray(np.nan)
    result["closure_residual"] = np.asarray(np.inf)
    result["converged"] = np.asarray(0.0)
    return result
