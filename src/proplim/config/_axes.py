"""Axes of a grid: a list of values, or a rule that spaces them."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

SIGNIFICANT_DIGITS = 12
"""Spaced values are rounded to this many digits, so that 0.1 of a logspace is the 0.1 of a list."""


class _Spacing(BaseModel):
    model_config = ConfigDict(extra="forbid")


class LogSpace(_Spacing):
    """``{logspace: [lo, hi, n]}``: n values from lo to hi, equally spaced in the logarithm, ends included."""

    logspace: tuple[
        Annotated[float, Field(gt=0, allow_inf_nan=False)],
        Annotated[float, Field(gt=0, allow_inf_nan=False)],
        Annotated[int, Field(ge=1, le=1_000_000, strict=True)],
    ]


class LinSpace(_Spacing):
    """``{linspace: [lo, hi, n]}``: n values from lo to hi, equally spaced, ends included."""

    linspace: tuple[
        Annotated[float, Field(allow_inf_nan=False)],
        Annotated[float, Field(allow_inf_nan=False)],
        Annotated[int, Field(ge=1, le=1_000_000, strict=True)],
    ]


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
    return [float(f"{v:.{SIGNIFICANT_DIGITS}g}") for v in values]


def _whole(value: Any) -> Any:
    if isinstance(value, list):
        return [int(v) if isinstance(v, float) and v.is_integer() else v for v in value]
    return value


def _check(values: list) -> list:
    if not values:
        raise ValueError("at least one value")
    twice = sorted({v for v in values if values.count(v) > 1}) if len(values) <= 2000 else _repeated(values)
    if twice:
        raise ValueError(f"every value once; repeated: {', '.join(map(str, twice[:5]))}")
    return values


def _repeated(values: list) -> list:
    unique, counts = np.unique(np.asarray(values), return_counts=True)
    return unique[counts > 1].tolist()


class _Distinct:
    """Marks an axis: not empty, no value twice."""

    @staticmethod
    def __get_pydantic_core_schema__(source: Any, handler: Any) -> Any:
        from pydantic_core import core_schema

        return core_schema.no_info_after_validator_function(_check, handler(source))


_PositiveFloat = Annotated[float, Field(gt=0, allow_inf_nan=False)]
_TrainSize = Annotated[int, Field(ge=2, le=100_000)]
_Width = Annotated[int, Field(ge=1, le=10**9)]
_Seed = Annotated[int, Field(ge=0, le=2**63 - 1)]

FloatAxis = Annotated[list[_PositiveFloat], BeforeValidator(expand), _Distinct]
TrainSizeAxis = Annotated[list[_TrainSize], BeforeValidator(lambda v: _whole(expand(v))), _Distinct]
WidthAxis = Annotated[list[_Width], BeforeValidator(lambda v: _whole(expand(v))), _Distinct]
SeedAxis = Annotated[list[_Seed], BeforeValidator(lambda v: _whole(expand(v))), _Distinct]
NameAxis = Annotated[list[str], BeforeValidator(expand), _Distinct]


class Grid(BaseModel):
    """Full product of the axes; every point is one network posterior on one data set."""

    model_config = ConfigDict(extra="forbid")

    n_train: TrainSizeAxis = Field(description="training-set sizes P")
    width: WidthAxis = Field(description="widths N")
    temperature: FloatAxis = Field(description="temperatures T")
    lambda0: FloatAxis = Field(default=[1.0], description="prior precisions of the hidden weights")
    lambda1: FloatAxis = Field(default=[1.0], description="prior precisions of the readout weights")
    activation: NameAxis = Field(default=["erf"], description="registered activations")
    seed: SeedAxis = Field(default=[0], description="draws of the training set")

    @model_validator(mode="after")
    def _known_activations(self) -> Grid:
        _check_activations(self.activation)
        return self


class SubGrid(BaseModel):
    """Axes of a stage that differ from `grid`; axes left out are those of `grid`."""

    model_config = ConfigDict(extra="forbid")

    n_train: TrainSizeAxis | None = None
    width: WidthAxis | None = None
    temperature: FloatAxis | None = None
    lambda0: FloatAxis | None = None
    lambda1: FloatAxis | None = None
    activation: NameAxis | None = None
    seed: SeedAxis | None = None

    @model_validator(mode="after")
    def _known_activations(self) -> SubGrid:
        if self.activation is not None:
            _check_activations(self.activation)
        return self


def _check_activations(chosen: list[str]) -> None:
    from proplim.activations import names

    unknown = [name for name in chosen if name not in names()]
    if unknown:
        from proplim._registry import did_you_mean

        raise ValueError(
            f"activation: {unknown[0]!r} is not allowed; choose from {', '.join(names())}"
            + did_you_mean(unknown[0], names())
        )
