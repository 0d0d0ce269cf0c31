"""Every part of proplim beside its peers, in one run on one core: the table of docs/benchmarks.md.

    make bench                                               # minutes: prints the table
    make bench BENCH_ARGS="--write docs/benchmarks.md"       # the same, into the page
    make bench BENCH_ARGS="--long --mnist FOLDER"            # an hour, with larger sizes

Each benchmark runs in a process of its own, one after the other, on one thread. A ratio is the cost of the peer over
ours for the same thing; how the two were made equal stands beside it. Without --mnist, bundled digits serve.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from _ratios import VARIABLE

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
THREADS = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
MARKS = "<!-- table: begin -->", "<!-- table: end -->"
"""Between these lines of the page stands what a run writes."""


def commands(long: bool, mnist: str | None) -> dict[str, list[str]]:
    """Name of each benchmark and its command line."""
    seconds = "60" if long else "8"
    root = ["--root", mnist] if mnist else []
    return {
        "theory": ["theory.py", "--points", "100000" if long else "10000"],
        "sampler, re-priorised HMC": ["sampling/repriorised.py", "--seconds", seconds],
        "sampler, NUTS": ["sampling/joint_nuts.py", "--seconds", seconds],
        "sampler, Langevin": ["sampling/langevin.py", "--seconds", seconds],
        "dynamics": ["dynamics.py", "--flow", *root, *([] if long else ["--short"])],
        "condensed theory": ["condensed_peer.py", *root, *([] if long else ["--short"])],
    }


def measured(name: str, command: list[str], timeout: float) -> list[dict]:
    """Ratios that a benchmark notes; what it prints goes to standard error."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "ratios"
        environment = {
            **os.environ, **THREADS, VARIABLE: str(file),
            "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(HERE), str(HERE / "sampling")]),
        }  # fmt: skip
        started = time.perf_counter()
        print(f"{name}: python benchmarks/{' '.join(command)}", file=sys.stderr, flush=True)
        try:
            done = subprocess.run(
                [sys.executable, str(HERE / command[0]), *command[1:]],
                env=environment, stdout=sys.stderr, check=False, timeout=timeout,
            )  # fmt: skip
            failed = f"ended with {done.returncode}" if done.returncode else ""
        except subprocess.TimeoutExpired:
            failed = f"took more than {timeout:.0f} s"
        print(f"{name}: {time.perf_counter() - started:.0f} s {failed}", file=sys.stderr, flush=True)
        rows = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
    if failed or not rows:
        rows.append({"what": name, "peer": "-", "ratio": None, "basis": failed or "noted no ratio"})
    return rows


def processor() -> str:
    """Name of the processor, as far as the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    except OSError:
        names = []
    return names[0] if names else platform.processor() or platform.machine()


def table(rows: list[dict], load: float) -> str:
    """The table and the machine as Markdown."""
    head = "| ours | peer | ratio | what is equal |\n|---|---|---|---|"
    body = "\n".join(
        f"| {row['what']} | {row['peer']} | {_printed(row['ratio'])} | {row['basis']} |" for row in rows
    )
    about = (
        f"{processor()}, {os.cpu_count()} cores of which one was used, {platform.system()}, Python "
        f"{platform.python_version()}, {datetime.date.today():%B %Y}; load of the machine before the run {load:.1f}. "
        "Ratios are of processor time."
    )
    return f"{head}\n{body}\n\n{about}"


def _printed(ratio: float | None) -> str:
    if ratio is None:
        return "-"
    return f"{ratio:.2g}" if ratio < 10 else f"{ratio:.0f}"


def rewritten(page: str, content: str) -> str:
    """The page with the table of this run."""
    before, rest = page.split(MARKS[0])
    return f"{before}{MARKS[0]}\n{content}\n{MARKS[1]}{rest.split(MARKS[1])[1]}"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--long", action="store_true", help="rows of a minute and more")
    parser.add_argument("--mnist", help="folder with the files of MNIST")
    parser.add_argument("--only", nargs="+", help="benchmarks whose name contains one of these")
    parser.add_argument("--write", type=Path, help="page whose table is rewritten")
    parser.add_argument("--timeout", type=float, default=3600.0, help="seconds a benchmark may take")
    chosen = parser.parse_args()
    load = os.getloadavg()[0]
    rows: list[dict] = []
    for name, command in commands(chosen.long, chosen.mnist).items():
        if chosen.only is None or any(part in name for part in chosen.only):
            rows += measured(name, command, chosen.timeout)
    content = table(rows, load)
    print(content)
    if chosen.write:
        chosen.write.write_text(
            rewritten(chosen.write.read_text(encoding="utf-8"), content), encoding="utf-8"
        )


if __name__ == "__main__":
    main()
