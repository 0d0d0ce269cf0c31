"""What generated data have in common."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from proplim.datasets._draw import interleave, per_class
from proplim.datasets._settings import SourceSettings
from proplim.geometry import LABELS
from proplim.schema import PlainFloat, PlainInt


class SyntheticSettings(SourceSettings):
    """Keys of generated data."""

    n_features: Annotated[PlainInt, Field(ge=1, le=1_000_000)] = Field(description="number of features N0")
    noise: Annotated[PlainFloat, Field(ge=0)] = Field(
        default=0.0,
        description="standard deviation of the noise on the teacher's output before the sign is taken "
        "(gaussian: its labels are nothing but noise, the value changes nothing)",
    )


def balanced_labels(n: int) -> np.ndarray:
    """n labels, classes in turn."""
    return interleave([np.full(k, float(s)) for s, k in zip(LABELS, per_class(n), strict=True)])
