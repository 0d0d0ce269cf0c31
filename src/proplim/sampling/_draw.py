"""One draw of the hidden weights as the observables see it, with the readout averaged in closed form.

Given w the readout is Gaussian (docs/theory.md, eq. 10.3): in the symbols of :mod:`proplim.sampling._target`

    E[v | w] = Phi^T a / (sqrt(N) lambda1),      cov[v | w] = (I - c Phi^T S^-1 Phi) / lambda1

so its averages have no sampling error of their own. Test preactivations get one draw of their part outside
the span of the training inputs, which the posterior leaves at its prior.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

from proplim.activations import Activation
from proplim.observables import Observable, variables_of
from proplim.sampling._random import Key, normal
from proplim.sampling._target import Factor, Problem, feature_gradient, solve_lower

Array = Any

STREAMS = 4
"""Random streams of a trajectory: momentum, scalars, test inputs, readout."""
TEST_INPUTS, READOUT = 2, 3
"""Which of them a draw takes."""
UNITS = {
    "unit_readout": "readout weight of a hidden unit, drawn exactly given the hidden weights",
    "unit_signal": "hidden weight of a unit along the signal direction",
}
"""What is recorded of every unit where asked for, with its long name."""


class Recorded(NamedTuple):
    """What is recorded of a draw; part of the compiled program.

    Parameters
    ----------
    observables : tuple of Observable
        Those that are functions of a draw.
    units : bool
        Whether every unit's readout weight and hidden weight along the signal are recorded too.
    """

    observables: tuple[Observable, ...]
    units: bool = False


def recorded(n_outputs: int = 1, units: bool = False) -> Recorded:
    """All observables of that many outputs that are functions of a draw, a user's own among them."""
    return Recorded(tuple(v for v in variables_of("sampling", n_outputs) if v.of_draw() is not None), units)


class DrawInputs(NamedTuple):
    """One kind of inputs of a draw (:class:`proplim.observables.DrawInputs`)."""

    y: Array
    class_weights: Array
    features: Array
    output: Array
    output_variance: Array


@dataclass(frozen=True)
class Draw:
    """A draw of the hidden weights (:class:`proplim.observables.Draw`).

    Parameters
    ----------
    problem, activation
        The grid point.
    hidden : (r, N) array
        Z.
    preactivation, features : (P, N) arrays
        A Z and Phi.
    factor : Factor
        Of S at Z.
    key, stream
        First random stream of the trajectory that ended here.
    """

    problem: Problem
    activation: Activation
    hidden: Array
    preactivation: Array
    features: Array
    factor: Factor
    key: Key
    stream: Array

    @property
    def _width(self) -> int:
        return int(self.features.shape[1])

    @property
    def _lambda1(self) -> Array:
        return 1.0 / (self.problem.readout_scale * self._width)

    @cached_property
    def _fixed(self) -> Array:
        """P - T tr S^-1, the number of directions of the readout that the data fix."""
        return self.problem.readout_scale * (self.factor.root**2).sum()

    @cached_property
    def train(self) -> DrawInputs:
        """On the training inputs; the mean of var[f | w] = T - T^2 (S^-1)_mumu."""
        problem, residual = self.problem, self.factor.residual
        return DrawInputs(
            problem.y_train,
            problem.weights_train,
            self.features,
            problem.y_train - problem.temperature * residual,
            problem.temperature * self._fixed / len(residual),
        )

    @cached_property
    def test(self) -> DrawInputs:
        """On the test inputs; products in float32, whose rounding is far below the spread between draws."""
        import jax.numpy as jnp

        problem, factor, single = self.problem, self.factor, jnp.float32
        preactivation = problem.inputs_test @ self.hidden.astype(single)
        if problem.outside_test.shape[1]:
            shape = problem.outside_test.shape[1], self._width
            rest = normal(self.key, shape, self.stream + jnp.uint32(TEST_INPUTS))
            preactivation = preactivation + problem.outside_test @ rest
        features = self.activation.jax_function(preactivation).astype(single)
        c = problem.readout_scale
        output = c * (features.astype(jnp.float64) @ self._pulled)
        if self.features.shape[0] <= self._width:
            explained = ((factor.root.astype(single) @ features.T) ** 2).sum(0)
            variance = c * ((features**2).sum(1) - c * explained)
        else:
            half = solve_lower(factor.cholesky.astype(single), features.T)
            variance = c * problem.temperature * (half**2).sum(0)
        weights = problem.weights_test.astype(single)
        return DrawInputs(problem.y_test, weights, features, output, variance.mean())

    @cached_property
    def _pulled(self) -> Array:
        """Phi^T a, (N,) or (N, C)."""
        residual = self.factor.residual
        return residual @ self.features if residual.ndim == 1 else self.features.T @ residual

    @cached_property
    def readout_mean(self) -> Array:
        """E[v | w], (N,) or (N, C)."""
        import jax.numpy as jnp

        return jnp.sqrt(self.problem.readout_scale / self._lambda1) * self._pulled

    @cached_property
    def readout_second_moment(self) -> Array:
        """Mean over units (and outputs) of E[v^2 | w]."""
        import jax.numpy as jnp

        mean = self.readout_mean
        if mean.ndim == 2:
            return jnp.trace(self.readout_second_moments) / mean.shape[1]
        return (mean @ mean + (self._width - self._fixed) / self._lambda1) / self._width

    @cached_property
    def readout_second_moments(self) -> Array:
        """Mean over units of E[v_c v_c' | w], (C, C); outputs are independent given w."""
        import jax.numpy as jnp

        mean = self.readout_mean
        own = (self._width - self._fixed) / self._lambda1 * jnp.eye(mean.shape[1])
        return (mean.T @ mean + own) / self._width

    @cached_property
    def readout(self) -> Array:
        """An exact draw of v given w, (N,) or (N, C).

        For P <= N by correcting a draw of the prior (Matheron's rule), v + c^(1/2) lambda1^(-1/2) Phi^T S^-1
        (y - f - sqrt(T) xi); for P > N from the factor of cov[v | w] = (T / lambda1) (T I + c Phi^T Phi)^-1.
        """
        import jax.numpy as jnp

        problem, factor, features = self.problem, self.factor, self.features
        count, width = features.shape
        temperature, lambda1 = problem.temperature, self._lambda1
        stream = self.stream + jnp.uint32(READOUT)
        if problem.y_train.ndim == 2:
            return self._readout_of_outputs(stream)
        random = normal(self.key, (width + count,), stream).astype(jnp.float64)
        if count > width:
            noise = solve_lower(factor.cholesky, random[:width, None], transpose=True)[:, 0]
            return self.readout_mean + jnp.sqrt(temperature / lambda1) * noise
        prior = random[:width] / jnp.sqrt(lambda1)
        target = problem.y_train - features @ prior / jnp.sqrt(width) - jnp.sqrt(temperature) * random[width:]
        half = solve_lower(factor.cholesky, target[:, None])
        scale = jnp.sqrt(problem.readout_scale / lambda1)
        return prior + scale * (solve_lower(factor.cholesky, half, transpose=True)[:, 0] @ features)

    def _readout_of_outputs(self, stream: Array) -> Array:
        """The same of C outputs, each with random numbers of its own."""
        import jax.numpy as jnp

        problem, factor, features = self.problem, self.factor, self.features
        count, width = features.shape
        outputs = problem.y_train.shape[1]
        temperature, lambda1 = problem.temperature, self._lambda1
        random = normal(self.key, (width + count, outputs), stream).astype(jnp.float64)
        if count > width:
            noise = solve_lower(factor.cholesky, random[:width], transpose=True)
            return self.readout_mean + jnp.sqrt(temperature / lambda1) * noise
        prior = random[:width] / jnp.sqrt(lambda1)
        target = problem.y_train - features @ prior / jnp.sqrt(width) - jnp.sqrt(temperature) * random[width:]
        solved = solve_lower(factor.cholesky, solve_lower(factor.cholesky, target), transpose=True)
        return prior + jnp.sqrt(problem.readout_scale / lambda1) * (features.T @ solved)

    @cached_property
    def signal_weights(self) -> Array:
        """w.u of every unit, (N,) or (N, C)."""
        signal = self.problem.signal
        return signal @ self.hidden if signal.ndim == 1 else self.hidden.T @ signal

    @cached_property
    def _work(self) -> Array:
        """Z . dl/dZ: it has the posterior mean of |Z|^2 - r N (integration by parts) and a far smaller variance."""
        slope = feature_gradient(self.features, self.factor, self.problem.readout_scale)
        return (self.preactivation * slope * self.activation.jax_derivative(self.preactivation)).sum()

    @property
    def hidden_trace_shift(self) -> Array:
        """What has the posterior mean of |w|^2 - N0/lambda0 per unit."""
        return self._work / (self._width * self.problem.lambda0)

    @property
    def equipartition_defect(self) -> Array:
        """|w|^2 - N0/lambda0 per unit minus `hidden_trace_shift`; its posterior mean is zero."""
        norm = (self.hidden * self.hidden).sum()
        return (norm - self.hidden.size - self._work) / (self._width * self.problem.lambda0)


def measure(draw: Draw, what: Recorded) -> dict[str, Array]:
    """Record of a draw: its observables in the shapes of the cube, and what the functionals are made of.

    Returns
    -------
    dict
        Observables by name; `equipartition_defect`; `predictor_train` (P,) and `predictor_test` (P_test,), E[f | w];
        with `units` also `unit_readout` and `unit_signal`, (N,). Of C outputs the last four have a last axis more.
    """
    import jax.numpy as jnp

    record = {observable.name: _observe(observable, draw) for observable in what.observables}
    record["equipartition_defect"] = draw.equipartition_defect
    record["predictor_train"], record["predictor_test"] = draw.train.output, draw.test.output
    if what.units:
        record |= dict(zip(UNITS, (draw.readout, draw.signal_weights), strict=True))
    return {name: jnp.asarray(value, jnp.float64) for name, value in record.items()}


def _observe(observable: Observable, draw: Draw) -> Array:
    import jax.numpy as jnp

    function = observable.of_draw()
    assert function is not None
    if observable.dims[:1] != ("split",):
        return function(draw)
    train = jnp.asarray(function(draw, draw.train), jnp.float64)
    if not len(draw.problem.y_test):
        return jnp.stack([train, jnp.full_like(train, jnp.nan)])
    return jnp.stack([train, jnp.asarray(function(draw, draw.test), jnp.float64)])
