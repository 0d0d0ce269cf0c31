"""What an approximation is: how it is solved, what it applies to, what it costs and how it is drawn."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from proplim._registry import Registry
from proplim.schema import Size

if TYPE_CHECKING:
    from proplim.activations import Activation
    from proplim.theory._blocks import Points
    from proplim.theory._spectrum import Spectrum

MODE_SUMS = (6e-6, 5.5e-8)
"""Seconds for the sums over modes of a grid point: a, b in a + b (P + number of test inputs)."""
MATRIX = (1.5e-3, 3e-7)
"""Seconds for a grid point of C outputs: a, b in a + b (P + number of test inputs) C^2."""


@dataclass(frozen=True)
class Look:
    """How an approximation appears in figures, legends and the explorer.

    Parameters
    ----------
    color : str
        Hexadecimal; left out: one chosen by the name.
    linestyle : str
        Of Matplotlib: "-", "--", "-." or ":"; left out: one chosen by the name.
    label : str
        In legends; left out: the name.
    """

    color: str = ""
    linestyle: str = ""
    label: str = ""


def mode_sum_seconds(size: Size) -> float:
    """Seconds for a grid point of a theory that sums over the P modes for training and test inputs."""
    fixed, per_input = MODE_SUMS
    return fixed + per_input * (size.n_train + size.n_test)


def matrix_seconds(size: Size) -> float:
    """Seconds for a grid point of C outputs, whose order parameter is a C x C matrix."""
    fixed, per_entry = MATRIX
    return fixed + per_entry * (size.n_train + size.n_test) * size.n_outputs**2


def no_seconds(size: Size) -> float:
    """Of a search for T* that costs nothing beside what a kernel costs anyway."""
    return 0.0


def _everywhere(activation: Activation, n_outputs: int = 1) -> str:
    return ""


def one_output(activation: Activation, n_outputs: int = 1) -> str:
    """`applies` of a theory that is known for one output alone, whatever the activation."""
    return "it knows one output, and three and more classes have one each" if n_outputs > 1 else ""


@dataclass(frozen=True)
class Approximation:
    """One theory of the posterior.

    Parameters
    ----------
    name : str
        Value of the `approximation` axis, and name in configurations and on the command line.
    title : str
        What it is, in a line, for help texts and reference pages.
    solve : callable
        ``solve(spectrum, points)`` for a :class:`~proplim.theory.Spectrum` and n :class:`~proplim.theory.Points`. It
        returns a :class:`~proplim.theory.Solution`; or a :class:`~proplim.observables.State` of the n points; or a
        mapping of variable names to (n, ...) arrays, `converged` (n,) among them. A point's numbers must not
        depend on the other points. Numerical failure of a point is `converged` 0; an exception ends the job.
        `reason`, n texts, may say why points fell short.
    order : int
        Place in menus and legends; those of one place go by name.
    applies : callable
        ``applies(activation, n_outputs=1)`` -> "" or the reason why not. Where it does not apply all is NaN.
    peaks : callable, optional
        ``peaks(spectrum, width, lambda1)`` for (n,) arrays -> what belongs to a whole curve in T: `peak_temperature`,
        `peak_height_over_prior` and `peak_height_over_low_temperature`, (n, 2) arrays with the last axis `split`, and
        `condensation_temperature`, (n, 1).
    evidence : mapping
        Name -> long name of what `solve` or `peaks` report beside the variables of the cubes; it is kept where a
        point did not converge. Standard errors (a variable's name with the suffix `_mcse`) need no entry.
    keeps_unconverged : bool
        Whether the numbers of a point that did not converge are kept, as the best that is known.
    point_seconds, peak_seconds : callable
        ``(size) -> float``: seconds on one core for a grid point, and for T* at one width and lambda1.
    look : Look
    """

    name: str
    title: str
    solve: Callable[[Spectrum, Points], Any]
    order: int = 1000
    applies: Callable[..., str] = _everywhere
    peaks: Callable[[Spectrum, np.ndarray, np.ndarray], Mapping[str, np.ndarray]] | None = None
    evidence: Mapping[str, str] = field(default_factory=dict)
    keeps_unconverged: bool = False
    point_seconds: Callable[[Size], float] = mode_sum_seconds
    peak_seconds: Callable[[Size], float] = no_seconds
    look: Look = field(default_factory=Look)

    @property
    def label(self) -> str:
        """Name in legends."""
        return self.look.label or self.name.replace("_", " ")


APPROXIMATIONS: Registry[Approximation] = Registry("approximation", "proplim.theory.approximations")


def register_approximation(approximation: Approximation) -> Approximation:
    """Make an approximation known to configurations, command line, cubes, figures and explorer.

    Parameters
    ----------
    approximation : Approximation

    Raises
    ------
    InvalidInput
        If the name is taken (docs/adding_approximation.md).
    """
    return APPROXIMATIONS.add(approximation)


add = APPROXIMATIONS.add
