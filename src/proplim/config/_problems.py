"""From validation errors to lines a user can act on: key, value, what is allowed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from proplim._registry import did_you_mean
from proplim.datasets import DISCRIMINATOR, SOURCES
from proplim.errors import InvalidInput, ProplimError


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
    lines = []
    items = error.errors()
    for item in items:
        if item["type"] == "too_short" and any(_inside(other["loc"], item["loc"]) for other in items):
            continue  # a list is short only because its members were refused
        location, known = _walk(model, item["loc"])
        key = dotted(location)
        kind, message, value = item["type"], item["msg"], item.get("input")
        cause = item.get("ctx", {}).get("error")
        if isinstance(cause, InvalidInput):
            lines.append(str(InvalidInput(_joined(key, cause.key), cause.value, cause.allowed)))
        elif kind == "extra_forbidden":
            allowed = f"unknown key; allowed here: {', '.join(known)}" if known else "unknown key"
            lines.append(
                f"{key}: {_show(value)} is not allowed; {allowed}{did_you_mean(str(location[-1]), known)}"
            )
        elif location[-2:-1] in (["logspace"], ["linspace"]) and kind == "missing":
            lines.append(f"{dotted(location[:-1])}: {len(value)} values are not allowed; three: [lo, hi, n]")
        elif kind == "missing":
            lines.append(f"{key}: nothing given; this key is required")
        elif kind in ("union_tag_invalid", "union_tag_not_found"):
            sources = SOURCES.names()
            found = value.get("source") if isinstance(value, dict) else value
            lines.append(
                f"{key}.source: {_show(found)} is not allowed; choose from {', '.join(sources)}"
                f"{did_you_mean(str(found), sources)}"
            )
        elif kind == "bool_parsing":
            lines.append(f"{key}: {_show(value)} is not allowed; true or false")
        elif kind == "string_pattern_mismatch":
            lines.append(
                f"{key}: {_show(value)} is not allowed; letters, digits, _ + - and single dots inside"
            )
        else:
            text = message.removeprefix("Value error, ")
            text = (text[0].lower() + text[1:]).partition(", unable to ")[0]
            if kind == "value_error" and " is not allowed; " in text:
                lines += [f"{key}.{line}" if key else line for line in text.splitlines()]
            else:
                lines.append(
                    f"{key}: {_show(value)} is not allowed; {text.replace('input should be', 'must be')}"
                )
    return list(dict.fromkeys(lines))


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
    name = key.rpartition(".")[2] if place.endswith(key.rpartition(".")[2]) else key
    return place if place.endswith(name) else f"{place}.{name}" if place else name


def _inside(location: tuple, parent: tuple) -> bool:
    return len(location) > len(parent) and location[: len(parent)] == parent


def dotted(location: Iterable[Any]) -> str:
    """('datasets', 0, 'classes') -> 'datasets[0].classes'."""
    key = ""
    for part in location:
        key += f"[{part}]" if isinstance(part, int) else (f".{part}" if key else str(part))
    return key


def _show(value: Any, limit: int = 80) -> str:
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"
