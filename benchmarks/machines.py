"""How far results would differ on another machine: golden numbers with other instruction sets, on this one.

    python benchmarks/machines.py

Linear algebra (OpenBLAS), array loops (NumPy) and compiled programs (XLA) choose their code by what the processor
can do, and another choice adds up in another order. Each of them can be told to take an older processor's.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
STAGES = ("theory", "dynamics", "sampling")
MACHINES = {
    "this one": {},
    "OpenBLAS for Nehalem (SSE4.2)": {"OPENBLAS_CORETYPE": "Nehalem"},
    "XLA for SSE4.2": {"XLA_FLAGS": "--xla_cpu_max_isa=SSE4_2"},
    "both for AVX": {"OPENBLAS_CORETYPE": "Sandybridge", "XLA_FLAGS": "--xla_cpu_max_isa=AVX"},
    "all, NumPy too, for SSE4.2": {
        "OPENBLAS_CORETYPE": "Nehalem",
        "XLA_FLAGS": "--xla_cpu_max_isa=SSE4_2",
        "NPY_DISABLE_CPU_FEATURES": "X86_V3",
    },
}
COMPUTE = "import json, sys; from golden.compute import compute; print(json.dumps(compute(sys.argv[1])))"


def numbers(stage: str, machine: str) -> dict:
    """Golden numbers of a stage, computed in a process with the machine's environment."""
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT / 'tests'}", **MACHINES[machine]}
    done = subprocess.run(
        [sys.executable, "-c", COMPUTE, stage], env=environment, stdout=subprocess.PIPE, text=True, check=True
    )
    return {
        name: np.array(values, float) for name, values in json.loads(done.stdout.splitlines()[-1]).items()
    }


def distance(stage: str, one: dict, two: dict) -> tuple[float, str]:
    """Largest relative difference, for sampling difference in combined standard errors, and its variable."""
    worst = {}
    for name, a in one.items():
        b = two[name]
        if stage == "sampling":
            worst[name] = np.nanmax(np.abs(a[0] - b[0]) / np.hypot(a[1], b[1]))
        else:
            scale = np.maximum(np.maximum(np.abs(a), np.abs(b)), np.finfo(float).tiny)
            worst[name] = np.nanmax(np.abs(a - b) / scale)
    name = max(worst, key=worst.__getitem__)
    return float(worst[name]), name


if __name__ == "__main__":
    here = {stage: numbers(stage, "this one") for stage in STAGES}
    for machine in list(MACHINES)[1:]:
        found = [distance(stage, here[stage], numbers(stage, machine)) for stage in STAGES]
        print(f"| {machine} |", " | ".join(f"{value:.1e} ({name})" for value, name in found), "|", flush=True)
