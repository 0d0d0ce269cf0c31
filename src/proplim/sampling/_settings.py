"""What a user may choose about posterior sampling; the same names are the keys of `sampling:` in a study."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from pydantic import AfterValidator, Field, ValidationInfo

from proplim.schema import PlainFloat, PlainInt, Settings


def _holds_the_first_check(value: int, info: ValidationInfo) -> int:
    least = info.data.get("min_draws", value)
    if value < least:
        raise ValueError(f"must be greater than or equal to min_draws = {least}")
    return value


class SamplingSettings(Settings):
    """Settings of the sampler; every one has a default that serves all temperatures.

    Raises
    ------
    InvalidInput
        If a value is outside its range.
    """

    chains: PlainInt = Field(default=4, ge=2, description="independent chains")
    target_ess: PlainFloat = Field(
        default=400.0,
        gt=0,
        description="bulk effective sample size, over all chains together, asked of every observable",
    )
    max_rhat: PlainFloat = Field(
        default=1.01, gt=1, description="largest rank-normalised split R-hat accepted, a number > 1"
    )
    warmup: PlainInt = Field(
        default=200,
        ge=20,
        description="trajectories per chain that cool it from the prior and adapt the step size; they are "
        "thrown away",
    )
    min_draws: PlainInt = Field(
        default=200,
        ge=20,
        description="draws per chain before convergence is looked at for the first time. It keeps the decision to "
        "stop from being taken on an ESS that is itself badly estimated",
    )
    max_draws: Annotated[PlainInt, AfterValidator(_holds_the_first_check)] = Field(
        default=20000,
        ge=20,
        description="budget: draws per chain after which a point that has not converged is given up and marked so. A "
        "count and not a time, so that results do not depend on the speed of the machine",
    )
    target_acceptance: PlainFloat = Field(
        default=0.7, ge=0.1, lt=1, description="acceptance rate that the step size is adapted to"
    )
    path_length: PlainFloat = Field(
        default=np.pi / 2,
        gt=0,
        lt=100,
        description="length of a trajectory in the time of the prior's oscillator; pi/2 turns position into momentum",
    )
    jitter: PlainFloat = Field(
        default=0.2,
        ge=0,
        lt=1,
        description="relative half-width of the uniform distribution of path lengths",
    )
    precision: Literal["auto", "float32", "float64"] = Field(
        default="auto",
        description="arithmetic of the gradients along a trajectory. Energies, acceptance and observables of the "
        "training set are float64 always, so this is a choice of speed: it moves the acceptance rate, not the "
        "posterior",
    )
    keep_draws: Annotated[bool, Field(strict=True)] = Field(
        default=True, description="whether the draws of every observable are kept"
    )
    histograms: Annotated[bool, Field(strict=True)] = Field(
        default=False,
        description="whether the draws also hold every unit's readout weight and hidden weight along the signal "
        "direction, for histograms beside the Gaussians of the theory (`unit_readout`, `unit_signal`)",
    )
    seed: PlainInt = Field(
        default=0, ge=0, description="seed of the sampler's own randomness, combined with what the point is"
    )
