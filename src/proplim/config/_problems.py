"""From validation errors to lines a user can act on: key, value, what is allowed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from pydantic import ValidationError

from proplim._registry import did_you_mean
from proplim.errors import ProplimError


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


def problems_of(error: ValidationError, known_keys: dict[str, list[str]], tags: set[str]) -> list[str]:
    """One line for each thing wrong.

    Parameters
    ----------
    error : ValidationError
    known_keys : dict
        Dotted section -> keys allowed in it, to suggest the nearest.
    tags : set of str
        Discriminator values that pydantic inserts into locations and a user never wrote.
    """
    lines = []
    items = error.errors()
    for item in items:
        if item["type"] == "too_short" and any(_inside(other["loc"], item["loc"]) for other in items):
            continue  # a list is short only because its members were refused
        location = [part for part in item["loc"] if isinstance(part, int) or part not in tags]
        key = dotted(location)
        kind, message, value = item["type"], item["msg"], item.get("input")
        if kind == "extra_forbidden":
            section = ".".join(str(p) for p in location[:-1] if not isinstance(p, int))
            known = known_keys.get(section, [])
            allowed = f"unknown key; allowed here: {', '.join(known)}" if known else "unknown key"
            lines.append(
                f"{key}: {_show(value)} is not allowed; {allowed}{did_you_mean(str(location[-1]), known)}"
            )
        elif location[-2:-1] in (["logspace"], ["linspace"]) and kind == "missing":
            lines.append(f"{dotted(location[:-1])}: {len(value)} values are not allowed; three: [lo, hi, n]")
        elif kind == "missing":
            lines.append(f"{key}: nothing given; this key is required")
        elif kind in ("union_tag_invalid", "union_tag_not_found"):
            sources = sorted(known_keys["datasets.source"])
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
