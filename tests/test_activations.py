"""Activations: registration, validation, and the closed forms against plain integration."""

from __future__ import annotations

import re
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate

from proplim.activations import ACTIVATIONS, get_activation, names, register_activation
from proplim.errors import InvalidInput

DOCS = Path(__file__).parents[1] / "docs" / "activations.md"
H = np.linspace(-4.0, 4.0, 83)


@pytest.fixture(autouse=True)
def _restore_registry():
    with ACTIVATIONS.temporary():
        yield


def _gaussian_average(function, variance: float) -> float:
    s = np.sqrt(variance)
    half = [
        integrate.quad(lambda z: function(s * z) * np.exp(-z * z / 2), *ends, epsabs=1e-13)[0]
        for ends in ((-12, 0), (0, 12))
    ]
    return sum(half) / np.sqrt(2 * np.pi)


@pytest.mark.parametrize("name", ["erf", "linear", "relu", "tanh"])
def test_numpy_and_jax_forms_agree(name):
    activation = get_activation(name)
    with jax.enable_x64(True):
        assert (
            np.abs(activation.function(H) - np.asarray(activation.jax_function(jnp.asarray(H)))).max() < 1e-15
        )
        automatic = jax.vmap(jax.grad(activation.jax_function))(jnp.asarray(H[H != 0.0]))
        assert np.abs(automatic - activation.jax_derivative(jnp.asarray(H[H != 0.0]))).max() < 1e-14
    assert activation.odd == bool(np.allclose(activation.function(-H), -activation.function(H)))


@pytest.mark.parametrize("name", ["erf", "linear", "relu", "tanh"])
@pytest.mark.parametrize("variance", [0.3, 1.0, 4.0])
def test_closed_averages(name, variance):
    activation = get_activation(name)
    c = np.array([variance])
    if activation.mean is not None:
        assert activation.mean(c)[0] == pytest.approx(
            _gaussian_average(activation.function, variance), abs=1e-12
        )
    if activation.mean_derivative is not None:
        slope = _gaussian_average(lambda h: activation.function(h) * h, variance) / variance
        assert activation.mean_derivative(c)[0] == pytest.approx(slope, rel=1e-10)
    if activation.kernel is not None:
        square = _gaussian_average(lambda h: activation.function(h) ** 2, variance)
        assert activation.kernel(c, c, c)[0] == pytest.approx(square, rel=1e-10)


def test_a_registered_activation_is_complete():
    activation = register_activation("softplus", lambda h: jnp.logaddexp(h, 0.0))
    assert "softplus" in names()
    assert get_activation("softplus") is activation
    assert not activation.odd
    assert np.abs(activation.function(H) - np.logaddexp(H, 0.0)).max() < 1e-15
    with jax.enable_x64(True):
        slope = activation.jax_derivative(jnp.asarray(H))
    assert np.abs(slope - 1.0 / (1.0 + np.exp(-H))).max() < 1e-14


def test_plain_arithmetic_and_oddness():
    assert register_activation("cubic", lambda h: h - 0.1 * h**3).odd
    assert not register_activation("square", lambda h: h * h).odd
    assert register_activation("given", lambda h: h**3, odd=True, derivative=lambda h: 3.0 * h**2).odd


def test_the_same_function_may_be_registered_again():
    first = register_activation("sine", jnp.sin)
    assert register_activation("sine", lambda h: jnp.sin(h)) is first
    with pytest.raises(InvalidInput, match="another activation"):
        register_activation("sine", jnp.cos)
    with pytest.raises(InvalidInput, match="another activation"):
        register_activation("erf", jnp.tanh)


@pytest.mark.parametrize(
    ("arguments", "key"),
    [
        ({"name": "a b"}, "name"),
        ({"name": "../x"}, "name"),
        ({"name": ""}, "name"),
        ({"function": 3.0}, "function"),
        ({"function": np.sin}, "function"),
        ({"function": lambda h: h if h > 0 else 0}, "function"),
        ({"function": lambda h: h.sum()}, "function"),
        ({"function": lambda h: jnp.log(h)}, "function"),
        ({"function": lambda h: h - h.mean()}, "function"),
        ({"odd": False}, "odd"),
        ({"function": jnp.cos, "odd": True}, "odd"),
        ({"derivative": jnp.sin}, "derivative"),
        ({"derivative": 1.0}, "derivative"),
        ({"kinks": [np.nan]}, "kinks"),
        ({"kinks": "zero"}, "kinks"),
    ],
)
def test_what_is_refused(arguments, key):
    before = names()
    with pytest.raises(InvalidInput) as error:
        register_activation(**({"name": "new", "function": jnp.sin} | arguments))
    assert error.value.key == key
    assert names() == before


def test_the_documented_example_runs():
    blocks = re.findall(r"```python[^\n]*\n(.*?)```", DOCS.read_text(), flags=re.DOTALL)
    assert blocks
    space: dict = {}
    for block in blocks:
        exec(compile(block, str(DOCS), "exec"), space)
    assert {"swish", "soft_sign"} <= set(names())
