"""Speed of gradient descent: share of the machine's own matrix-product rate, and ratio to plain NumPy.

    python benchmarks/dynamics.py [--steps 500] [--rounds 5]

P = 500 training inputs in N0 = 784 dimensions, N = 100 hidden units, four replicas, one thread, float64. In
every round the matrix products, the plain loop and proplim run one after the other, so that all meet the
same machine; CPU time is counted, and medians over rounds are printed. All steps cost the same: the time of
1e5 steps is given by proportion (or run with --steps 100000 --rounds 1).
"""

# ruff: noqa: E402  (threads have to be limited before NumPy is imported)
from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"

import numpy as np
from scipy.special import erf

from proplim._jax import configure_jax

configure_jax()

import jax

from proplim.activations import get_activation
from proplim.datasets import Dataset
from proplim.dynamics._network import Problem, Start, build_frame, draw_start
from proplim.dynamics.optimizers import GradientDescent

P, N0, N, REPLICAS = 500, 784, 100, 4


def plain_loop(x: np.ndarray, y: np.ndarray, w: np.ndarray, v: np.ndarray, rate: float, steps: int) -> None:
    """Gradient descent as one writes it down, w of shape (N0, N)."""
    scale, root = 1 / np.sqrt(N), 1 / np.sqrt(N0)
    for _ in range(steps):
        h = root * (x @ w)
        features = erf(h)
        error = scale * (features @ v) - y
        gradient_v = scale * (features.T @ error)
        slopes = 2 / np.sqrt(np.pi) * np.exp(-h * h)
        gradient_w = root * (x.T @ (scale * error[:, None] * v * slopes))
        w = w - rate * gradient_w
        v = v - rate * gradient_v


def proplim_loop(problem: Problem, starts: list[Start], rate: float, steps: int) -> list[np.ndarray]:
    """The replicas' outputs on the training inputs after `steps` steps."""
    activation, outputs = get_activation("erf"), []
    descent = GradientDescent(activation)
    for start in starts:
        (end,) = descent.trajectory(problem, start, np.array([rate * steps]), rate, 0)
        jax.block_until_ready(end)
        h = start.h_train + problem.train.forward @ np.asarray(end.hidden, dtype=np.float64)
        outputs.append(erf(h) @ np.asarray(end.readout) / np.sqrt(N))
    return outputs


def cpu_seconds(run: Callable[[], object]) -> float:
    before = time.process_time()
    run()
    return time.process_time() - before


def product_rate(a: np.ndarray, b: np.ndarray, repeats: int = 40) -> float:
    """Floating-point operations per second of a @ b by NumPy's BLAS."""
    out = np.empty((a.shape[0], b.shape[1]))

    def run() -> None:
        for _ in range(repeats):
            np.matmul(a, b, out=out)

    return 2.0 * a.shape[0] * a.shape[1] * b.shape[1] * repeats / cpu_seconds(run)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()

    rng = np.random.default_rng(0)
    # Standardised images have a spectrum that decays; the cost does not depend on it.
    x = rng.standard_normal((P, N0)) * np.arange(1, N0 + 1) ** -0.5 * 6
    data = Dataset(x, np.where(np.arange(P) % 2, 1.0, -1.0), x[:0], np.zeros(0))
    frame = build_frame(data, np.zeros(N0), 1.0, kind="inputs")
    starts = [
        draw_start(frame, data, np.zeros(N0), width=N, lambda0=1.0, lambda1=1.0, seed=r)
        for r in range(REPLICAS)
    ]
    rate = GradientDescent(get_activation("erf")).automatic_step(frame.problem, starts[0])
    proplim_loop(frame.problem, starts, rate, 2)  # compile

    w, v = rng.standard_normal((N0, N)), rng.standard_normal(N)
    force, gram = rng.standard_normal((P, N)), np.asarray(frame.problem.gram)
    rows = []
    for _ in range(options.rounds):
        forward, backward = product_rate(x, w), product_rate(np.ascontiguousarray(x.T), force)
        own = product_rate(gram, force)
        plain_steps = max(1, options.steps // 10)
        plain = cpu_seconds(lambda n=plain_steps: plain_loop(x, data.y_train, w, v, rate, n)) / plain_steps
        ours = cpu_seconds(lambda: proplim_loop(frame.problem, starts, rate, options.steps))
        rows.append((2 / (1 / forward + 1 / backward), own, plain, ours / (options.steps * REPLICAS)))
    rate_plain, rate_own, plain, ours = np.median(rows, axis=0)

    work_plain, work_own = 4.0 * P * N0 * N, 2.0 * P * P * N
    minutes = ours * REPLICAS * 1e5 / 60
    lines = [
        ("matrix products of the plain loop's shapes", f"{rate_plain / 1e9:.1f} Gflop/s"),
        ("matrix product of the dual frame's shape", f"{rate_own / 1e9:.1f} Gflop/s"),
        ("plain NumPy loop", f"{plain * 1e3:.3f} ms a step and replica"),
        ("proplim", f"{ours * 1e3:.3f} ms a step and replica"),
        (f"proplim, 1e5 steps of {REPLICAS} replicas", f"{minutes:.1f} min on one core"),
        ("proplim's own products at the machine's rate / its time", f"{work_own / rate_own / ours:.0%}"),
        (
            "the plain loop's products at the machine's rate / its time",
            f"{work_plain / rate_plain / ours:.0%}",
        ),
        ("ratio to the plain NumPy loop", f"{plain / ours:.2f}"),
    ]
    print(f"P = {P}, N0 = {N0}, N = {N}, {REPLICAS} replicas, float64, one thread, {options.rounds} rounds")
    for name, value in lines:
        print(f"{name:60s}{value}")


if __name__ == "__main__":
    main()
