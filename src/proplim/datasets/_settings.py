"""What a user says of a data set, whatever its source: the keys of an entry of `datasets:`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import (
    AfterValidator,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from proplim.datasets._classes import check_task, n_classes_of
from proplim.errors import InvalidInput
from proplim.geometry import LABELS
from proplim.schema import PlainFloat, PlainInt, Settings

_NAME = r"^[A-Za-z0-9][A-Za-z0-9_+-]*(\.[A-Za-z0-9_+-]+)*$"
SafeName = Annotated[str, Field(pattern=_NAME, max_length=80)]
"""Letters, digits, _ + - and single dots inside: safe as a folder name everywhere."""

N_CLASSES = 10
"""Classes of every image collection."""


class SourceSettings(Settings):
    """Keys that every data set has; a source adds its own as fields of a subclass.

    A field of type :class:`pathlib.Path` is a file or folder of the user: relative ones are looked up beside the
    working directory and the configuration, and what they hold, not where they lie, decides what is computed anew.
    """

    name: SafeName = Field(description="any unique name; the `dataset` coordinate of the cubes")
    n_test: Annotated[PlainInt, Field(ge=0, le=1_000_000)] = Field(
        default=100, description="number of test inputs, disjoint from the training inputs"
    )
    standardize: bool = Field(default=True, description="subtract one scalar mean, divide by one scalar std")

    @classmethod
    def path_keys(cls) -> list[str]:
        """Names of the fields that hold a file or folder."""
        fields = cls.model_fields.items()
        return [key for key, f in fields if Path in (f.annotation, *get_args(f.annotation))]


Targets = Literal["centred", "one_hot"]
"""Kinds of targets of three and more classes (:func:`proplim.datasets.targets_of`)."""


class TaskSettings(SourceSettings):
    """Keys of data whose number of classes the user chooses.

    Two classes have one output and labels -1 and +1. Three and more have one output for each class.
    """

    targets: Targets = Field(
        default="centred",
        description="of three and more classes, which have one output each: delta - 1/C, or one_hot: delta",
    )

    @model_validator(mode="after")
    def _targets_of_many_classes(self) -> Self:
        if self.targets != "centred" and n_classes_of(self) <= len(LABELS):
            raise InvalidInput(
                "targets", self.targets, "left out: two classes are one output, labels -1 and +1"
            )
        return self

    @model_serializer(mode="wrap")
    def _without_idle_keys(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Keys that say nothing are not written out: what is computed keeps the hash that it had before the keys."""
        written: dict[str, Any] = handler(self)
        idle = self.idle_values()
        return {key: value for key, value in written.items() if key not in idle or value != idle[key]}

    def idle_values(self) -> dict[str, Any]:
        """Key -> value at which it says nothing."""
        return {"targets": "centred"} if n_classes_of(self) <= len(LABELS) else {}


class ClassSettings(TaskSettings):
    """Keys of a collection of several classes, of which a task takes two or more."""

    classes: Annotated[
        tuple[Annotated[PlainInt, Field(ge=0, le=N_CLASSES - 1)], ...], AfterValidator(check_task)
    ] = Field(
        description="two of them: first class -> y = -1, second -> +1; or three and more, one output each"
    )
    flip_fraction: Annotated[PlainFloat, Field(ge=0, le=0.5)] = Field(
        default=0.0, description="share of the training inputs of each class whose label is flipped"
    )

    def idle_values(self) -> dict[str, Any]:
        """As :meth:`TaskSettings.idle_values`; no flips are none."""
        return super().idle_values() | {"flip_fraction": 0.0}
