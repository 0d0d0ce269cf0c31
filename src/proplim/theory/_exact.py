"""The linear network at finite width, exactly (docs/theory.md, section 7).

With s = |v|^2/N and Q = lambda1 s, the posterior of u = ln Q has the density exp(-N S(u)/2) up to a constant,
S being the effective action of the kernel K = C. Given s, predictor, weights and feature kernel are those of
the proportional theory at that Q. So every posterior mean is a one-dimensional integral over u.

The trapezoidal rule over the interval outside of which the density is below exp(-CUTOFF) of its maximum
converges exponentially for this analytic integrand. The number of nodes is raised until the rule and the same
rule on every second node agree.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.special import gammaln

from proplim.observables import ClassKernel
from proplim.theory._blocks import Points, elementwise, in_blocks, in_product_blocks
from proplim.theory._cosine import LabelledInputs
from proplim.theory._effective_action import OrderParameter, action_of_modes, solve_order_parameter
from proplim.theory._energies import energies
from proplim.theory._forms import Forms, InputForms, forms_of
from proplim.theory._peaks import maximise, separations
from proplim.theory._rescaled import RescaledInputs, RescaledState
from proplim.theory._response import Response
from proplim.theory._spectrum import Spectrum
from proplim.theory._states import Solution, States, Values

CUTOFF = 42.0
"""The density is cut where it has fallen by exp(-42), about 6e-19."""
NODES = (64, 256, 1024, 4096)
"""Numbers of nodes of the trapezoidal rule, tried in turn."""
NODES_AT_ONCE = 1024
TOLERANCE = 1e-7
"""Accepted difference to the rule with half the nodes; the error of the full rule is about its square."""
BISECTIONS = 10
"""Halvings of the interval in which an end of the support lies; it need not be known better."""


@dataclass(frozen=True)
class Quadrature:
    """Nodes in u of m grid points, k for each.

    Parameters
    ----------
    points : Points
        The m points.
    order_parameter : (m, k) array
        Q at the nodes.
    weights : (m, k) array
        Summing to one over the nodes.
    log_integral : (m,) array
        ln of the integral of exp(-N S/2) over u.
    error : (m,) array
        Largest difference to the rule on every second node, of mass, mean and variance of u.
    """

    points: Points
    order_parameter: np.ndarray
    weights: np.ndarray
    log_integral: np.ndarray
    error: np.ndarray

    @classmethod
    def of(
        cls,
        spectrum: Spectrum,
        points: Points,
        low: np.ndarray,
        high: np.ndarray,
        action: np.ndarray,
        lowest: np.ndarray,
        *,
        k: int,
    ) -> Quadrature:
        """The rule with k nodes from `low` to `high`; `action` is S at its minimum, `lowest` its part of the modes."""
        step = (high - low) / k
        u = low[:, None] + step[:, None] * np.arange(k)  # the right end, of weight exp(-CUTOFF), is left out
        q = np.exp(u)
        flat = Points(*(np.repeat(a, k) for a in points))
        excess = action_of_modes(spectrum, q.ravel(), flat).reshape(u.shape) - lowest[:, None]
        density = np.exp(-0.5 * points.width[:, None] * excess)
        total = density.sum(axis=1)
        weights = density / total[:, None]
        half_total = density[:, ::2].sum(axis=1)
        half = density[:, ::2] / half_total[:, None]
        deviation = u - (weights * u).sum(axis=1)[:, None]
        variance = (weights * deviation**2).sum(axis=1)
        error = np.abs(2.0 * half_total / total - 1.0)
        error = np.maximum(error, np.abs((half * deviation[:, ::2]).sum(axis=1)) / np.sqrt(variance))
        error = np.maximum(error, np.abs((half * deviation[:, ::2] ** 2).sum(axis=1) / variance - 1.0))
        log_integral = np.log(step * total) - 0.5 * points.width * action
        return cls(points, q, weights, log_integral, error)

    @property
    def nodes(self) -> Points:
        """Grid points of all m k nodes, one after the other."""
        return Points(*(np.repeat(a, self.weights.shape[1]) for a in self.points))

    def average(self, value: np.ndarray) -> np.ndarray:
        """Posterior mean of (m k, ...) values at the nodes, (m, ...)."""
        value = value.reshape(*self.weights.shape, *value.shape[1:])
        pairs = zip(self.weights, value, strict=True)
        return np.stack([np.einsum("k,k...->...", w, v) for w, v in pairs])


class AveragedModes:
    """The modes of the kernel at m grid points, averaged over Q.

    Attributes
    ----------
    response : Response
        <t> and <r>, (m, r).
    learned : (m, r) array
        <b>.
    """

    def __init__(self, spectrum: Spectrum, quadrature: Quadrature, response: Response) -> None:
        self.spectrum, self.quadrature = spectrum, quadrature
        self.response = Response(quadrature.average(response.t), quadrature.average(response.r))
        self.learned = self.response.learned(spectrum.labels, spectrum.eigenvalues)


class ExactState:
    """m grid points as averages over Q; a :class:`proplim.observables.State`.

    Parameters
    ----------
    spectrum : Spectrum
    forms : Forms
    quadrature : Quadrature
    saddle : (m,) array
        Q of the proportional theory, which defines the signal direction.
    """

    def __init__(self, spectrum: Spectrum, forms: Forms, quadrature: Quadrature, saddle: np.ndarray) -> None:
        self.spectrum, self.forms, self.quadrature, self._saddle = spectrum, forms, quadrature, saddle
        self.given = RescaledState(spectrum, forms, quadrature.nodes, quadrature.order_parameter.ravel())
        self.modes = AveragedModes(spectrum, quadrature, self.given.modes.response)
        self.train = ExactTrainingInputs(self.modes, forms.train, self.given.train)
        test = self.given.test
        self.test = None if forms.test is None or test is None else ExactInputs(self.modes, forms.test, test)

    @cached_property
    def readout_variance(self) -> np.ndarray:
        """<v^2>, (m,)."""
        return self.quadrature.average(self.given.readout_variance)

    @property
    def hidden_trace_shift(self) -> np.ndarray:
        """tr<w w^T> - N0/lambda0, (m,)."""
        return self.quadrature.average(self.given.hidden_trace_shift)

    @property
    def signal_variance(self) -> np.ndarray:
        """<(w.u)^2> of docs/theory.md, eq. 7.5, (m,): u does not move with Q; NaN where there is none."""
        along = np.repeat(self._direction, self.quadrature.weights.shape[1], axis=0)
        shift = (along * self.given.modes.learned).sum(-1) ** 2 / self.given.modes.g
        shift = shift - (self.given.modes.response.t * along**2).sum(-1)
        return 1.0 / self.spectrum.lambda0 + self.quadrature.average(shift) / self.quadrature.points.width

    @property
    def readout_signal_covariance(self) -> np.ndarray:
        """<v (w.u)> of docs/theory.md, eq. 7.5, (m,); zero along every direction where B a = 0."""
        covariance = (self._direction * self.modes.learned).sum(-1) / np.sqrt(self.quadrature.points.width)
        return np.where(np.isfinite(covariance), covariance, 0.0)

    @cached_property
    def _direction(self) -> np.ndarray:
        """R^T u for the signal direction u of the proportional theory, (m, r); NaN without a signal."""
        points = self.quadrature.points
        saddle = Response.of(self.spectrum.eigenvalues, self._saddle / (points.lambda1 * points.temperature))
        vector = self.forms.signal(saddle.learned(self.spectrum.labels, self.spectrum.eigenvalues))
        norm = np.sqrt((vector**2).sum(-1, keepdims=True))
        unit = np.where(norm > 0.0, vector / np.where(norm > 0.0, norm, 1.0), np.nan)
        return self.forms.signal_transposed(unit)


class ExactInputs(LabelledInputs):
    """Averages over Q of what the proportional theory says about one kind of inputs."""

    _forms: InputForms

    def __init__(self, modes: AveragedModes, forms: InputForms, given: RescaledInputs) -> None:
        self._modes, self._forms, self._given = modes, forms, given

    @cached_property
    def mean(self) -> np.ndarray:
        """Mean predictor, (m, inputs)."""
        return self._forms.mean(self._modes.learned)

    @cached_property
    def bias_sq(self) -> np.ndarray:
        """Squared bias of the mean predictor, (m,)."""
        return ((self.mean - self.targets) ** 2).mean(-1)

    @cached_property
    def predictive_variance(self) -> np.ndarray:
        """Var f = <Var(f|Q)> + Var <f|Q> (docs/theory.md, eq. 7.4), (m,).

        The second from the squared biases, in which the labels drop out.
        """
        average = self._modes.quadrature.average
        spread = np.maximum(average(self._given.bias_sq) - self.bias_sq, 0.0)
        return average(self._given.predictive_variance) + spread

    def feature_form(self, vector: np.ndarray) -> np.ndarray:
        """a^T K' a, (m,)."""
        return self._modes.quadrature.average(self._given.feature_form(vector))

    def feature_spread(self, weights: np.ndarray) -> np.ndarray:
        """sum_mu u_mu K'_mumu - u^T K' u, (m,)."""
        return self._modes.quadrature.average(self._given.feature_spread(weights))

    @property
    def feature_lengths_sq(self) -> np.ndarray:
        """K'(x, x), (m, inputs)."""
        return self._modes.quadrature.average(self._given.feature_lengths_sq)

    def scaled_class_kernel(self, scale: np.ndarray) -> ClassKernel:
        """Class averages of K' of features times (m, inputs) factors."""
        average = self._modes.quadrature.average
        nodes = self._modes.quadrature.weights.shape[1]
        given = self._given.scaled_class_kernel(np.repeat(scale, nodes, axis=0))
        return ClassKernel(average(given.between), average(given.spread))


class ExactTrainingInputs(ExactInputs):
    """On the training inputs y - f = U (r yt), free of cancellation."""

    @cached_property
    def bias_sq(self) -> np.ndarray:
        """Squared bias of the mean predictor, (m,)."""
        spectrum = self._modes.spectrum
        missed = ((self._modes.response.r * spectrum.labels) ** 2).sum(-1) + spectrum.null_label_energy
        return missed / spectrum.n_train


@dataclass(frozen=True)
class _Supports:
    """n grid points with the interval of u that a quadrature has to cover."""

    spectrum: Spectrum
    points: Points
    solution: OrderParameter
    low: np.ndarray
    high: np.ndarray
    lowest: np.ndarray

    @property
    def fields(self) -> tuple[np.ndarray, ...]:
        """All that :meth:`Quadrature.of` needs, as (n,) arrays."""
        return (*self.points, self.low, self.high, self.solution.action, self.lowest)

    def quadrature(self, fields: tuple[np.ndarray, ...], k: int) -> Quadrature:
        """k nodes for each point of a block."""
        return Quadrature.of(self.spectrum, Points(*fields[:3]), *fields[3:], k=k)

    def resolved(self) -> Iterator[tuple[int, np.ndarray]]:
        """Numbers of nodes, each with the points for which it is the smallest that is enough."""
        todo = np.nonzero(self.solution.converged)[0]
        for k in NODES:
            if not len(todo):
                return

            def error(*fields: np.ndarray, k: int = k) -> Values:
                return {"error": self.quadrature(fields, k).error}

            found = in_blocks(error, *(a[todo] for a in self.fields), block=at_once(k), tail=at_once(k))
            enough = found["error"] <= TOLERANCE
            if enough.any():
                yield k, todo[enough]
            todo = todo[~enough]


def at_once(k: int) -> int:
    """Points in a block where each has k nodes."""
    return max(NODES_AT_ONCE // k, 1)


def solve_exact(spectrum: Spectrum, points: Points) -> Solution:
    """Posterior means of the finite linear network.

    Parameters
    ----------
    spectrum : Spectrum
        Of the linear activation.
    points : Points

    Returns
    -------
    Solution
        `order_parameter` is lambda1 <v^2>, the posterior mean of Q; `free_energy` is eq. 7.3.
    """
    forms, supports = forms_of(spectrum), _supports(spectrum, points)
    saddle = supports.solution.order_parameter
    converged = np.zeros(points.size)
    states = []
    for k, which in supports.resolved():

        def state(*fields: np.ndarray, k: int = k) -> ExactState:
            return ExactState(spectrum, forms, supports.quadrature(fields[:-1], k), fields[-1])

        fields = tuple(a[which] for a in (*supports.fields, saddle))
        states.append(States(state, fields, points=which, block=at_once(k), report=_energies))
        converged[which] = 1.0
    values = {"converged": converged, "stationary_points": supports.solution.stationary_points}
    return Solution(values, tuple(states))


def _energies(state: ExactState) -> Values:
    """Order parameter, free energy and energies per unit (docs/theory.md, eq. 7.3 and below)."""
    quadrature = state.quadrature
    n, average = quadrature.points.width, quadrature.average
    at = energies(state.spectrum, quadrature.nodes, quadrature.order_parameter.ravel(), None)
    result = {name: average(value) for name, value in at.items()}
    log_prior = 0.5 * n * np.log(0.5 * n) - gammaln(0.5 * n)
    k = quadrature.weights.shape[1]
    deviation = at["mean_energy"] - np.repeat(result["mean_energy"], k)
    slope = at["free_energy_temperature_derivative"]
    slope = slope - np.repeat(result["free_energy_temperature_derivative"], k)
    result["mean_energy_temperature_derivative"] -= n * average(deviation * slope)
    result["order_parameter"] = quadrature.points.lambda1 * state.readout_variance
    result["free_energy"] = 0.5 - (log_prior + quadrature.log_integral) / n
    return result


def _supports(spectrum: Spectrum, points: Points) -> _Supports:
    """Intervals of u, from the outermost stationary points outwards."""
    solution = solve_order_parameter(spectrum, points)
    lowest = action_of_modes(spectrum, solution.order_parameter, points)
    low = _end_of_support(spectrum, points, lowest, solution.first, -1.0)
    high = _end_of_support(spectrum, points, lowest, solution.last, 1.0)
    return _Supports(spectrum, points, solution, low, high, lowest)


def _end_of_support(
    spectrum: Spectrum, points: Points, lowest: np.ndarray, stationary: np.ndarray, sign: float
) -> np.ndarray:
    """The u beyond which N (S - S_min)/2 > CUTOFF, left (sign -1) or right (sign 1) of a stationary Q.

    Outside of the outermost stationary points S is monotone, so doubling the reach and bisecting finds it.
    Every point takes the same number of bisections: its result may not depend on its neighbours.
    """

    def short(u: np.ndarray) -> np.ndarray:
        excess = action_of_modes(spectrum, elementwise(np.exp, u), points) - lowest
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


def exact_class_distance(spectrum: Spectrum, points: Points) -> np.ndarray:
    """D alone, (n, splits), without the products of the full solution; NaN where unconverged."""
    supports, splits = _supports(spectrum, points), separations(spectrum)
    result = np.full((points.size, len(splits)), np.nan)
    for k, which in supports.resolved():

        def block(*fields: np.ndarray, k: int = k) -> Values:
            quadrature = supports.quadrature(fields, k)
            q, nodes = quadrature.order_parameter.ravel(), quadrature.nodes
            g = q / nodes.lambda1
            t = Response.of(spectrum.eigenvalues, g / nodes.temperature).t
            columns = []
            for separation in splits:
                if separation is None:
                    columns.append(np.full(quadrature.points.size, np.nan))
                    continue
                shift = (t * separation.means).sum(-1) ** 2 / g - (t * separation.form.modes).sum(-1)
                shift = (quadrature.weights * shift.reshape(quadrature.weights.shape)).sum(axis=1)
                columns.append(separation.form.prior + shift / quadrature.points.width)
            return {"value": np.stack(columns, axis=-1)}

        fields = (a[which] for a in supports.fields)
        result[which] = in_product_blocks(block, *fields, block=at_once(k))["value"]
    return result


def find_exact_peaks(spectrum: Spectrum, width: np.ndarray, lambda1: np.ndarray) -> Values:
    """T* of the exact class distance (docs/theory.md, section 7); parameters and result as `find_peaks`."""
    return maximise(lambda points: exact_class_distance(spectrum, points), spectrum, width, lambda1)
