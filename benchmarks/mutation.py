"""Mutation testing: change one thing in the code, run the fast tests that should notice, count who does.

    python benchmarks/mutation.py --sample 200 --seed 1            # theory and geometry
    python benchmarks/mutation.py --files src/proplim/geometry/_manifolds.py --sample 0

A mutant is a module with one arithmetic operator, comparison, constant, sign, condition, index or returned value
changed. It replaces the module inside a process forked from one that has all libraries loaded already, so a mutant
costs its tests and no start-up. A mutant is killed if a test fails or runs out of time; those that survive are
printed with their line. --sample 0 takes every mutant.
"""

from __future__ import annotations

import argparse
import ast
import copy
import importlib
import importlib.abc
import importlib.util
import os
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import hypothesis
import pytest

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "tests"), str(ROOT)]

for library in (
    "hypothesis.extra.numpy",
    "mpmath",
    "scipy.optimize",
    "scipy.special",
    "scipy.stats",
    "xarray",
):
    importlib.import_module(library)  # before forking
hypothesis.settings.register_profile(
    "mutation", max_examples=15, derandomize=True, database=None, deadline=None
)

SLOW = (
    "images_within_one or whatever_the_number_of_threads or degenerate_data or fine_grid or test_limits or test_bounds "
    "or rotated_inputs or depend_on_the_grid or its_grid or brute_force_scan or flipping_all or far_from_odd "
    "or weighted_networks or exact_scaling or 24_units or two_minima or errors_are_errors or kernel_once"
)
"""Tests that take more than four seconds; left out, so that the score is a lower bound."""

COMMON = ["tests/test_theory_reference.py", "tests/test_theory_observables.py", "tests/test_theory_grid.py"]
TESTS = {
    "geometry/_manifolds.py": ["tests/test_geometry.py"],
    "theory/_cavity.py": ["tests/test_cavity.py"],
    "theory/_effective_action.py": ["tests/test_theory_action.py", *COMMON],
    "theory/_exact.py": ["tests/test_theory_exact.py", "tests/test_theory_peaks.py"],
    "theory/_peaks.py": ["tests/test_theory_peaks.py"],
    "theory/_two_order_parameters.py": ["tests/test_nonodd_dense.py", "tests/test_nonodd.py"],
    "theory/_energies.py": ["tests/test_theory_action.py", *COMMON],
}
"""Tests that have to notice a change in a file; COMMON for files not named."""

SWAPPED = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.Pow: ast.Mult,
    ast.FloorDiv: ast.Mult, ast.And: ast.Or, ast.Or: ast.And, ast.Lt: ast.GtE, ast.GtE: ast.Lt,
    ast.Gt: ast.LtE, ast.LtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
}  # fmt: skip
EDGES = {ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt}
NAMES = {"minimum": "maximum", "min": "max", "argmin": "argmax", "all": "any", "log": "log1p", "expm1": "exp"}
NAMES |= {value: key for key, value in NAMES.items()}


def mutants(tree: ast.Module) -> Iterator[tuple[int, str, Callable[[], ast.Module]]]:
    """Line, what is done, and a function that gives the changed tree, for every single change."""
    for index, node in enumerate(_computing(tree)):
        for number, (what, _) in enumerate(_changes(node)):
            yield node.lineno, what, partial(_changed, tree, index, number)


def _changed(tree: ast.Module, index: int, number: int) -> ast.Module:
    changed = copy.deepcopy(tree)
    _, change = _changes(_computing(changed)[index])[number]
    change()
    return ast.fix_missing_locations(changed)


def _computing(tree: ast.Module) -> list:
    """Nodes that compute something: no annotations, decorators, docstrings or messages of errors."""
    found: list[ast.AST] = []

    def visit(node: ast.AST) -> None:
        if isinstance(node, ast.Raise) or (
            isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        ):
            return
        found.append(node)
        for name, value in ast.iter_fields(node):
            if name not in ("annotation", "returns", "decorator_list", "bases"):
                for child in value if isinstance(value, list) else [value]:
                    if isinstance(child, ast.AST):
                        visit(child)

    visit(tree)
    return [node for node in found if hasattr(node, "lineno")]


def _changes(node: Any) -> list[tuple[str, Callable[[], None]]]:
    """What can be done to a node: words, and a function that does it in place."""
    if isinstance(node, ast.BinOp | ast.BoolOp | ast.AugAssign) and type(node.op) in SWAPPED:
        other = SWAPPED[type(node.op)]
        return [(f"{_name(node.op)} -> {other.__name__}", lambda: setattr(node, "op", other()))]
    if isinstance(node, ast.Compare):
        return [
            (f"{_name(node.ops[0])} -> {table[type(node.ops[0])].__name__}", partial(_compare, node, table))
            for table in (SWAPPED, EDGES)
            if type(node.ops[0]) in table
        ]
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        new = not node.value if isinstance(node.value, bool) else _other_number(node.value)
        return [(f"{node.value} -> {new}", lambda: setattr(node, "value", new))]
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.Not | ast.Invert):
        return [(f"without {_name(node.op)}", partial(_drop, node))]
    if isinstance(node, ast.IfExp):
        return [("the other branch", partial(_exchange, node, "body", "orelse"))]
    if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "where" and len(node.args) == 3:
        return [("where exchanged", partial(node.args.__setitem__, slice(1, 3), node.args[:0:-1]))]
    if isinstance(node, ast.Attribute) and node.attr in NAMES:
        return [(f"{node.attr} -> {NAMES[node.attr]}", lambda: setattr(node, "attr", NAMES[node.attr]))]
    return []


def _name(operator: ast.AST) -> str:
    return type(operator).__name__


def _other_number(value: float) -> float:
    return value + 1 if isinstance(value, int) else 1.0 if value == 0 else 2 * value


def _compare(node: ast.Compare, table: dict) -> None:
    node.ops[0] = table[type(node.ops[0])]()


def _drop(node: ast.UnaryOp) -> None:
    """Take away a sign or a negation; `not not x` is what is left of `not x`."""
    if isinstance(node.op, ast.Not):
        node.operand = ast.UnaryOp(ast.Not(), node.operand)
    elif isinstance(node.op, ast.Invert):
        node.operand = ast.UnaryOp(ast.Invert(), node.operand)
    else:
        node.op = ast.UAdd()


def _exchange(node: ast.AST, one: str, other: str) -> None:
    first, second = getattr(node, one), getattr(node, other)
    setattr(node, one, second)
    setattr(node, other, first)


def run(module: str, code: Any, tests: list[str], seconds: float) -> str:
    """Run the tests with one module replaced, in a forked process: survived, killed or too slow."""
    child = os.fork()
    if not child:
        quiet = os.open(os.devnull, os.O_WRONLY)
        os.dup2(quiet, 1)
        os.dup2(quiet, 2)
        sys.meta_path.insert(0, _Replacing(module, code))
        options = ["-x", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "-k", f"not ({SLOW})"]
        options += ["--hypothesis-profile=mutation"]
        os._exit(int(pytest.main([*options, *tests])))
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            code = os.waitstatus_to_exitcode(status)
            return {0: "survived", 5: "no tests"}.get(int(code), "killed")
        time.sleep(0.02)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return "killed"


class _Replacing(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Gives out `code` for one module."""

    def __init__(self, module: str, code: Any) -> None:
        self.module, self.code = module, code

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        file = str(ROOT / "src" / name.replace(".", "/")) + ".py"
        return (
            importlib.util.spec_from_file_location(name, file, loader=self) if name == self.module else None
        )

    def exec_module(self, module: Any) -> None:
        exec(self.code, module.__dict__)


def main() -> None:
    """Sample mutants, run them, print the score."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", nargs="*", help="source files; theory and geometry if left out")
    parser.add_argument("--sample", type=int, default=200, help="number of mutants, 0 for all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=60.0, help="stop after so long")
    parser.add_argument("--lines", nargs="*", help="only these, as _file.py:line")
    arguments = parser.parse_args()
    folders = [ROOT / "src/proplim" / name for name in ("theory", "geometry")]
    files = [Path(f).resolve() for f in arguments.files or []] or sorted(
        p for d in folders for p in d.glob("_*.py")
    )
    files = [f for f in files if f.name != "__init__.py"]
    chosen = [(file, *mutant) for file in files for mutant in mutants(ast.parse(file.read_text()))]
    print(f"{len(chosen)} mutants in {len(files)} files", flush=True)
    if arguments.lines:
        chosen = [c for c in chosen if f"{c[0].name}:{c[1]}" in arguments.lines]
    if arguments.sample:
        chosen = random.Random(arguments.seed).sample(chosen, min(arguments.sample, len(chosen)))
    limits: dict[Path, float] = {}
    score: Counter = Counter()
    started = time.monotonic()
    for file, line, what, changed in chosen:
        if time.monotonic() - started > 60 * arguments.minutes:
            break
        name = file.relative_to(ROOT / "src").with_suffix("")
        module = str(name).replace("/", ".")
        tests = [str(ROOT / t) for t in TESTS.get("/".join(file.parts[-2:]), COMMON)]
        if file not in limits:
            begun = time.monotonic()
            sound = run(module, compile(file.read_text(), str(file), "exec"), tests, 600)
            limits[file] = 20 + 5 * (time.monotonic() - begun)
            print(f"  {module}: unchanged {sound} in {time.monotonic() - begun:.0f} s", flush=True)
        result = run(module, compile(changed(), str(file), "exec"), tests, limits[file])
        score[name.parts[1], result] += 1
        if result != "killed":
            source = file.read_text().splitlines()[line - 1].strip()
            print(f"{result}: {'/'.join(file.parts[-2:])}:{line}: {what}: {source}", flush=True)
    for package in sorted({p for p, _ in score}):
        killed, total = score[package, "killed"], sum(n for (p, _), n in score.items() if p == package)
        print(f"{package}: {killed} of {total} mutants killed, {100 * killed / total:.0f} %")


if __name__ == "__main__":
    main()
