"""From validation errors to lines a user can act on: key, value, what is allowed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from proplim._registry import did_you_mean
from proplim.datasets import DISCRIMINATOR, SOURCES
from proplim.errors import InvalidInput, ProplimError
from proplim.schema import allowed_words

_ALLOWED = {
    "bool_parsing": "true or false",
    "string_pattern_mismatch": "letters, digits, _ + - and single dots inside",
}
"""Kind of problem -> what is allowed, where the validator's own words are not a user's."""
NUMBER, VALUES = "(number)", "(values)"
"""Tags of the two forms of a key that is a number or a section; a user never wrote them."""


class ConfigErrors(ProplimError):
    """A configuration has problems.

    Attributes
    ----------
    problems : list of str
        One line each: key, value, what is allowed.
    """

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = list(problems)
        super().__init__("\n".join(self.problems))


def problems_of(error: ValidationError, model: type[BaseModel]) -> list[str]:
    """One line for each thing wrong.

    Parameters
    ----------
    error : ValidationError
    model : type
        What was validated; unknown keys are compared with those that it has there.
    """
    items = error.errors()
    lines = [_line(item, *_walk(model, item["loc"])) for item in items if not _follows(item, items)]
    return list(dict.fromkeys(lines))


def _follows(item: Any, items: Sequence[Any]) -> bool:
    """Whether a list is short only because its members were refused."""
    place = item["loc"]
    members = (other["loc"] for other in items if len(other["loc"]) > len(place))
    return item["type"] == "too_short" and any(loc[: len(place)] == place for loc in members)


def _line(item: Any, location: list[Any], known: list[str]) -> str:
    """Key, value and what is allowed, of one thing wrong."""
    key, kind, value = dotted(location), item["type"], item.get("input")
    cause = item.get("ctx", {}).get("error")
    if isinstance(cause, InvalidInput):
        return str(InvalidInput(_joined(key, cause.key), cause.value, cause.allowed))
    if location[-2:-1] in (["logspace"], ["linspace"]) and kind == "missing":
        return f"{dotted(location[:-1])}: {len(value)} values are not allowed; three: [lo, hi, n]"
    if kind == "missing":
        return f"{key}: nothing given; this key is required"
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        found = value.get(DISCRIMINATOR) if isinstance(value, dict) else value
        names = SOURCES.names()
        allowed = f"choose from {', '.join(names)}{did_you_mean(found, names)}"
        return str(InvalidInput(f"{key}.{DISCRIMINATOR}", found, allowed))
    if kind == "extra_forbidden":
        allowed = f"unknown key; allowed here: {', '.join(known)}{did_you_mean(location[-1], known)}"
    else:
        allowed = _ALLOWED.get(kind) or allowed_words(item["msg"])
    return str(InvalidInput(key, value, allowed))


def _walk(model: type[BaseModel], location: Sequence[Any]) -> tuple[list[Any], list[str]]:
    """Where a problem is in words that a user wrote, and the keys allowed beside it.

    A union of models puts the name of the one that was chosen into the location; a user never wrote it.
    """
    shown: list[Any] = []
    here, beside = [model], [model]
    for part in location:
        chosen = [m for m in here if _chosen_by(m, part)]
        if chosen:
            here = chosen
            continue
        if part in (NUMBER, VALUES):
            continue
        shown.append(part)
        if isinstance(part, str):
            beside = here
            here = [
                found
                for m in here
                if part in m.model_fields
                for found in _models(m.model_fields[part].annotation)
            ]
    return shown, list(dict.fromkeys(key for m in beside for key in m.model_fields))


def _chosen_by(model: type[BaseModel], tag: Any) -> bool:
    """Whether a discriminated union takes this model where its key says `tag`."""
    field = model.model_fields.get(DISCRIMINATOR)
    return field is not None and get_args(field.annotation) == (tag,)


def _models(annotation: Any) -> list[type[BaseModel]]:
    """Models anywhere in a type."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [found for part in get_args(annotation) for found in _models(part)]


def _joined(place: str, key: str) -> str:
    """Dotted path of the key that a check names, from where the check stands: a section, or the key itself."""
    if not place:
        return key
    own = key.rpartition(".")[2]
    return place if place.rpartition(".")[2] == own else f"{place}.{own}"


def dotted(location: Iterable[Any]) -> str:
    """('datasets', 0, 'classes') -> 'datasets[0].classes'."""
    key = ""
    for part in location:
        key += f"[{part}]" if isinstance(part, int) else (f".{part}" if key else str(part))
    return key
