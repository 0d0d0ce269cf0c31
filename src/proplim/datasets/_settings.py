"""What a user says of a data set, whatever its source: the keys of an entry of `datasets:`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, get_args

from pydantic import AfterValidator, Field, SerializerFunctionWrapHandler, model_serializer

from proplim.datasets._classes import check_task
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


class ClassSettings(SourceSettings):
    """Keys of a collection of several classes, of which a task takes two."""

    classes: Annotated[
        tuple[Annotated[PlainInt, Field(ge=0, le=N_CLASSES - 1)], ...], AfterValidator(check_task)
    ] = Field(description="two of them: first class -> y = -1, second -> +1")
    flip_fraction: Annotated[PlainFloat, Field(ge=0, le=0.5)] = Field(
        default=0.0, description="share of the training inputs of each class whose label is flipped"
    )

    @model_serializer(mode="wrap")
    def _without_idle_flips(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """No flips are not written out: what is computed, and so its hash, is what it was without the key."""
        written: dict[str, Any] = handler(self)
        return {key: value for key, value in written.items() if key != "flip_fraction" or value}
