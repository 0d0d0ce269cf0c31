"""Gradient flow, gradient descent with an infinitesimal step, by an exponential integrator.

Gradient descent is stiff: the largest eigenvalue of the tangent kernel Theta bounds its step, the smallest ones make
the interesting times. In function space the flow is d(y - f)/dt = -Theta (y - f), and Theta changes slowly. Over a
step the linear part is therefore solved exactly, by one eigendecomposition of Theta, and what the network adds to it
to third order in the step (docs/dynamics.md, section 1).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np
from pydantic import Field

from proplim._jax import jax, jit, jnp
from proplim.activations import Activation
from proplim.dynamics._network import Parameters, Problem, Start, origin, pulled_back
from proplim.dynamics._tangent_kernel import slopes_of, tangent_kernel_of
from proplim.dynamics.optimizers._base import Optimizer, register_optimizer
from proplim.errors import NumericalFailure
from proplim.schema import PlainFloat, Settings, Size

if TYPE_CHECKING:
    from proplim.dynamics._settings import DynamicsSettings

Array = Any

MAX_STEPS = 20_000
"""Most steps of a trajectory, accepted or not; MNIST takes dozens."""
_ORDER = 3
"""The error of a step is of this order in its length: that of the second-order result it is compared with."""
_SAFETY, _SHRINK, _GROW = 0.9, 0.2, 5.0
"""The next step is this fraction of what the error estimate allows, and within these factors of the last one."""


class GradientFlowSettings(Settings):
    """Keys of gradient_flow."""

    flow_tolerance: PlainFloat = Field(
        default=1e-3,
        gt=0.0,
        le=0.01,
        description="error allowed in a step of gradient_flow: of the network's output, root mean square over the "
        "training inputs, in units of the labels; D is off by less than that",
    )


class Linearised(NamedTuple):
    """The network at the beginning of a step, and the eigendecomposition Theta = U diag(lambda) U^T there.

    With J the Jacobian of f in the parameters, Theta = J J^T, and theta moves by F = J^T (y - f).
    """

    here: Parameters
    features: Array
    """sigma(h), (P, N)."""
    slopes: Array
    """v sigma'(h), (P, N) or (P, C, N)."""
    residual: Array
    """y - f, (P,) or (P, C)."""
    eigenvalues: Array
    """lambda, (P,) or (P C,)."""
    vectors: Array
    """U, (P, P) or (P C, P C)."""

    def coordinates(self, values: Array) -> Array:
        """U^T e of values e in the shape of the residual."""
        return self.vectors.T @ values.reshape(-1)

    def values(self, coordinates: Array) -> Array:
        """e in the shape of the residual, from its coordinates U^T e."""
        return (self.vectors @ coordinates).reshape(self.residual.shape)


class Segment(NamedTuple):
    """The trajectory over one step: what the linear part leaves, as a polynomial s G_1 + s^2 G_2 in the time s.

    In the eigenbasis of Theta the residual decays at the rates lambda; J G_1 and J G_2 are driven in.
    """

    base: Linearised
    first: Parameters
    """G_1."""
    second: Parameters
    """G_2."""
    first_seen: Array
    """U^T J G_1, as the eigenvalues."""
    second_seen: Array
    """U^T J G_2, as the eigenvalues."""


@register_optimizer
@dataclass(frozen=True)
class GradientFlow(Optimizer):
    """d theta/dt = -dL/dtheta, by an exponential Runge-Kutta method of third order with a controlled error.

    The reference that gradient descent approaches at first order in its step. A step costs one eigendecomposition of
    the P x P tangent kernel (of C outputs P C x P C); recorded times within a step cost a product of a matrix and a
    vector.

    Notes
    -----
    The method is ETD3RK of Cox and Matthews (2002) with the linear part -J^T J frozen at the beginning of each step;
    its error is estimated by the difference from the second-order result of the first two stages.
    """

    settings: GradientFlowSettings = field(default_factory=GradientFlowSettings)

    name = "gradient_flow"
    title = "gradient flow"
    color = "#CC79A7"
    linestyle = "-"
    order = 10
    settings_type: ClassVar[type[Settings]] = GradientFlowSettings
    follows_flow = True

    def trajectory(
        self, problem: Problem, start: Start, times: np.ndarray, learning_rate: float, seed: int
    ) -> Iterator[Parameters]:
        """Yield the parameters at each of the increasing `times`.

        Steps go by the error alone, past recorded times and past the last of them, so that a trajectory does not
        depend on when it is observed.

        Raises
        ------
        NumericalFailure
            If a network is not finite, or no step is accurate enough, or more than `MAX_STEPS` were needed.
        """
        allowed = self.settings.flow_tolerance * float(np.sqrt(np.mean(np.square(problem.train.y))))
        base = _linearise(problem, start, origin(problem, start), self.activation)
        fastest = float(base.eigenvalues[-1])
        if not np.isfinite(fastest):
            raise NumericalFailure("the tangent kernel at the start is not finite")
        # Begin with the time in which the fastest mode decays; nothing moves where there is none.
        step = 1.0 / fastest if fastest > 0.0 else 2.0 * float(times[-1])
        time, seen = 0.0, 0
        for _ in range(MAX_STEPS):
            segment, size = _segment(problem, start, base, step, self.activation)
            error = float(size)
            factor = _SAFETY * (allowed / error) ** (1.0 / _ORDER) if error > 0.0 else _GROW
            if not error <= allowed:  # nor is NaN
                step *= max(_SHRINK, factor) if np.isfinite(error) else _SHRINK
                if time + step == time:
                    raise NumericalFailure(
                        f"no step of the gradient flow at t = {time:.3g} is accurate enough"
                    )
                continue
            while times[seen] <= time + step:
                yield _within(problem, segment, float(times[seen] - time))
                seen += 1
                if seen == len(times):
                    return
            base = _linearise(problem, start, _within(problem, segment, step), self.activation)
            time += step
            step *= min(_GROW, max(_SHRINK, factor))
        raise NumericalFailure(f"{MAX_STEPS} steps of the gradient flow came to t = {time:.3g} only")

    @classmethod
    def seconds(cls, size: Size, width: np.ndarray, settings: DynamicsSettings) -> np.ndarray:
        """Steps, more for a smaller tolerance, times eigenvectors of Theta and some products with P x P matrices."""
        tolerance = float(cls.own_settings(settings).flow_tolerance)
        steps = 30.0 * (1e-3 / tolerance) ** (1.0 / _ORDER)
        values = size.n_train * size.n_outputs
        return steps * (1e-3 + 1.3e-10 * values**3 + 4e-10 * values**2 * width)

    def effort(self, times: np.ndarray) -> np.ndarray:
        """About as much for every recorded time: steps grow with time, and recorded times are even in ln t."""
        return np.arange(1, len(times) + 1) / len(times)

    def automatic_step(self, problem: Problem, start: Start) -> float:
        """Zero: there are no steps that a user could choose."""
        return 0.0


@jit(static=("activation",))
def _linearise(problem: Problem, start: Start, here: Parameters, activation: Activation) -> Linearised:
    features, slopes, residual = _evaluate(problem, start, here, activation)
    kernel = tangent_kernel_of(problem.gram, features, slopes)
    eigenvalues, vectors = jnp.linalg.eigh(kernel, symmetrize_input=False)
    # Rounding makes the smallest ones negative.
    return Linearised(here, features, slopes, residual, jnp.maximum(eigenvalues, 0.0), vectors)


def _evaluate(
    problem: Problem, start: Start, here: Parameters, activation: Activation
) -> tuple[Array, Array, Array]:
    """sigma(h), v sigma'(h) and y - f on the training inputs."""
    h = start.h_train + problem.train.forward @ here.hidden
    features = activation.jax_features(h)
    output = features @ here.readout / jnp.sqrt(here.readout.shape[0])
    return features, slopes_of(activation.jax_derivative(h), here.readout), problem.train.y - output


@jit(static=("activation",))
def _segment(
    problem: Problem, start: Start, base: Linearised, step: float, activation: Activation
) -> tuple[Segment, Array]:
    """The trajectory over a step that is tried, and the estimate of its error in f, root mean square over inputs."""
    rates = base.eigenvalues
    residual = base.coordinates(base.residual)
    nothing = jax.tree.map(jnp.zeros_like, base.here)
    still = jnp.zeros_like(residual)

    # Half a step of the linear flow, and how the network then departs from it.
    linear = Segment(base, nothing, nothing, still, still)
    there = _within(problem, linear, 0.5 * step)
    half, half_seen = _departure(problem, start, base, there, _left(rates, residual, 0.5 * step), activation)

    # A whole step, driven by that departure at once: e' = -Theta e - 2 J G.
    twice = jax.tree.map(lambda g: 2.0 * g, half)
    whole_there = _driven(problem, base, twice, 2.0 * half_seen, step)
    left = _left(rates, residual, step) - 2.0 * step * _phi(1, step * rates) * half_seen
    whole, whole_seen = _departure(problem, start, base, whole_there, left, activation)

    # The parabola through the departures at 0 (none), step/2 and step.
    segment = Segment(
        base,
        jax.tree.map(lambda a, b: (4.0 * a - b) / step, half, whole),
        jax.tree.map(lambda a, b: 2.0 * (b - 2.0 * a) / step**2, half, whole),
        (4.0 * half_seen - whole_seen) / step,
        2.0 * (whole_seen - 2.0 * half_seen) / step**2,
    )
    # The second-order result takes the line through the first two instead.
    phi2, phi3 = _phi(2, step * rates), _phi(3, step * rates)
    difference = step * ((2.0 * phi2 - 8.0 * phi3) * half_seen + (4.0 * phi3 - phi2) * whole_seen)
    return segment, jnp.sqrt((difference**2).mean())


def _departure(
    problem: Problem,
    start: Start,
    base: Linearised,
    there: Parameters,
    linear_residual: Array,
    activation: Activation,
) -> tuple[Parameters, Array]:
    """G = F(theta) - J^T e at parameters where the linearised network has the residual e, and U^T J G.

    `linear_residual` is U^T e.
    """
    features, slopes, residual = _evaluate(problem, start, there, activation)
    moved = pulled_back(problem, features, slopes, residual)
    linear = pulled_back(problem, base.features, base.slopes, base.values(linear_residual))
    departure = jax.tree.map(lambda a, b: a - b, moved, linear)
    return departure, base.coordinates(_pushed_forward(problem, base, departure))


def _pushed_forward(problem: Problem, base: Linearised, change: Parameters) -> Array:
    """J applied to a change of the parameters: how f changes on the training inputs, as the residual."""
    moved = problem.train.forward @ change.hidden
    through_hidden = (base.slopes * (moved[:, None, :] if base.slopes.ndim == 3 else moved)).sum(-1)
    return (through_hidden + base.features @ change.readout) / jnp.sqrt(change.readout.shape[0])


def _left(rates: Array, residual: Array, time: Array) -> Array:
    """What the linear flow leaves of a residual, in the eigenbasis."""
    return jnp.exp(-time * rates) * residual


def _driven(problem: Problem, base: Linearised, drive: Parameters, seen: Array, time: Array) -> Parameters:
    """Parameters after the linear flow with a constant drive G, of which U^T J G is `seen`."""
    rates = base.eigenvalues
    pull = time * _phi(1, time * rates) * base.coordinates(base.residual)
    pull = pull - time**2 * _phi(2, time * rates) * seen
    moved = pulled_back(problem, base.features, base.slopes, base.values(pull))
    return jax.tree.map(lambda a, m, g: a + m + time * g, base.here, moved, drive)


@jit()
def _within(problem: Problem, segment: Segment, time: Array) -> Parameters:
    """Parameters at a time within a step.

    With L = -J^T J, theta(s) = theta + s phi_1(sL) F + s^2 phi_2(sL) G_1 + 2 s^3 phi_3(sL) G_2, and
    phi_k(sL) G = G/k! - s J^T phi_(k+1)(-s Theta) J G.
    """
    base = segment.base
    rates = time * base.eigenvalues
    pull = time * _phi(1, rates) * base.coordinates(base.residual)
    pull = pull - time**3 * _phi(3, rates) * segment.first_seen
    pull = pull - 2.0 * time**4 * _phi(4, rates) * segment.second_seen
    moved = pulled_back(problem, base.features, base.slopes, base.values(pull))
    return jax.tree.map(
        lambda a, m, g1, g2: a + m + time**2 / 2.0 * g1 + time**3 / 3.0 * g2,
        base.here,
        moved,
        segment.first,
        segment.second,
    )


_SERIES_BELOW, _SERIES_TERMS = 0.5, 14
"""phi_k(-x) is a power series for small x, where its recursion loses digits; the rest is then below 1e-16."""


def _phi(order: int, x: Array) -> Array:
    """phi_k(-x) for x >= 0: phi_0 = exp(-x) and phi_(k+1) = (1/k! - phi_k)/x."""
    small = x < _SERIES_BELOW
    divisor = jnp.where(small, 1.0, x)
    factorial, value = 1.0, jnp.exp(-x)
    for k in range(order):
        value = (1.0 / factorial - value) / divisor
        factorial *= k + 1
    series, term = 0.0, 1.0 / factorial
    for k in range(_SERIES_TERMS):
        series = series + term
        term = -term * x / (order + k + 1)
    return jnp.where(small, series, value)
