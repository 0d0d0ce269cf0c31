"""The cavity approximation: one hidden unit in the field of all the others (docs/cavity.md, part B).

The other units act on a unit through the residual a and the covariance Sigma of the network's output,

    weight(h) = (1 + b/lambda1)^(-1/2) exp(q^2 / (2 (lambda1 + b)))                                    (B.2)
    q = a.s/sqrt(N),   b = s^T Sigma^-1 s/N,   s = sigma(h),   h ~ N(0, C)
    y = T a + sqrt(N) <v s>,      Sigma = T + Omega,   Omega = <v^2 s s^T> - <v s><v s>^T              (B.4)

and a and Omega follow from the averages over the unit that they tilt. The averages are importance sums over
scrambled Sobol points, drawn from a Gaussian that is wider than the prior along the signal (B.6). Their
features are mapped linearly so that the first two moments under that Gaussian are the exact ones (B.7): the
Gaussian part of the theory then carries no sampling noise. The fixed point is reached by Anderson-accelerated
Newton steps down a ladder of temperatures that belongs to the point alone. All of it is done on independent
replicates of the draws, which give the Monte-Carlo errors.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from proplim.activations import Activation
from proplim.kernels import stein_coefficients
from proplim.seeds import derive_seed
from proplim.theory._blocks import Points
from proplim.theory._spectrum import Spectrum

REPLICATES = 4
DRAWS = 8192
"""Draws of a replicate: at least this many and at least 40 for every training input."""
LADDER = 2.0
"""Ratio of neighbouring temperatures on the way down to the point's own."""
STEPS, LADDER_STEPS = 80, 16
ANDERSON_DEPTH = 8
LONGEST_STEP = 4.0
"""Longest accelerated step in units of the plain one."""
TOLERANCE, LADDER_TOLERANCE = 1e-7, 1e-4
"""Closure residual, in units of the width of the modes of Sigma (B.5), at which the iteration stops."""
ACCEPTED_NOISE_FRACTION = 0.25
"""Accepted closure residual as a fraction of its own sampling noise sqrt(N/draws)."""
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
        largest. `converged` is 1 where in every replicate the residual of (B.4) is small against its noise
        and the weights have not degenerated, and D is known to a percent.
    """
    problem = _Problem(spectrum)
    results = [_solve_point(problem, Points(*(p[i : i + 1] for p in points))) for i in range(points.size)]
    return {name: np.stack([r[name] for r in results]) for name in results[0]}


@dataclass(frozen=True)
class _Problem:
    """What all points of a spectrum share: a root of C, test inputs split into row space and rest."""

    spectrum: Spectrum

    @property
    def activation(self) -> Activation:
        return self.spectrum.activation

    @cached_property
    def _row_space(self) -> tuple[np.ndarray, np.ndarray]:
        """Root L (P, r) of C = L L^T by falling eigenvalue, and a basis (N0, r) of the row space."""
        x, scale = self.spectrum.dataset.x_train, self._scale
        left, singular, right = np.linalg.svd(x, full_matrices=False)
        kept = singular > max(x.shape) * np.finfo(float).eps * singular[0]
        return left[:, kept] * (singular[kept] * scale), right[kept].T

    @property
    def _scale(self) -> float:
        """h = scale x . z for whitened hidden weights z = sqrt(lambda0) w."""
        return 1.0 / np.sqrt(self.spectrum.lambda0 * self.spectrum.dataset.n_features)

    @property
    def root(self) -> np.ndarray:
        return self._row_space[0]

    @property
    def basis(self) -> np.ndarray:
        return self._row_space[1]

    @cached_property
    def slopes(self) -> np.ndarray:
        """E[sigma'] of the training inputs, (P,)."""
        data = self.spectrum.dataset
        return stein_coefficients(self.activation, data.x_train, self.spectrum.lambda0) * (
            self.spectrum.lambda0 * np.sqrt(data.n_features)
        )

    @cached_property
    def test_root(self) -> np.ndarray:
        """Test preactivations per unit of z in the row space, (P_test, r)."""
        return self._scale * (self.spectrum.dataset.x_test @ self.basis)

    @cached_property
    def test_rest(self) -> np.ndarray:
        """Root of the covariance that test preactivations keep given the training ones, (P_test, r')."""
        x = self.spectrum.dataset.x_test
        rest = self._scale * (x - (x @ self.basis) @ self.basis.T)
        left, singular, _ = np.linalg.svd(rest, full_matrices=False)
        kept = singular > 1e-7 * max(np.abs(self.test_root).max(initial=0.0), 1e-300)
        return left[:, kept] * singular[kept]

    @cached_property
    def test_covariance(self) -> np.ndarray:
        """C among the test inputs, (P_test, P_test)."""
        x = self._scale * self.spectrum.dataset.x_test
        return x @ x.T


class _Draws(NamedTuple):
    """Draws of one unit from the proposal z ~ N(0, 1 + kappa n n^T)."""

    z: np.ndarray  # (S, r)
    features: np.ndarray  # (S, P), moments matched
    log_ratio: np.ndarray  # (S,) ln prior/proposal
    direction: np.ndarray  # n
    excess: float  # kappa


class _Field(NamedTuple):
    """State of the iteration: residual a, Omega, and the point."""

    a: np.ndarray
    omega: np.ndarray
    temperature: float
    width: float
    lambda1: float


class _Tilt(NamedTuple):
    """The unit's measure in a field, on the draws."""

    weights: np.ndarray  # (S,), mean one
    readout: np.ndarray  # <v|h>
    readout_sq: np.ndarray  # <v^2|h>
    q: np.ndarray
    log_norm: float  # ln E_prior[weight]
    inverse: np.ndarray  # Sigma^-1


def _kernel(activation: Activation, c12: np.ndarray, c11: np.ndarray, c22: np.ndarray) -> np.ndarray:
    if activation.kernel is not None:
        return np.asarray(activation.kernel(c12, c11, c22), dtype=float)
    from proplim.kernels._quadrature import gaussian_kernel

    return gaussian_kernel(activation, c12, c11, c22)


def _average(activation: Activation, c: np.ndarray, name: str) -> np.ndarray:
    """E[sigma] (`name` mean) or E[sigma'] (mean_derivative) at variances c."""
    closed = getattr(activation, name)
    if closed is not None:
        return np.asarray(closed(c), dtype=float)
    from proplim.kernels import _quadrature

    return getattr(_quadrature, f"gaussian_{name}")(activation, c)


def _solve_point(problem: _Problem, point: Points) -> dict[str, np.ndarray]:
    signal = _signal_coordinates(problem, point)
    replicates = [_solve_replicate(problem, point, signal, r) for r in range(REPLICATES)]
    complete = [r for r in replicates if r is not None]
    return _combine(problem, point, complete) if len(complete) == REPLICATES else _failed()


def _signal_coordinates(problem: _Problem, point: Points) -> np.ndarray:
    """u of the proportional theory in the coordinates z, shape (r,)."""
    from proplim.theory._effective_action import solve_order_parameter
    from proplim.theory._signal import unit_signal

    spectrum = problem.spectrum
    if spectrum.activation.odd:
        q = solve_order_parameter(spectrum, point).order_parameter[0]
        theta = q / (point.lambda1[0] * point.temperature[0])
        residual = spectrum.eigenvectors @ (spectrum.labels / (1.0 + theta * spectrum.eigenvalues))
    else:
        from proplim.theory._two_order_parameters import two_order_parameter_residual

        residual = two_order_parameter_residual(spectrum, point)[0]
    return problem.basis.T @ unit_signal(spectrum, residual)


def _solve_replicate(
    problem: _Problem, point: Points, signal: np.ndarray, replicate: int
) -> dict[str, np.ndarray] | None:
    """One fixed point on its own draws with all observables; None where the iteration ran away."""
    spectrum = problem.spectrum
    t, n, l1 = (float(p[0]) for p in point)
    seed = derive_seed(
        "cavity",
        {
            "dataset": spectrum.dataset.identity, "activation": spectrum.activation.name, "width": n,
            "temperature": t, "lambda0": spectrum.lambda0, "lambda1": l1, "replicate": replicate,
        },
    )  # fmt: skip
    rng = np.random.default_rng(seed)
    normals = _sobol_normals(_number_of_draws(spectrum.n_train), problem.root.shape[1], rng)
    ladder = _temperature_ladder(spectrum, t, l1)
    y, omega = spectrum.dataset.y_train, spectrum.kernel / l1
    direction, spread = problem.root.T @ (problem.slopes * y), 0.3
    effective_labels = y
    for rung in ladder:
        last = rung == ladder[-1]
        # Sigma a, which is y for Gaussian features, changes little from rung to rung
        a = np.linalg.solve(omega + rung * np.eye(len(y)), effective_labels)
        draws = _draw(problem, normals, direction, 0.3 + 1.5 * max(spread, 0.3))
        field, tilt, residual = _fixed_point(draws, y, _Field(a, omega, rung, n, l1), last=last)
        if not np.isfinite(residual):
            return None
        omega, effective_labels = field.omega, field.omega @ field.a + rung * field.a
        direction = (tilt.weights * tilt.readout) @ draws.z
        unit = direction / max(np.linalg.norm(direction), 1e-300)
        spread = min(float((tilt.weights * (draws.z @ unit) ** 2).mean()) - 1.0, 10.0)
    result = _unit_observables(problem, draws, field, tilt, signal)
    result |= _train_observables(problem, draws, field, tilt)
    if spectrum.dataset.n_test:
        result |= _test_observables(problem, draws, field, tilt, rng)
    effective = 1.0 / np.mean(tilt.weights**2)
    noise = np.sqrt(n / len(tilt.weights))
    result["effective_sample_fraction"] = np.asarray(effective)
    result["closure_residual"] = np.asarray(residual)
    result["converged"] = np.asarray(
        float(residual <= ACCEPTED_NOISE_FRACTION * noise and effective >= LEAST_EFFECTIVE_FRACTION)
    )
    return result


def _number_of_draws(n_train: int) -> int:
    return 1 << int(np.ceil(np.log2(max(DRAWS, 40 * n_train))))


def _temperature_ladder(spectrum: Spectrum, temperature: float, lambda1: float) -> list[float]:
    """Temperatures from one at which the field is weak down to the point's own: the point alone decides."""
    y = spectrum.dataset.y_train
    weak = max(float(np.trace(spectrum.kernel)) / (len(y) * lambda1), float(y @ y) / len(y))
    rungs = [temperature]
    while rungs[-1] < weak:
        rungs.append(rungs[-1] * LADDER)
    return rungs[::-1]


def _sobol_normals(n_draws: int, dimension: int, rng: np.random.Generator) -> np.ndarray:
    """Standard normals (n_draws, dimension): scrambled Sobol points, iid beyond their dimensions."""
    from scipy.special import ndtri
    from scipy.stats import qmc

    n_sobol = min(dimension, qmc.Sobol.MAXDIM)
    uniform = qmc.Sobol(n_sobol, rng=rng).random(n_draws)
    normals = ndtri(np.clip(uniform, 2.0**-33, 1.0 - 2.0**-33))
    if dimension > n_sobol:
        normals = np.concatenate([normals, rng.standard_normal((n_draws, dimension - n_sobol))], axis=1)
    return normals


def _draw(problem: _Problem, normals: np.ndarray, direction: np.ndarray, excess: float) -> _Draws:
    """Draws from N(0, 1 + kappa n n^T), the best Sobol coordinate along n, features matched (B.6, B.7)."""
    norm = np.linalg.norm(direction)
    n = direction / norm if norm > 0 else np.eye(len(direction))[0]
    mirror = n.copy()
    mirror[0] -= 1.0  # the Householder reflection that takes the first coordinate axis to n
    square = mirror @ mirror
    z = normals if square < 1e-24 else normals - np.outer(normals @ mirror, mirror) * (2.0 / square)
    z = z + np.outer((np.sqrt(1.0 + excess) - 1.0) * normals[:, 0], n)
    along = z @ n
    log_ratio = -0.5 * along**2 * excess / (1.0 + excess) + 0.5 * np.log1p(excess)
    features = problem.activation.function(z @ problem.root.T)
    return _Draws(z, _matched(problem, features, n, excess), log_ratio, n, excess)


def _proposal_covariance(
    root1: np.ndarray, root2: np.ndarray, draws_n: np.ndarray, excess: float
) -> np.ndarray:
    return root1 @ root2.T + excess * np.outer(root1 @ draws_n, root2 @ draws_n)


def _matched(problem: _Problem, features: np.ndarray, n: np.ndarray, excess: float) -> np.ndarray:
    """Map features linearly so that sample mean and covariance are the exact ones of the proposal (B.7)."""
    covariance = _proposal_covariance(problem.root, problem.root, n, excess)
    variance = np.diag(covariance).copy()
    kernel = _kernel(problem.activation, covariance, variance[:, None], variance[None, :])
    mean = _average(problem.activation, variance, "mean") if not problem.activation.odd else 0.0 * variance
    centred = features - features.mean(axis=0)
    sample = centred.T @ centred / len(features)
    # the pseudo-square-roots keep the null space of duplicated inputs where it is
    return centred @ _power(sample, -0.5) @ _power(kernel - np.outer(mean, mean), 0.5) + mean


def _power(matrix: np.ndarray, exponent: float) -> np.ndarray:
    values, vectors = np.linalg.eigh(0.5 * (matrix + matrix.T))
    kept = values > 1e-13 * values[-1]
    powers = np.zeros_like(values)
    powers[kept] = values[kept] ** exponent
    return (vectors * powers) @ vectors.T


def _tilt(draws: _Draws, field: _Field) -> _Tilt:
    """Weights (B.2) and conditional moments of v (B.3) of every draw."""
    s, n, l1 = draws.features, field.width, field.lambda1
    inverse = np.linalg.inv(field.omega + field.temperature * np.eye(len(field.a)))
    q = s @ field.a / np.sqrt(n)
    precision = l1 + np.maximum(np.einsum("ij,ij->i", s @ inverse, s), 0.0) / n
    readout = q / precision
    log_weight = draws.log_ratio - 0.5 * np.log(precision / l1) + 0.5 * q * readout
    top = log_weight.max()
    weights = np.exp(log_weight - top)
    mean = weights.mean()
    return _Tilt(weights / mean, readout, 1.0 / precision + readout**2, q, float(top + np.log(mean)), inverse)


def _moments(draws: _Draws, tilt: _Tilt) -> tuple[np.ndarray, np.ndarray]:
    """<v s> and Omega of eq. (B.4)."""
    s = draws.features
    mean = (tilt.weights * tilt.readout) @ s / len(s)
    second = (s * (tilt.weights * tilt.readout_sq)[:, None]).T @ s / len(s)
    return mean, 0.5 * (second + second.T) - np.outer(mean, mean)


def _fixed_point(draws: _Draws, y: np.ndarray, field: _Field, *, last: bool) -> tuple[_Field, _Tilt, float]:
    """Solve (B.4) on fixed draws by Anderson steps from the best state, shorter after a failure.

    Every evaluation stays in the memory of the acceleration, also those that made the residual worse.
    """
    memory: list[tuple[np.ndarray, np.ndarray]] = []
    best: tuple[_Field, _Tilt, float] | None = None
    base: tuple[np.ndarray, np.ndarray] | None = None
    gain, longest = None, LONGEST_STEP
    for _ in range(STEPS if last else LADDER_STEPS):
        try:
            tilt = _tilt(draws, field)
            mean, omega = _moments(draws, tilt)
            missing = y - field.temperature * field.a - np.sqrt(field.width) * mean
            change = omega - field.omega
            newton = np.linalg.solve(omega + field.temperature * np.eye(len(y)), missing)
        except np.linalg.LinAlgError:
            break
        gain = _gain(field, tilt) if gain is None else gain
        state = (
            np.concatenate([field.a, field.omega.ravel()]),
            gain * np.concatenate([newton, change.ravel()]),
        )
        whitened = tilt.inverse @ change
        residual = np.sqrt(
            (max(missing @ tilt.inverse @ missing, 0.0) + np.einsum("ij,ji->", whitened, whitened)) / len(y)
        )
        if not np.isfinite(residual):
            break
        if best is None or residual < best[2]:
            memory = [*memory, base] if base is not None else memory
            best, base, longest = (field, tilt, float(residual)), state, min(LONGEST_STEP, 2.0 * longest)
        else:
            memory, longest = [*memory, state], 0.5 * longest
        assert base is not None
        if best[2] < (TOLERANCE if last else LADDER_TOLERANCE):
            break
        memory = memory[-ANDERSON_DEPTH:]
        field = _accelerated(base, memory, best[0], longest)
    return best if best is not None else (field, tilt, np.inf)


def _gain(field: _Field, tilt: _Tilt) -> float:
    """Step 1/(1 - J) for J = -(3/2) tr(Sigma^-1 Omega)/N, about the response of <v^2> to Omega, eq. (B.5)."""
    loading = float(np.einsum("ij,ji->", tilt.inverse, field.omega)) / field.width
    return min(0.7, 1.0 / (1.0 + 1.5 * max(loading, 0.0)))


def _accelerated(
    base: tuple[np.ndarray, np.ndarray],
    memory: list[tuple[np.ndarray, np.ndarray]],
    field: _Field,
    longest: float,
) -> _Field:
    """Anderson's combination of a state with others seen; the plain step where Omega would be indefinite."""
    size = len(field.a)
    x, f = base
    weights = np.concatenate(
        [
            np.full(size, 1.0 / max(float(np.linalg.norm(field.a)), 1e-300)),
            np.full(size * size, 1.0 / max(float(np.linalg.norm(field.omega)), 1e-300)),
        ]
    )
    plain = float(np.linalg.norm(f * weights))
    new = x + min(1.0, longest) * f
    if memory:
        dx = np.array([m[0] for m in memory]) - x
        df = np.array([m[1] for m in memory]) - f
        scaled = df * weights
        gram = np.einsum("ik,jk->ij", scaled, scaled)
        gram[np.diag_indices(len(gram))] *= 1.0 + 1e-10
        gram[np.diag_indices(len(gram))] += 1e-300
        jump = f - np.linalg.lstsq(gram, scaled @ (f * weights), rcond=1e-12)[0] @ (dx + df)
        length = float(np.linalg.norm(jump * weights))
        mixed = x + jump * min(1.0, longest * plain / max(length, 1e-300))
        omega = mixed[size:].reshape(size, size)
        lowest = np.linalg.eigvalsh(0.5 * (omega + omega.T))[0] if np.isfinite(mixed).all() else -np.inf
        if lowest > -0.5 * field.temperature:
            new = mixed
    omega = new[size:].reshape(size, size)
    return field._replace(a=new[:size], omega=0.5 * (omega + omega.T))


def _unit_observables(
    problem: _Problem, draws: _Draws, field: _Field, tilt: _Tilt, signal: np.ndarray
) -> dict[str, np.ndarray]:
    """Moments of a unit's weights and the free energy (B.9, B.12, B.13)."""
    spectrum, n, t = problem.spectrum, field.width, field.temperature
    lambda0, w = spectrum.lambda0, tilt.weights
    readout_variance = (w * tilt.readout_sq).mean()
    along = draws.z @ signal
    # w and w <v|h>/q are nearly constant: only their variation is left to the sample (control variates)
    prior_sq = signal @ signal + draws.excess * (signal @ draws.direction) ** 2
    variance = prior_sq + ((w - 1.0) * along**2).mean()
    ratio = w * (tilt.readout_sq - tilt.readout**2)  # w/(lambda1 + b)
    level = ratio.mean()
    tilted = signal + draws.excess * (signal @ draws.direction) * draws.direction
    proposal_variance = ((problem.root @ draws.direction) ** 2 * draws.excess) + (problem.root**2).sum(axis=1)
    slopes = _average(problem.activation, proposal_variance, "mean_derivative")
    known = (field.a * slopes) @ (problem.root @ tilted) / np.sqrt(n)
    covariance = level * known + ((ratio - level) * tilt.q * along).mean()
    size = len(field.a)
    log_det = float(np.linalg.slogdet(field.omega + t * np.eye(size))[1])
    y = spectrum.dataset.y_train
    quadratic = field.a @ y - 0.5 * t * field.a @ field.a
    fluctuation = 0.5 * (log_det + t * np.trace(tilt.inverse) - size)
    free_energy = 0.5 - tilt.log_norm + (quadratic + fluctuation) / n
    return {
        "readout_variance": np.asarray(readout_variance),
        "order_parameter": np.asarray(readout_variance * field.lambda1),
        "signal_variance": np.asarray((variance + max(1.0 - signal @ signal, 0.0)) / lambda0),
        "readout_signal_covariance": np.asarray(covariance / np.sqrt(lambda0)),
        "hidden_trace_shift": np.asarray(_radial_response(problem, draws, field, tilt) / lambda0),
        "free_energy": np.asarray(free_energy),
    }


def _radial_response(problem: _Problem, draws: _Draws, field: _Field, tilt: _Tilt) -> float:
    """<|z|^2> - r = <z . d ln weight/dz> (B.12): far less noise than the left side."""
    n, step = field.width, 1e-5
    h = draws.z @ problem.root.T
    sigma = problem.activation.function
    radial = (sigma(h * (1.0 + step)) - sigma(h * (1.0 - step))) / (2.0 * step)  # h sigma'(h)
    slope = tilt.readout[:, None] * (field.a / np.sqrt(n))
    slope = slope - tilt.readout_sq[:, None] * (draws.features @ tilt.inverse) / n
    return float((tilt.weights * (slope * radial).sum(axis=1)).mean())


def _train_observables(problem: _Problem, draws: _Draws, field: _Field, tilt: _Tilt) -> dict[str, np.ndarray]:
    """Geometry and predictor on the training inputs (B.8, B.10)."""
    spectrum, t = problem.spectrum, field.temperature
    size = len(field.a)
    variance = t - t * t * np.trace(tilt.inverse) / size
    result = _geometry(
        draws.features,
        tilt.weights,
        spectrum.class_weights_train,
        _proposal_kernel(problem, draws, problem.root, problem.root @ problem.root.T),
    )
    return {
        "train_mean": spectrum.dataset.y_train - t * field.a,
        "train_predictive_variance": np.asarray(max(variance, 0.0)),
        **{f"train_{k}": v for k, v in result.items()},
    }


def _proposal_kernel(
    problem: _Problem, draws: _Draws, root: np.ndarray, covariance: np.ndarray
) -> np.ndarray:
    """E[sigma sigma'] of one input set under the proposal."""
    shifted = covariance + draws.excess * np.outer(root @ draws.direction, root @ draws.direction)
    variance = np.diag(shifted).copy()
    return _kernel(problem.activation, shifted, variance[:, None], variance[None, :])


def _geometry(
    features: np.ndarray, weights: np.ndarray, classes: np.ndarray, kernel: np.ndarray
) -> dict[str, np.ndarray]:
    """D and R_s^2 of <s s^T>, with the kernel of the proposal as control variate."""
    centroids = features @ classes.T
    variation = weights - 1.0
    difference = classes[1] - classes[0]
    distance = (
        difference @ kernel @ difference + (variation * (centroids[:, 1] - centroids[:, 0]) ** 2).mean()
    )
    spread = features**2 @ classes.T - centroids**2
    known = classes @ np.diag(kernel) - np.einsum("si,ij,sj->s", classes, kernel, classes)
    return {
        "centroid_distance_sq": np.asarray(distance),
        "gyration_radius_sq": known + (variation[:, None] * spread).mean(axis=0),
    }


def _test_observables(
    problem: _Problem, draws: _Draws, field: _Field, tilt: _Tilt, rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """Predictor (B.10, B.11) and geometry on the test inputs; outside the row space w keeps its prior."""
    spectrum, n = problem.spectrum, field.width
    noise = rng.standard_normal((len(draws.z), problem.test_rest.shape[1]))
    features = problem.activation.function(draws.z @ problem.test_root.T + noise @ problem.test_rest.T)
    w, s, size = tilt.weights, draws.features, len(draws.z)
    cross = _proposal_covariance(problem.test_root, problem.root, draws.direction, draws.excess)
    test_variance = (
        np.diag(problem.test_covariance) + draws.excess * (problem.test_root @ draws.direction) ** 2
    )
    train_variance = (problem.root**2).sum(axis=1) + draws.excess * (problem.root @ draws.direction) ** 2
    kernel = _kernel(problem.activation, cross, test_variance[:, None], train_variance[None, :])
    diagonal = _kernel(problem.activation, test_variance, test_variance, test_variance)

    ratio = w * (tilt.readout_sq - tilt.readout**2)
    level = ratio.mean()
    mean = (
        level * kernel @ field.a / np.sqrt(n) + ((ratio - level) * tilt.q) @ features / size
    )  # <v sigma(h(x))>
    second = w * tilt.readout_sq
    variation = second - second.mean()
    train_mean = (w * tilt.readout) @ s / size
    omega = second.mean() * kernel + (features * variation[:, None]).T @ s / size - np.outer(mean, train_mean)
    omega_diagonal = second.mean() * diagonal + variation @ features**2 / size - mean**2
    variance = omega_diagonal - np.einsum("ij,jk,ik->i", omega, tilt.inverse, omega, optimize=True)
    geometry = _geometry(
        features,
        w,
        spectrum.class_weights_test,
        _proposal_kernel(problem, draws, problem.test_root, problem.test_covariance),
    )
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
_SPLIT = ("bias_sq", "predictive_variance", "mse", "accuracy", "centroid_distance_sq")


def _combine(
    problem: _Problem, point: Points, replicates: list[dict[str, np.ndarray]]
) -> dict[str, np.ndarray]:
    """Averages over replicates and their standard errors; energies from the mean squared error (B.14)."""
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
    squared_error = size * result["mse"][0]
    result["mean_energy"] = squared_error / (2.0 * n)
    result["free_energy_temperature_derivative"] = (size * t - squared_error) / (2.0 * n * t * t)
    result["effective_sample_fraction"] = stacked["effective_sample_fraction"].min()
    result["closure_residual"] = stacked["closure_residual"].max()
    distance, error = result["centroid_distance_sq"][0], result["centroid_distance_sq_mcse"][0]
    precise = not error > LARGEST_ERROR * distance  # a class may be missing: then D is NaN, and no reason
    result["converged"] = stacked["converged"].min() * float(precise)
    return result


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
    for name in ("mean_energy", "free_energy_temperature_derivative", "effective_sample_fraction"):
        result[name] = np.asarray(np.nan)
    result["closure_residual"] = np.asarray(np.inf)
    result["converged"] = np.asarray(0.0)
    return result
