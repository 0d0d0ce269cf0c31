"""How results reach standard output: aligned text, CSV or JSON."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from proplim.errors import InvalidInput

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

PLUGINS_OF_STUDY = typer.Option(
    [],
    "--plugin",
    help="Python file that registers what the study shows, beside those that its configuration names; it is executed.",
    metavar="FILE",
)


def number(value: Any, digits: int = 6) -> str:
    """A number as read in a table; words as they are."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    if isinstance(value, float):
        return "nan" if math.isnan(value) else f"{value:.{digits}g}"
    return str(value)


def plain(value: Any) -> Any:
    """A value for JSON: NumPy scalars unpacked, NaN and infinities as null."""
    value = value.item() if hasattr(value, "item") else value
    return None if isinstance(value, float) and not math.isfinite(value) else value


def print_table(columns: Sequence[str], rows: Sequence[Sequence[Any]], digits: int = 6) -> None:
    """Columns padded to their widest entry; numbers to the right, words to the left."""
    cells = [[number(v, digits) for v in row] for row in rows]
    widths = [max([len(c), *(len(row[i]) for row in cells)]) for i, c in enumerate(columns)]
    numeric = [
        bool(rows) and all(isinstance(plain(row[i]), int | float | None) for row in rows)
        for i in range(len(columns))
    ]

    def line(words: Sequence[str]) -> str:
        padded = [
            w.rjust(n) if right else w.ljust(n) for w, n, right in zip(words, widths, numeric, strict=True)
        ]
        return "  ".join(padded).rstrip()

    print(line(columns))
    for row in cells:
        print(line(row))


def print_frame(frame: pd.DataFrame, form: str, *, limit: int = 0, digits: int = 6) -> None:
    """A table as text (at most `limit` rows, 0 for all), CSV or JSON."""
    if form == "csv":
        frame.to_csv(sys.stdout, index=False)
        return
    if form == "json":
        print(
            json.dumps([{k: plain(v) for k, v in row.items()} for row in frame.to_dict("records")], indent=1)
        )
        return
    shown = frame if not limit else frame.head(limit)
    rows = [[plain_or_nan(v) for v in row] for row in shown.itertuples(index=False, name=None)]
    print_table([str(c) for c in frame.columns], rows, digits)
    if len(shown) < len(frame):
        print(
            f"… {len(frame) - len(shown)} more rows: --limit 0 prints all, --csv writes them", file=sys.stderr
        )


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as dictionaries that JSON can hold."""
    return [{str(k): plain(v) for k, v in row.items()} for row in frame.to_dict("records")]


def plain_or_nan(value: Any) -> Any:
    """NumPy scalars unpacked."""
    return value.item() if hasattr(value, "item") else value


def one_form(csv: bool, as_json: bool) -> str:
    """The output form that the flags ask for."""
    if csv and as_json:
        raise InvalidInput("--csv --json", "both", "one of the two")
    return "csv" if csv else "json" if as_json else "text"


@contextmanager
def cubes_of(study: Path) -> Iterator[dict[str, xr.Dataset]]:
    """The cubes of a study's folder (results/<study>), by stage, open for the length of the block.

    Raises
    ------
    InvalidInput
        If there is no such folder or no cube in it.
    """
    from proplim.query import open_cube
    from proplim.schema import STAGES

    if not study.is_dir():
        raise InvalidInput("study", str(study), "a folder with cubes, as in results/<study>")
    files = {stage: study / f"{stage}.nc" for stage in STAGES if (study / f"{stage}.nc").is_file()}
    if not files:
        raise InvalidInput("study", str(study), "a folder with theory.nc, sampling.nc or dynamics.nc")
    with ExitStack() as opened:
        yield {stage: opened.enter_context(open_cube(file)) for stage, file in files.items()}


def load_plugins_of(study: Path, cubes: Mapping[str, xr.Dataset], named: Sequence[Path] = ()) -> None:
    """Execute the Python files that a study was computed with, and those `named`, each told on standard error before.

    Without them, looks and symbols of a user's own theories, optimizers and observables, and figures of one's own,
    are unknown. A file that is not there any more is told too, and does without.

    Raises
    ------
    InvalidInput
        If a file fails, or one of `named` does not exist.
    """
    from proplim.config import run_plugin
    from proplim.study import plugins_of_results

    found, lost = plugins_of_results(study, cubes)
    given = [path.resolve() for path in named]
    for name in lost:
        if not any(path.name == Path(name).name for path in given):
            print(f"{name}, a plugin of this study, is not there: name it with --plugin", file=sys.stderr)
    for path in dict.fromkeys([*found, *given]):
        print(f"executing {path}, a plugin of this study", file=sys.stderr)
        run_plugin(path)


def say_plugins(configuration: Path) -> None:
    """Name the Python files that reading a configuration executes, on standard error, before they are."""
    from proplim.config import plugin_paths, read_yaml

    for path in plugin_paths(read_yaml(configuration), (Path(), configuration.parent)):
        print(f"executing {path}, a plugin that {configuration} names", file=sys.stderr)
