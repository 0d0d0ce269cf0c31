"""Registering an activation of one's own in one line."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

import numpy as np

from proplim.activations._base import ACTIVATIONS, Activation, Array, add
from proplim.errors import InvalidInput

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,63}")
# Where a function is looked at: no two neighbours at the same distance, none at a likely kink such as 0 or 1.
_PROBE = 6.0 * np.sin(np.arange(1, 202) * 0.7390851332151607)


def register_activation(
    name: str,
    function: Callable[[Array], Array],
    *,
    odd: bool | None = None,
    derivative: Callable[[Array], Array] | None = None,
    kernel: Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray] | None = None,
    mean: Callable[[np.ndarray], np.ndarray] | None = None,
    mean_derivative: Callable[[np.ndarray], np.ndarray] | None = None,
    kinks: Iterable[float] = (0.0,),
) -> Activation:
    """Make sigma known under a name, for configurations and for every stage of the package.

    Parameters
    ----------
    name : str
        Letters, digits, ``_``, ``.`` and ``-``, starting with a letter.
    function : callable
        sigma(h), elementwise, written with ``jax.numpy`` or plain arithmetic.
    odd : bool, optional
        Whether sigma(-h) = -sigma(h). Found numerically when left out; checked when given.
    derivative : callable, optional
        sigma'(h), written likewise. By automatic differentiation when left out; checked against it if given.
    kernel, mean, mean_derivative : callable, optional
        Closed forms as in :class:`Activation`; numerical integrals (docs/activations.md) where left out.
    kinks : iterable of float
        Where sigma or sigma' jumps. Zero is always taken as one, at no cost.

    Returns
    -------
    Activation
        The registered activation. Registering the same function again under its name is allowed.

    Raises
    ------
    InvalidInput
        If the name is malformed or taken by another function, or sigma is not a finite elementwise function
        that JAX can trace, or `odd`, `derivative` or `kinks` contradict it.
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise InvalidInput("name", name, "letters, digits, '_', '.' and '-', starting with a letter")
    if not callable(function):
        raise InvalidInput("function", function, "a function of one array")
    if derivative is not None and not callable(derivative):
        raise InvalidInput("derivative", derivative, "a function of one array")
    jax_function = function
    jax_derivative = derivative or _automatic_derivative(function)
    numpy_function = _on_numpy(jax_function)

    value, slope = _probe("function", jax_function), _probe("derivative", jax_derivative)
    if derivative is not None:
        _compare_derivative(slope, _probe("function", _automatic_derivative(function)))
    activation = Activation(
        name=name,
        function=numpy_function,
        jax_function=jax_function,
        jax_derivative=jax_derivative,
        odd=_oddness(odd, value, _probe("function", lambda h: jax_function(-h))),
        kernel=kernel,
        mean=mean,
        mean_derivative=mean_derivative,
        kinks=_validated_kinks(kinks),
    )
    if name in ACTIVATIONS:
        known = ACTIVATIONS.get(name)
        if not (_same(known, activation, value, slope)):
            raise InvalidInput("name", name, "another activation has this name already; choose a new one")
        return known
    return add(activation)


def _automatic_derivative(function: Callable[[Array], Array]) -> Callable[[Array], Array]:
    def derivative(h: Array) -> Array:
        import jax
        import jax.numpy as jnp

        h = jnp.asarray(h)
        return jax.jvp(function, (h,), (jnp.ones_like(h),))[1]

    return derivative


def _on_numpy(function: Callable[[Array], Array]) -> Callable[[np.ndarray], np.ndarray]:
    """Evaluate a traceable function on NumPy arrays, in double precision and compiled."""
    compiled: list[Callable[[Array], Array]] = []

    def evaluate(h: np.ndarray) -> np.ndarray:
        from proplim._jax import configure_jax

        configure_jax()
        import jax

        if not compiled:
            compiled.append(jax.jit(function))
        return np.array(compiled[0](np.asarray(h, dtype=np.float64)), dtype=np.float64)

    return evaluate


def _probe(key: str, function: Callable[[Array], Array]) -> np.ndarray:
    """Values at the probe points, as a function of float64 arrays of two shapes, or a clear refusal."""
    called = getattr(function, "__name__", type(function).__name__)
    try:
        value = _on_numpy(function)(_PROBE)
        matrix = _on_numpy(function)(_PROBE.reshape(3, -1))
    except Exception as error:
        reason = str(error).strip().splitlines()[0][:160] if str(error).strip() else type(error).__name__
        raise InvalidInput(
            key,
            called,
            f"JAX must be able to trace it: use jax.numpy or plain arithmetic, no branches ({reason})",
        ) from error
    if value.shape != _PROBE.shape or not np.array_equal(matrix.ravel(), value):
        raise InvalidInput(
            key, called, f"elementwise, on arrays of any shape ({_PROBE.shape} gave {value.shape})"
        )
    if not np.isfinite(value).all():
        raise InvalidInput(key, called, f"finite, but not at h = {_PROBE[~np.isfinite(value)][0]:.3g}")
    return value


def _oddness(odd: bool | None, value: np.ndarray, mirrored: np.ndarray) -> bool:
    found = bool(np.abs(value + mirrored).max() <= 1e-12 * np.abs(value).max())
    if odd is not None and bool(odd) != found:
        raise InvalidInput("odd", odd, f"the function {'is' if found else 'is not'} odd; leave `odd` out")
    return found


def _compare_derivative(given: np.ndarray, automatic: np.ndarray) -> None:
    wrong = np.abs(given - automatic) > 1e-6 * (1.0 + np.abs(automatic))
    if wrong.any():
        i = int(np.argmax(wrong))
        raise InvalidInput(
            "derivative",
            f"{given[i]:.6g} at h = {_PROBE[i]:.3g}",
            f"the function's own derivative there is {automatic[i]:.6g}",
        )


def _validated_kinks(kinks: Iterable[float]) -> tuple[float, ...]:
    try:
        points = np.unique(np.array([0.0, *kinks], dtype=float))
    except (TypeError, ValueError) as error:
        raise InvalidInput("kinks", kinks, "a sequence of finite numbers") from error
    if not np.isfinite(points).all():
        raise InvalidInput("kinks", kinks, "a sequence of finite numbers")
    return tuple(points.tolist())


def _same(known: Activation, new: Activation, value: np.ndarray, slope: np.ndarray) -> bool:
    """Whether two activations agree on every probe point, in value, slope and kinks."""
    return (
        known.kinks == new.kinks
        and np.array_equal(_probe("function", known.jax_function), value)
        and np.array_equal(_probe("derivative", known.jax_derivative), slope)
    )
