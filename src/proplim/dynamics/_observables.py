"""What is recorded of a network at one time."""

from __future__ import annotations

from functools import cached_property
from typing import Any, NamedTuple

from proplim._jax import jit, jnp
from proplim.activations import Activation
from proplim.dynamics._network import Parameters, Problem, Split, Start
from proplim.dynamics._tangent_kernel import largest_eigenvalue, tangent_kernel
from proplim.geometry import contrast
from proplim.observables import Observable, variables_of

Array = Any


class InputsInTraining(NamedTuple):
    """One kind of inputs as the network sees them (:class:`proplim.observables.NetworkInputs`)."""

    y: Array
    """(m,) or (m, C)."""
    class_weights: Array
    """(C, m)."""
    preactivations: Array
    """h, (m, N)."""
    features: Array
    """sigma(h), (m, N)."""
    output: Array
    """f(x), (m,) or (m, C)."""


class NetworkInTraining:
    """One network at one time of its training (:class:`proplim.observables.Network`), in the frame of a problem."""

    def __init__(
        self, problem: Problem, start: Start, parameters: Parameters, activation: Activation
    ) -> None:
        self._problem, self._start = problem, start
        self._hidden, self.readout = parameters
        self._activation = activation

    @cached_property
    def train(self) -> InputsInTraining:
        """On the training inputs."""
        return self._inputs(self._problem.train, self._start.h_train)

    @cached_property
    def test(self) -> InputsInTraining:
        """On the test inputs, of which there may be none."""
        return self._inputs(self._problem.test, self._start.h_test)

    @cached_property
    def signal_weights(self) -> Array:
        """w.u of every unit, (N,) or (N, C)."""
        signal = self._problem.signal
        moved = signal @ self._hidden if signal.ndim == 1 else self._hidden.T @ signal
        return self._start.signal + moved

    @cached_property
    def hidden_trace_shift(self) -> Array:
        """Mean over units of |w|^2 = |w0|^2 + 2 w0 . dw + |dw|^2, minus its prior value."""
        hidden = self._hidden
        if self._problem.backward is None:
            moved = (hidden * (self._problem.train.forward @ hidden)).sum(0)
        else:
            moved = (hidden**2).sum(0)
        norm_sq = self._start.norm_sq + 2.0 * (self._start.overlap * hidden).sum(0) + moved
        return norm_sq.mean() - self._problem.prior_norm_sq

    @cached_property
    def tangent_kernel(self) -> Array:
        """Theta on the training inputs, (P, P) or (P C, P C)."""
        h = self.train.preactivations
        return tangent_kernel(self._problem.gram, h, self.readout, self._activation)

    @cached_property
    def tangent_kernel_max(self) -> Array:
        """Largest eigenvalue of Theta."""
        return largest_eigenvalue(self.tangent_kernel)

    def _inputs(self, split: Split, h_start: Array) -> InputsInTraining:
        h = h_start + split.forward @ self._hidden
        features = self._activation.jax_features(h)
        output = features @ self.readout / jnp.sqrt(self.readout.shape[0])
        return InputsInTraining(split.y, split.class_weights, h, features, output)


def observe(
    problem: Problem, start: Start, parameters: Parameters, activation: Activation
) -> dict[str, Array]:
    """Observables of one replica (docs/dynamics.md, section 3).

    Returns
    -------
    dict
        Every registered observable that is a function of a network, with its split and class axes, plus
        ``output_train`` (P,) and ``output_test`` (P_test,), of C outputs with a last axis of them, the network's
        function, from which the ensemble's variables are made. NaN on test inputs where there are none.
    """
    outputs = start.readout.shape[1] if start.readout.ndim == 2 else 1
    wanted = tuple(v for v in variables_of("dynamics", outputs) if v.of_network() is not None)
    return _observe(problem, start, parameters, activation, wanted)


@jit(static=("activation", "wanted"))
def _observe(
    problem: Problem,
    start: Start,
    parameters: Parameters,
    activation: Activation,
    wanted: tuple[Observable, ...],
) -> dict[str, Array]:
    network = NetworkInTraining(problem, start, parameters, activation)
    seen = {v.name: _value(v, network) for v in wanted}
    return seen | {"output_train": network.train.output, "output_test": network.test.output}


def _value(variable: Observable, network: NetworkInTraining) -> Array:
    function = variable.of_network()
    assert function is not None
    if "split" not in variable.dims:
        return function(network)
    train = function(network, network.train)
    has_test = network.test.y.shape[0] > 0
    test = function(network, network.test) if has_test else jnp.full_like(train, jnp.nan)
    return jnp.stack([train, test])


@jit(static=("activation",))
def observe_inputs(
    problem: Problem, start: Start, parameters: Parameters, activation: Activation
) -> dict[str, Array]:
    """What single training inputs do to D (docs/dynamics.md, section 5).

    Returns
    -------
    dict
        ``input_features`` (P, N), sigma(h); ``input_drive`` (P,), the part of dD/dt under gradient flow that
        comes from the gradient of an input's own loss: with s the sign of a class over its size, Delta the
        difference of the centroids and e the residual,

            (2 / N^(3/2)) e(x) sum_i v_i sigma'(h_i(x)) Delta_i sum_x' C(x, x') s(x') sigma'(h_i(x')).
    """
    network = NetworkInTraining(problem, start, parameters, activation)
    train, readout = network.train, network.readout
    slopes = activation.jax_derivative(train.preactivations)
    difference = contrast(train.class_weights)
    carried = problem.gram @ (difference[:, None] * slopes)
    force = (slopes * carried) @ (readout * (difference @ train.features))
    drive = 2.0 * readout.shape[0] ** -1.5 * (train.y - train.output) * force
    return {"input_features": train.features, "input_drive": drive}
