"""What a user sets of the dynamics; every field is a key of the ``dynamics`` part of a configuration."""

from __future__ import annotations

import copyreg
from functools import cache
from typing import Annotated, Any, Literal, Self

import numpy as np
from pydantic import BeforeValidator, Field, create_model, field_validator, model_validator

from proplim.dynamics.optimizers import OPTIMIZERS, Optimizer
from proplim.errors import InvalidInput
from proplim.schema import PlainFloat, PlainInt, Settings

LearningRate = Annotated[float, Field(gt=0.0)] | Literal["auto"]


def _rate(value: Any) -> Any:
    number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
    if value != "auto" and not (number and 0 < value < np.inf):
        raise ValueError('a positive number or "auto"')
    return value if value == "auto" else float(value)


class _OfAllOptimizers(type(Settings)):  # type: ignore[misc]
    """Makes `DynamicsSettings` take the keys of all optimizers that are registered when it is called."""

    def __call__(cls, **values: Any) -> Any:
        model = dynamics_settings_type() if cls is DynamicsSettings else cls
        return super(_OfAllOptimizers, model).__call__(**values)


class DynamicsSettings(Settings, metaclass=_OfAllOptimizers):
    """Settings of :func:`proplim.dynamics.train`: those below, and the keys of every registered optimizer.

    Raises
    ------
    InvalidInput
        If a value is outside its range.
    """

    optimizers: tuple[str, ...] = Field(
        default=("gradient_flow",),
        min_length=1,
        description="ways from the prior to trained weights, the `optimizer` axis",
    )
    replicas: PlainInt = Field(
        default=4, ge=1, description="networks trained from independent draws of the prior"
    )
    t_min: PlainFloat = Field(
        default=1e-3, gt=0.0, description="first recorded time, in units of learning rate times step"
    )
    t_max: PlainFloat = Field(default=100.0, gt=0.0, description="last recorded time, larger than t_min")
    n_times: PlainInt = Field(default=41, ge=2, description="recorded times, spaced evenly in log t")
    learning_rate: Annotated[LearningRate, BeforeValidator(_rate)] = Field(
        default="auto",
        description="step of gradient_descent, sgd and langevin; auto takes a fixed fraction of the stability limit "
        "of each replica and halves it where the tangent kernel grows beyond that limit during the run",
    )
    stop_error: Annotated[PlainFloat, Field(ge=0.0)] = Field(
        default=0.0,
        description="training error (mean square) at which training stops, judged at the recorded times; from then on "
        "the network is left as it is; 0: never",
    )
    stragglers: bool = Field(
        default=False,
        description="whether a study keeps a file and a figure for every run in which rise and fall of D are "
        "attributed to single training inputs, see :func:`proplim.dynamics.stragglers`",
    )
    signal_temperature: PlainFloat = Field(
        default=1e-3,
        gt=0.0,
        description="temperature at which the signal direction u is taken, as dynamics has none of its own",
    )

    @field_validator("optimizers")
    @classmethod
    def _known_optimizers(cls, chosen: tuple[str, ...]) -> tuple[str, ...]:
        for name in chosen:
            OPTIMIZERS.get(name, "optimizers")
        if len(set(chosen)) != len(chosen):
            raise InvalidInput("optimizers", chosen, "one or more different names")
        return chosen

    @model_validator(mode="after")
    def _times_in_order(self) -> Self:
        if self.t_max <= self.t_min:
            raise InvalidInput("t_max", self.t_max, f"larger than t_min = {self.t_min:g}")
        return self

    @property
    def times(self) -> np.ndarray:
        """Recorded times, shape (n_times,): the ``time`` axis, the same for every grid point."""
        return np.geomspace(self.t_min, self.t_max, self.n_times)


def _restored(values: dict[str, Any]) -> DynamicsSettings:
    return DynamicsSettings(**values)


def dynamics_settings_type() -> type[DynamicsSettings]:
    """The model of all keys of the dynamics: the common ones and those of every registered optimizer.

    Raises
    ------
    InvalidInput
        If two optimizers ask for a key of the same name.
    """
    return _settings_type(tuple(OPTIMIZERS.members()))


@cache
def _settings_type(optimizers: tuple[type[Optimizer], ...]) -> type[DynamicsSettings]:
    owners = dict.fromkeys(DynamicsSettings.model_fields, "the dynamics")
    for optimizer in optimizers:
        for key in optimizer.settings_type.model_fields:
            if key in owners:
                raise InvalidInput(
                    key, optimizer.name, f"a name of its own: {owners[key]} has a key of this name"
                )
            owners[key] = optimizer.name
    names = [optimizer.name for optimizer in optimizers]
    chosen = Annotated[str, Field(json_schema_extra={"enum": names})]
    known = DynamicsSettings.model_fields["optimizers"]
    described = Field(
        default=known.default, min_length=1, description=f"{known.description}: any of {', '.join(names)}"
    )
    # Fields are listed from the last base to the first: the common ones come first.
    parts: dict[Any, None] = dict.fromkeys(optimizer.settings_type for optimizer in reversed(optimizers))
    model: type[DynamicsSettings] = create_model(
        "DynamicsSettings",
        __base__=(*parts, DynamicsSettings),
        __module__=__name__,
        __doc__=DynamicsSettings.__doc__,
        optimizers=(tuple[chosen, ...], described),
    )
    # The model has no name in this module by which another process could find it.
    copyreg.pickle(model, lambda settings: (_restored, (settings.model_dump(),)))
    return model
