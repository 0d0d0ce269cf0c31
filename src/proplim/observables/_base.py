"""What an observable is: a name that means the same quantity in theory, sampling and dynamics."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from proplim._registry import Registry
from proplim.schema import STAGES

Array = Any
"""NumPy in theory, JAX in sampling and dynamics."""
ERROR = "_mcse"
"""Ending of the name of a variable's Monte-Carlo standard error."""


@dataclass(frozen=True)
class ManyOutputs:
    """What is different about an observable where a network has C outputs, one for each of three and more classes.

    Parameters
    ----------
    dims : tuple of str, optional
        Dimensions in place of those of one output: `pair` (of classes), `output`, `output2`.
    long_name, symbol : str
        In place of those of one output; left out: the same.
    from_state, from_network, from_draw : callable, optional
        Functions in place of those of one output; left out: the same.
    """

    dims: tuple[str, ...] | None = None
    long_name: str = ""
    symbol: str = ""
    from_state: Callable[..., Array] | None = None
    from_network: Callable[..., Array] | None = None
    from_draw: Callable[..., Array] | None = None


@dataclass(frozen=True)
class Observable:
    """One quantity of the cubes, and how each stage finds it.

    Parameters
    ----------
    name, long_name, units, symbol : str
        `symbol` is LaTeX for figures.
    dims : tuple of str
        Dimensions beside the grid and the stage's own (approximation, statistic, or optimizer, replica, time):
        of `split`, `label` (a class), and of C outputs `pair` (of classes), `output`, `output2`.
    from_state : callable, optional
        ``from_state(state)`` -> (n, ...) array for the n grid points of a theory's state
        (:class:`~proplim.observables.State`).
    from_network : callable, optional
        ``from_network(network)`` -> array for one network (:class:`~proplim.observables.Network`), traceable by JAX.
    from_draw : callable, optional
        The same for one draw of the hidden weights of the posterior (:class:`~proplim.observables.Draw`), where the
        average over the readout is known in closed form; `from_network` at an exact draw of the readout
        where left out.
    stages : tuple of str, optional
        Cubes that hold it. Left out: those for which a function above is given. A stage that is named without
        one reports the quantity itself: it is no average over single networks or no function of a state.
    without : tuple of str
        Dimensions of its cubes that it does not have (the temperature of a peak has no temperature axis, the
        time of an inversion no time axis).
    order : int
        Place in tables and menus; those of one place go by name.
    drawn : bool
        Whether it gets a figure where no figure is about it; evidence and diagnostics stand in the cubes alone.
    many : ManyOutputs, optional
        What is different about it for C outputs; left out: nothing, its functions read the contexts as they are for
        C outputs.
    of_many_alone : bool
        Whether cubes of one output do not have it.

    Notes
    -----
    Where `dims` starts with `split`, each function is called once for every kind of inputs, with these inputs as
    second argument: ``from_state(state, inputs)``, ``from_network(network, inputs)``. The result then has no axis
    for the split; it gets one from the stage, NaN where there are no test inputs.
    """

    name: str
    long_name: str
    symbol: str
    dims: tuple[str, ...] = ()
    units: str = "1"
    from_state: Callable[..., Array] | None = None
    from_network: Callable[..., Array] | None = None
    from_draw: Callable[..., Array] | None = None
    stages: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    order: int = 1000
    drawn: bool = True
    many: ManyOutputs | None = None
    of_many_alone: bool = False

    def __post_init__(self) -> None:
        if not self.stages:
            given = {
                "theory": self.from_state,
                "sampling": self.from_draw or self.from_network,
                "dynamics": self.from_network,
            }
            object.__setattr__(self, "stages", tuple(s for s in STAGES if given[s] is not None))

    def for_outputs(self, n_outputs: int) -> Observable:
        """The observable as it is for networks of that many outputs."""
        if n_outputs == 1 or self.many is None:
            return self
        own = {name: value for name, value in vars(self.many).items() if value not in (None, "")}
        return replace(self, many=None, **own)

    def of_network(self) -> Callable[..., Array] | None:
        """The function for a network in training; None where dynamics reports the quantity or lacks it."""
        return self.from_network if "dynamics" in self.stages else None

    def of_draw(self) -> Callable[..., Array] | None:
        """The function for a draw of the posterior; None where sampling reports the quantity or lacks it."""
        return (self.from_draw or self.from_network) if "sampling" in self.stages else None

    def of_state(self) -> Callable[..., Array] | None:
        """The function for a theory's state; None where theory reports the quantity or lacks it."""
        return self.from_state if "theory" in self.stages else None

    @property
    def attributes(self) -> dict[str, str]:
        """Attributes of the variable in a cube."""
        return {"long_name": self.long_name, "units": self.units}


OBSERVABLES: Registry[Observable] = Registry("observable", "proplim.observables")


def register_observable(observable: Observable) -> Observable:
    """Make an observable known to every stage, cube, figure and table (docs/adding_observable.md).

    Raises
    ------
    InvalidInput
        If the name is taken.
    """
    return OBSERVABLES.add(observable)


add = OBSERVABLES.add


def variables_of(stage: str, n_outputs: int = 1) -> list[Observable]:
    """Observables that the cube of `stage` holds, in the order of tables, as they are for that many outputs."""
    members = (v for v in OBSERVABLES.members() if stage in v.stages)
    return [v.for_outputs(n_outputs) for v in members if n_outputs > 1 or not v.of_many_alone]


def axes_left_out(name: str) -> tuple[str, ...]:
    """Axes of the grid that a variable of a cube, or the one whose standard error it is, does not have."""
    known = name if name in OBSERVABLES else name.removesuffix(ERROR)
    return OBSERVABLES.get(known).without if known in OBSERVABLES else ()


def variable(name: str) -> Observable:
    """The observable of that name.

    Raises
    ------
    InvalidInput
        If there is none.
    """
    return OBSERVABLES.get(name, "variable")
