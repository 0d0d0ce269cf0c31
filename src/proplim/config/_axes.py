"""Axes of a grid: a list of values, or a rule that spaces them. The grid itself is made from the table of axes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Annotated, Any

import numpy as np
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    create_model,
    model_validator,
)

from proplim._registry import Registry, did_you_mean
from proplim.activations import ACTIVATIONS
from proplim.errors import InvalidInput
from proplim.schema import (
    AXES,
    POINT_AXES,
    SIGNIFICANT_DIGITS,
    SLICED,
    STRICT,
    Axis,
    alternatives_to,
    values_at,
)

DATA = "dataset"
"""The axis whose values are the names of `datasets`; all others are keys of `grid`."""

REGISTERED: dict[str, Registry] = {"activation": ACTIVATIONS}
"""Axes whose values are names of a table."""

MOST_SPACED = 1_000_000
_Bound = Annotated[float, Field(allow_inf_nan=False)]
_Length = Annotated[int, Field(ge=1, le=MOST_SPACED, strict=True)]


class _Spacing(BaseModel):
    model_config = STRICT


class LogSpace(_Spacing):
    """``{logspace: [lo, hi, n]}``: n values from lo to hi, equally spaced in the logarithm, ends included."""

    logspace: tuple[Annotated[_Bound, Field(gt=0)], Annotated[_Bound, Field(gt=0)], _Length]


class LinSpace(_Spacing):
    """``{linspace: [lo, hi, n]}``: n values from lo to hi, equally spaced, ends included."""

    linspace: tuple[_Bound, _Bound, _Length]


def expand(value: Any) -> Any:
    """Turn a spacing rule into its values; everything else is passed on to be validated as a list.

    A single number or string is a list of one.
    """
    if isinstance(value, dict):
        if set(value) == {"logspace"}:
            lo, hi, n = LogSpace.model_validate(value).logspace
            return _rounded(np.geomspace(lo, hi, n))
        if set(value) == {"linspace"}:
            lo, hi, n = LinSpace.model_validate(value).linspace
            return _rounded(np.linspace(lo, hi, n))
        raise ValueError("a list of values, {logspace: [lo, hi, n]} or {linspace: [lo, hi, n]}")
    if isinstance(value, int | float | str) and not isinstance(value, bool):
        return [value]
    if isinstance(value, list | tuple) and any(isinstance(item, bool) for item in value):
        raise ValueError("numbers, not true or false")
    return value


def _rounded(values: np.ndarray) -> list[float]:
    """Spaced values to as many digits as two values of an axis are compared by, so that 0.1 is the 0.1 of a list."""
    return [float(f"{v:.{SIGNIFICANT_DIGITS}g}") for v in values]


def _whole(value: Any) -> Any:
    """Spaced counts that come as 10.0 are whole numbers."""
    expanded = expand(value)
    if isinstance(expanded, list):
        return [int(v) if isinstance(v, float) and v.is_integer() else v for v in expanded]
    return expanded


def _distinct(axis: Axis) -> Callable[[list], list]:
    """Check that an axis has a value, and none twice by its own rule of equality."""

    def check(values: list) -> list:
        if not values:
            raise ValueError("at least one value")
        counts: dict[Any, int] = {}
        for value in values:
            counts[axis.key(value)] = counts.get(axis.key(value), 0) + 1
        twice = sorted(key for key, count in counts.items() if count > 1)
        if twice:
            raise ValueError(f"every value once; repeated: {', '.join(map(str, twice[:5]))}")
        return values

    return check


def _known(registry: Registry) -> Callable[[str], str]:
    def check(name: str) -> str:
        if name not in registry:
            names = registry.names()
            raise ValueError(f"choose from {', '.join(names)}{did_you_mean(name, names)}")
        return name

    return check


def axis_type(axis: Axis) -> Any:
    """Type of the values of an axis in a configuration."""
    value: Any
    if axis.kind == "real":
        value, before = Annotated[float, Field(gt=0, allow_inf_nan=False)], expand
    elif axis.kind == "count":
        value, before = Annotated[int, Field(ge=axis.minimum, le=axis.maximum)], _whole
    else:
        value, before = str, expand
    if axis.name in REGISTERED:
        value = Annotated[value, AfterValidator(_known(REGISTERED[axis.name]))]
    return Annotated[list[value], BeforeValidator(before), AfterValidator(_distinct(axis))]


def _needed(name: str) -> list[str]:
    """An axis of the point that has to be given, and those that may be given in its place."""
    return [name, *(axis.name for axis in alternatives_to(name))]


REPLACEABLE = tuple(name for name in POINT_AXES if alternatives_to(name))
"""Axes of the point in whose place another one may be given."""


class _WholeGrid(BaseModel):
    """Checks of a grid: of an axis and those in its place, one is given."""

    model_config = ConfigDict(
        **STRICT,
        json_schema_extra={
            "allOf": [{"oneOf": [{"required": [n]} for n in _needed(name)]} for name in REPLACEABLE]
        },
    )

    @model_validator(mode="after")
    def _one_of_each(self) -> _WholeGrid:
        for name in REPLACEABLE:
            given = [n for n in _needed(name) if getattr(self, n) is not None]
            if not given:
                raise InvalidInput(
                    name, None, f"this key is required, or one in its place: {_needed(name)[1]}"
                )
            if len(given) > 1:
                raise InvalidInput(given[1], getattr(self, given[1]), f"only one of {' and '.join(given)}")
        return self

    @model_validator(mode="after")
    def _replaced_values_are_possible(self) -> _WholeGrid:
        for axis in (a for name in REPLACEABLE for a in alternatives_to(name)):
            assert axis.replaces is not None
            if (values := getattr(self, axis.name)) is not None:
                for beside in getattr(self, axis.replaces.beside):
                    point = {axis.replaces.beside: beside}
                    for value in values_at({axis.name: values}, axis.replaces.axis, point):
                        AXES[axis.replaces.axis].check(value)
        return self


class _PartOfGrid(BaseModel):
    model_config = STRICT


KEYS = tuple(axis for axis in AXES if axis != DATA)
"""Axes that are keys of a grid."""


def _grid(
    base: type[BaseModel],
    name: str,
    doc: str,
    field: Callable[[Axis], tuple[Any, Any]],
    axes: Iterable[str] = KEYS,
) -> type[BaseModel]:
    fields: dict[str, Any] = {name: field(AXES[name]) for name in axes}
    return create_model(name, __base__=base, __doc__=doc, **fields)


def _asked(axis: Axis) -> tuple[Any, Any]:
    if axis.replaces is not None or axis.name in REPLACEABLE:
        return axis_type(axis) | None, Field(default=None, description=axis.description)
    default: Any = ... if axis.default is None else list(axis.default)
    return axis_type(axis), Field(default=default, description=axis.description)


def _replaced(axis: Axis) -> tuple[Any, Any]:
    return axis_type(axis) | None, None


Grid = _grid(
    _WholeGrid,
    "Grid",
    "Full product of the axes; every point is one network posterior on one data set.",
    _asked,
)
SubGrid = _grid(
    _PartOfGrid,
    "SubGrid",
    "Axes of a stage that differ from `grid`; axes left out are those of `grid`.",
    _replaced,
)
SlicesGrid = _grid(
    _PartOfGrid,
    "SlicesGrid",
    "Values of the grid that figures show; axes left out are thinned to a few.",
    _replaced,
    SLICED,
)
