"""Configuration of data sets, one model for each source."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    field_validator,
    model_serializer,
)

_NAME = r"^[A-Za-z0-9][A-Za-z0-9_+-]*(\.[A-Za-z0-9_+-]+)*$"
SafeName = Annotated[str, Field(pattern=_NAME, max_length=80)]
"""Letters, digits, _ + - and single dots inside: safe as a folder name everywhere."""

N_CLASSES = 10


def _no_bool(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("a number, not true or false")
    return value


Count = Annotated[int, BeforeValidator(_no_bool), Field(ge=0, le=1_000_000)]
ClassIndex = Annotated[int, BeforeValidator(_no_bool), Field(ge=0, le=N_CLASSES - 1)]


class _DatasetConfig(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: SafeName = Field(description="any unique name; the `dataset` coordinate of the cubes")
    n_test: Count = Field(default=100, description="number of test inputs, disjoint from the training inputs")
    standardize: bool = Field(default=True, description="subtract one scalar mean, divide by one scalar std")


class _ClassPairConfig(_DatasetConfig):
    classes: tuple[ClassIndex, ClassIndex] = Field(description="first class -> y = -1, second -> +1")
    flip_fraction: Annotated[float, BeforeValidator(_no_bool), Field(ge=0, le=0.5, allow_inf_nan=False)] = (
        Field(default=0.0, description="share of the training inputs of each class whose label is flipped")
    )

    @field_validator("classes")
    @classmethod
    def _two_classes(cls, value: tuple[int, int]) -> tuple[int, int]:
        if value[0] == value[1]:
            raise ValueError("two different classes")
        return value

    @model_serializer(mode="wrap")
    def _without_idle_flips(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """No flips are not written out: what is computed, and so its hash, is what it was without the key."""
        written: dict[str, Any] = handler(self)
        return {key: value for key, value in written.items() if key != "flip_fraction" or value}


class DigitsConfig(_ClassPairConfig):
    """scikit-learn's bundled digits, 8 x 8 pixels."""

    source: Literal["digits"]


class _ImagesConfig(_ClassPairConfig):
    root: str | None = Field(
        default=None, description="folder of already downloaded files, used before any download"
    )


class MnistConfig(_ImagesConfig):
    """MNIST, 28 x 28 pixels."""

    source: Literal["mnist"]


class FashionMnistConfig(_ImagesConfig):
    """Fashion-MNIST, 28 x 28 pixels."""

    source: Literal["fashion_mnist"]


class Cifar10Config(_ImagesConfig):
    """CIFAR-10, 3 x 32 x 32 pixels."""

    source: Literal["cifar10"]


class _SyntheticConfig(_DatasetConfig):
    n_features: Annotated[int, BeforeValidator(_no_bool), Field(ge=1, le=1_000_000)] = Field(
        description="number of features N0"
    )
    noise: Annotated[float, BeforeValidator(_no_bool), Field(ge=0, allow_inf_nan=False)] = Field(
        default=0.0,
        description="standard deviation of the noise on the teacher's output before the sign is taken "
        "(gaussian: its labels are nothing but noise, the value changes nothing)",
    )


class GaussianConfig(_SyntheticConfig):
    """iid Gaussian inputs, random labels."""

    source: Literal["gaussian"]


class TeacherConfig(_SyntheticConfig):
    """iid Gaussian inputs, labels from a random linear teacher."""

    source: Literal["teacher"]


class FileConfig(_DatasetConfig):
    """A user's arrays in a .npz or .nc file."""

    source: Literal["file"]
    path: str = Field(
        description=".npz or .nc with x (M, N0), y (M,), or x_train, y_train, x_test, y_test", min_length=1
    )
    standardize: bool = Field(default=False, description="subtract one scalar mean, divide by one scalar std")


PooledConfig = DigitsConfig | MnistConfig | FashionMnistConfig | Cifar10Config | FileConfig
"""Sources that hold a fixed number of inputs, from which training and test sets are drawn."""

DatasetConfig = Annotated[
    DigitsConfig
    | MnistConfig
    | FashionMnistConfig
    | Cifar10Config
    | GaussianConfig
    | TeacherConfig
    | FileConfig,
    Field(discriminator="source"),
]
SOURCES = ("digits", "mnist", "fashion_mnist", "cifar10", "gaussian", "teacher", "file")
