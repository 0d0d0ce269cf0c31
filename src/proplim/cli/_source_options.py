"""Options that are made from the tables of sources, activations and approximations when a command is parsed.

The options of a data set are the keys of the sources' settings: a source that a user's file registers has its
options without a line here.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args, get_origin

import typer
from typer.core import TyperCommand

from proplim.errors import InvalidInput

PLUGIN = "--plugin"
_NOT_ASKED = ("name", "source")
_METAVARS = {int: "N", float: "X", Path: "PATH", bool: ""}


class SourceCommand(TyperCommand):
    """A command that takes a data set by the name of its source and the source's own keys.

    What was given of those is in ``context.obj``, a dictionary; plugins are run before options are made.
    """

    def get_params(self, ctx: Any) -> list:
        """The command's own parameters, those of all sources, and help, which stands last."""
        own: list[Any] = super().get_params(ctx)
        last = own.pop()
        for parameter in own:
            if (table := _named_in(parameter.name)) is not None:
                parameter.help = f"{parameter.help.partition(':')[0]}: {', '.join(table)}."
        taken = {parameter.name for parameter in own}
        return [*own, *(o for o in _options() if o.name not in taken), last]

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Run the plugins that are named, then parse: a list's values may follow each other."""
        from proplim.config import run_plugin

        for path in _values_of(PLUGIN, args):
            try:
                run_plugin(Path(path))
            except InvalidInput as error:
                raise InvalidInput(PLUGIN, path, error.allowed) from None
        lists = {option.opts[0] for option in _options() if option.multiple}
        rest: list[str] = super().parse_args(ctx, list(_repeated(args, lists)))
        return rest

    def invoke(self, ctx: Any) -> Any:
        """Hand the options of sources over together."""
        asked = {
            option.name: ctx.params.pop(option.name) for option in _options() if option.name in ctx.params
        }
        ctx.obj = {key: value for key, value in asked.items() if value not in (None, (), [])}
        return super().invoke(ctx)


def dataset_settings(dataset: str, given: Mapping[str, Any]) -> Any:
    """Settings of the data set that options ask for.

    Parameters
    ----------
    dataset : str
        Name of a source, or the path of a data file.
    given : mapping
        Key -> text, or list of texts.

    Raises
    ------
    InvalidInput
        Naming the option that is missing, does not belong to the source, or is outside its range.
    """
    from proplim._registry import did_you_mean
    from proplim.datasets import SOURCES
    from proplim.datasets.sources.file import KINDS, SUFFIXES

    keys: dict[str, Any] = {}
    name = dataset
    if dataset not in SOURCES:
        if Path(dataset).suffix not in SUFFIXES:
            names = SOURCES.names()
            allowed = f"choose from {', '.join(names)}, or a {KINDS} file"
            raise InvalidInput("--dataset", dataset, allowed + did_you_mean(dataset, names))
        name, keys["path"] = "file", dataset
    source = SOURCES.get(name)
    fields = {k: f for k, f in source.model.model_fields.items() if k not in _NOT_ASKED}
    for key, value in given.items():
        if key not in fields:
            raise InvalidInput(_flag(key), value, f"{name} has {', '.join(map(_flag, fields))}")
        keys[key] = _parsed(fields[key].annotation, value)
    try:
        return source.configure(**keys)
    except InvalidInput as error:
        key, missing = error.key.split(".")[0], error.value is None
        allowed = f"{name} needs this option" if missing else error.allowed
        raise InvalidInput(_flag(key), "nothing" if missing else error.value, allowed) from None


def _named_in(parameter: str) -> list[str] | None:
    """Names that a parameter takes."""
    if parameter == "dataset":
        from proplim.datasets import SOURCES
        from proplim.datasets.sources.file import KINDS

        return [*SOURCES.names(), f"or the path of a {KINDS} file"]
    if parameter == "activation":
        from proplim.activations import ACTIVATIONS

        return ACTIVATIONS.names()
    if parameter == "approximation":
        from proplim.theory import APPROXIMATIONS

        return [member.name for member in APPROXIMATIONS.members()]
    return None


def _options() -> list:
    """One option for each key of a source, made by typer from a signature."""
    from proplim.datasets import SOURCES

    of: dict[str, list[Any]] = {}
    for source in SOURCES.members():
        for key, field in source.model.model_fields.items():
            if key not in _NOT_ASKED:
                of.setdefault(key, []).append((source.name, field))
    everywhere = len(SOURCES.members())
    parameters = []
    for key, fields in of.items():
        field = fields[0][1]
        kinds = _plain_types(field.annotation)
        several = _is_list(field.annotation)
        kind: Any = list[str] if several else bool if bool in kinds else str
        names = "" if len(fields) == everywhere else f" ({', '.join(name for name, _ in fields)})"
        metavar = next((_METAVARS[k] for k in kinds if k in _METAVARS), "TEXT")
        if several:
            metavar = f"{metavar} {metavar}"
        flags = f"{_flag(key)}/--no-{key.replace('_', '-')}" if kind is bool else _flag(key)
        text = (field.description or "").strip()
        default = typer.Option(
            None,
            flags,
            help=f"{text[:1].upper()}{text[1:]}{names}.",
            metavar=metavar or None,
            show_default=False,
        )
        parameters.append(
            inspect.Parameter(key, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind)
        )

    def takes_options(**values: Any) -> None:
        pass

    takes_options.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    takes_options.__annotations__ = {p.name: p.annotation for p in parameters}
    app = typer.Typer(add_completion=False)
    app.command()(takes_options)
    return [p for p in typer.main.get_command(app).params if p.name in of]


def _plain_types(annotation: Any) -> list[type]:
    """Types anywhere in an annotation."""
    if isinstance(annotation, type) and not get_args(annotation):
        return [annotation]
    return [found for part in get_args(annotation) for found in _plain_types(part)]


def _is_list(annotation: Any) -> bool:
    """Whether a key takes several values."""
    return get_origin(annotation) in (tuple, list) or any(map(_is_list, get_args(annotation)))


def _parsed(annotation: Any, value: Any) -> Any:
    """A number where the text is one and the key takes numbers; the settings judge it."""
    if isinstance(value, list | tuple):
        return [_parsed(annotation, part) for part in value]
    if not isinstance(value, str) or not {int, float} & set(_plain_types(annotation)):
        return value
    for kind in (int, float):
        try:
            return kind(value)
        except ValueError:
            continue
    return value


def _flag(key: str) -> str:
    return f"--{key.replace('_', '-')}"


def _values_of(flag: str, args: Sequence[str]) -> Iterator[str]:
    for k, word in enumerate(args):
        if word == flag and k + 1 < len(args):
            yield args[k + 1]
        elif word.startswith(f"{flag}="):
            yield word.partition("=")[2]


def _repeated(args: Iterable[str], lists: set[str]) -> Iterator[str]:
    """``--classes 3 8`` as ``--classes 3 --classes 8``, the way in which the parser takes lists."""
    current, n_values = "", 0
    for word in args:
        if word.startswith("-") and not word[1:2].isdigit():
            current, n_values = (word if word in lists else ""), 0
        elif current:
            if n_values:
                yield current
            n_values += 1
        yield word
