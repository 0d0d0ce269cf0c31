"""Settings: typed, judged when they are made, and the source of schema, reference and command line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from proplim.errors import InvalidInput

if TYPE_CHECKING:
    from pydantic._internal._model_construction import ModelMetaclass as _Meta
else:
    _Meta = type(BaseModel)


def _plain_number(value: Any) -> Any:
    """A NumPy number as Python's own; no boolean and no text is a number."""
    plain = value.item() if isinstance(value, np.generic) else value
    if isinstance(plain, bool | str):
        raise ValueError("must be a number")
    return plain


PlainInt = Annotated[int, BeforeValidator(_plain_number)]
"""Type of a setting that is a whole number."""
PlainFloat = Annotated[float, BeforeValidator(_plain_number), Field(allow_inf_nan=False)]
"""Type of a setting that is a finite number."""


class _Called(_Meta):
    """Makes a model that is called say what is wrong in proplim's own words.

    A model inside of another one is not called but validated, so that a configuration hears of all its problems.
    """

    def __call__(cls, **values: Any) -> Any:
        try:
            return super().__call__(**values)
        except ValidationError as error:
            raise invalid_input(error, list(getattr(cls, "model_fields"))) from None  # noqa: B009 (typed only on models)


STRICT = ConfigDict(extra="forbid", defer_build=True)
"""Of every model of a configuration: unknown keys are refused. Most are parts of others, which judge what is in them,
and their own validators are built when they are first asked for."""


class Settings(BaseModel, metaclass=_Called):
    """Base of the settings of stages, sources and optimizers: one field for each key of a configuration.

    A field says its type, range and description in a pydantic ``Field``. Settings cannot be changed once made;
    ``model_copy(update=...)`` makes others.

    Raises
    ------
    InvalidInput
        If a value is outside what its field allows, or a key is unknown.
    """

    model_config = ConfigDict(frozen=True, **STRICT)


def invalid_input(error: ValidationError, known: list[str]) -> InvalidInput:
    """The first problem of a validation as an error that names the key, the value and what is allowed."""
    first = error.errors()[0]
    key = ".".join(str(part) for part in first["loc"]) or "settings"
    if isinstance(cause := first.get("ctx", {}).get("error"), InvalidInput):
        return cause
    if first["type"] == "extra_forbidden":
        return InvalidInput(key, first.get("input"), f"unknown key; allowed here: {', '.join(known)}")
    if first["type"] == "missing":
        return InvalidInput(key, None, "this key is required")
    return InvalidInput(key, first.get("input"), allowed_words(first["msg"]))


def allowed_words(message: str) -> str:
    """A validation message as words on what is allowed: "must be greater than 0"."""
    text = message.removeprefix("Value error, ")
    text = (text[:1].lower() + text[1:]).partition(", unable to ")[0]
    return text.replace("input should be", "must be")
