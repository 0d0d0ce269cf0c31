"""The configuration reference, written from the schema itself so that it cannot fall behind.

``python -m proplim.config._reference > docs/configuration.md`` writes the page and
``python -m proplim.config._reference schema > workflow/schemas/config.schema.json`` the JSON schema for editors.
"""

from __future__ import annotations

import json
import re
import sys
from typing import Any

from proplim.config._load import json_schema
from proplim.datasets import SOURCES

_HEAD = """# Configuration reference

Written from the schema by `python -m proplim.config._reference`; do not edit by hand.

A configuration is one YAML file that stands alone: a key that is left out takes the default given here, never
that of another file. `proplim check my.yaml` says everything that is wrong with it, one line each.

An axis of a grid is a list of values, `{logspace: [lo, hi, n]}` or `{linspace: [lo, hi, n]}`. Spaced values are
rounded to twelve significant digits, so that the 0.1 of a logspace is the 0.1 of a list. Relative paths start at
the working directory, or else at the folder of the configuration.
"""

_STAGES = ("Grid", "TheorySection", "SamplingSection", "DynamicsSection", "FiguresSection", "JobsSection")


def _sections() -> list[tuple[str, str | None]]:
    """Title and model of every table of the page."""
    sources = [(f"`datasets`: {source.name}", source.model.__name__) for source in SOURCES.members()]
    others = [(f"`{name.removesuffix('Section').lower()}`", name) for name in _STAGES]
    return [("Top level", None), *sources, *others]


def reference_page() -> str:
    """The page as Markdown."""
    schema = json_schema()
    parts = [_HEAD]
    for title, name in _sections():
        section = schema if name is None else schema["$defs"][name]
        parts.append(f"## {title}\n")
        if name is not None and section.get("description"):
            parts.append(section["description"] + "\n")
        parts.append("| key | default | allowed | meaning |\n|---|---|---|---|")
        required = section.get("required", [])
        for key, field in section["properties"].items():
            default = "required" if key in required else _default(field)
            parts.append(f"| `{key}` | {default} | {_allowed(field, schema)} | {_meaning(field, schema)} |")
        parts.append("")
    return "\n".join(parts)


def _meaning(field: dict[str, Any], schema: dict[str, Any]) -> str:
    """What a key means, or the section that it opens; a cross-reference of the docstring becomes plain code."""
    text = field.get("description", "")
    if not text and "$ref" in field:
        text = schema["$defs"][field["$ref"].rsplit("/", 1)[-1]].get("description", "")
    text = re.sub(r":\w+:`~?([^`]+)`", r"`\1`", text)
    return text.replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")


def _default(field: dict[str, Any]) -> str:
    if "const" in field:
        return "required"
    if "default" not in field or field["default"] is None:
        return "none"
    value = field["default"]
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _allowed(field: dict[str, Any], schema: dict[str, Any]) -> str:
    if "const" in field:
        return f"`{field['const']}`"
    if "enum" in field:
        return ", ".join(f"`{v}`" for v in field["enum"])
    if "$ref" in field:
        name = field["$ref"].rsplit("/", 1)[-1]
        title = next(
            (title for title, section in _sections() if section == name), "`grid`"
        )  # SubGrid has its axes
        return f"keys of [{title}](#{title.strip('`')})"
    if forms := field.get("anyOf") or field.get("oneOf"):
        return " or ".join(_allowed(f, schema) for f in forms if f.get("type") != "null")
    if field.get("type") == "array":
        items = field.get("items", {})
        return "data sets, see below" if "discriminator" in items else "list of " + _allowed(items, schema)
    bounds = [
        f"{sign} {field[key]:g}"
        for key, sign in (
            ("minimum", ">="),
            ("exclusiveMinimum", ">"),
            ("maximum", "<="),
            ("exclusiveMaximum", "<"),
        )
        if key in field
    ]
    kind = {"boolean": "true or false", "string": "text"}.get(field.get("type", ""), field.get("type", "any"))
    return " ".join([kind, ", ".join(bounds)]).strip()


def schema_text() -> str:
    """The JSON schema as text."""
    return json.dumps(json_schema(), indent=1) + "\n"


if __name__ == "__main__":
    print(schema_text() if sys.argv[1:] == ["schema"] else reference_page(), end="")
