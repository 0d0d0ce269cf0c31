"""What generated data have in common."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
from pydantic import Field

from proplim.datasets._classes import task_labels
from proplim.datasets._draw import interleave, per_class
from proplim.datasets._settings import TaskSettings
from proplim.geometry import LABELS
from proplim.schema import PlainFloat, PlainInt


class SyntheticSettings(TaskSettings):
    """Keys of generated data."""

    n_features: Annotated[PlainInt, Field(ge=1, le=1_000_000)] = Field(description="number of features N0")
    n_classes: Annotated[PlainInt, Field(ge=2, le=1000)] = Field(
        default=len(LABELS), description="number of classes; three and more have one output each"
    )
    noise: Annotated[PlainFloat, Field(ge=0)] = Field(
        default=0.0,
        description="standard deviation of the noise on the teacher's output before the sign is taken "
        "(gaussian: its labels are nothing but noise, the value changes nothing)",
    )

    def idle_values(self) -> dict[str, Any]:
        """As :meth:`TaskSettings.idle_values`; two classes are no choice."""
        return super().idle_values() | {"n_classes": len(LABELS)}


def balanced_labels(n: int, n_classes: int = len(LABELS)) -> np.ndarray:
    """n labels as of :func:`~proplim.datasets._classes.task_labels`, classes in turn."""
    shares = zip(task_labels(n_classes), per_class(n, n_classes), strict=True)
    return interleave([np.full(k, float(s)) for s, k in shares])
