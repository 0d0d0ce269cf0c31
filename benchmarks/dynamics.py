"""Speed of gradient descent: share of the machine's own matrix-product rate, and ratio to plain NumPy.

    python benchmarks/dynamics.py [--steps 100] [--rounds 20]
    python benchmarks/dynamics.py --single

P = 500 training inputs in N0 = 784 dimensions, N = 100 hidden units, four replicas, one thread, float64. In
every round the matrix products, the plain loop and proplim run one after the other for a fraction of a
second, so that all meet the same machine; CPU time is counted, and ratios are medians of those of a round.
All steps cost the same: the time of 1e5 steps is given by proportion (or run with --steps 100000
--rounds 1). With --single, what single precision gives in speed and what it costs in accuracy.
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

import proplim
from proplim.activations import get_activation
from proplim.datasets import Dataset
from proplim.dynamics import DynamicsSettings, find_inversion
from proplim.dynamics._network import Parameters, Problem, Start, build_frame, draw_start
from proplim.dynamics._observables import observe
from proplim.dynamics.optimizers import GradientDescent
from proplim.dynamics.optimizers._base import _advance

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


def product_rate(a: np.ndarray, b: np.ndarray, repeats: int = 100) -> float:
    """Floating-point operations per second of a @ b by NumPy's BLAS."""
    out = np.empty((a.shape[0], b.shape[1]))

    def run() -> None:
        for _ in range(repeats):
            np.matmul(a, b, out=out)

    return 2.0 * a.shape[0] * a.shape[1] * b.shape[1] * repeats / cpu_seconds(run)


def image_like_data() -> Dataset:
    """P inputs whose spectrum decays as that of images; the cost does not depend on it."""
    x = np.random.default_rng(0).standard_normal((P, N0)) * np.arange(1, N0 + 1) ** -0.5 * 6
    return Dataset(x, np.where(np.arange(P) % 2, 1.0, -1.0), x[:0], np.zeros(0))


def prepared(data: Dataset, width: int, replicas: int) -> tuple[Problem, list[Start]]:
    """The problem in the frame of gradient descent, and draws from the prior."""
    u = np.zeros(data.n_features)
    frame = build_frame(data, u, 1.0, kind="inputs")
    return frame.problem, [
        draw_start(frame, data, u, width=width, lambda0=1.0, lambda1=1.0, seed=r) for r in range(replicas)
    ]


def full_speed(steps: int, rounds: int) -> None:
    """Print the share of the machine's rate and the ratio to the plain loop."""
    data = image_like_data()
    x, y = data.x_train, data.y_train
    problem, starts = prepared(data, N, REPLICAS)
    rate = GradientDescent(get_activation("erf")).automatic_step(problem, starts[0])
    proplim_loop(problem, starts, rate, 2)  # compile

    rng = np.random.default_rng(1)
    w, v = rng.standard_normal((N0, N)), rng.standard_normal(N)
    force, gram = rng.standard_normal((P, N)), np.asarray(problem.gram)
    work_plain, work_own, plain_steps = 4.0 * P * N0 * N, 2.0 * P * P * N, max(1, steps // 5)
    rows = []
    for _ in range(rounds):
        forward, backward = product_rate(x, w), product_rate(np.ascontiguousarray(x.T), force)
        before = product_rate(gram, force)
        ours = cpu_seconds(lambda: proplim_loop(problem, starts, rate, steps)) / (steps * REPLICAS)
        own = 2 / (1 / before + 1 / product_rate(gram, force))
        plain = cpu_seconds(lambda: plain_loop(x, y, w, v, rate, plain_steps)) / plain_steps
        both = 2 / (1 / forward + 1 / backward)
        rows.append((both, own, plain, ours, work_own / own / ours, work_plain / both / ours, plain / ours))
    rate_plain, rate_own, plain, ours, own_share, plain_share, ratio = np.median(rows, axis=0)
    low, high = np.quantile([row[4] for row in rows], (0.25, 0.75))
    lines = [
        ("matrix products of the plain loop's shapes", f"{rate_plain / 1e9:.1f} Gflop/s"),
        ("matrix product of the dual frame's shape", f"{rate_own / 1e9:.1f} Gflop/s"),
        ("plain NumPy loop", f"{plain * 1e3:.3f} ms a step and replica"),
        ("proplim", f"{ours * 1e3:.3f} ms a step and replica"),
        (f"proplim, 1e5 steps of {REPLICAS} replicas", f"{ours * REPLICAS * 1e5 / 60:.1f} min on one core"),
        (
            "proplim's own products at the machine's rate / its time",
            f"{own_share:.0%} (quartiles {low:.0%}, {high:.0%})",
        ),
        ("the plain loop's products at the machine's rate / its time", f"{plain_share:.0%}"),
        ("ratio to the plain NumPy loop", f"{ratio:.2f}"),
    ]
    print(f"P = {P}, N0 = {N0}, N = {N}, {REPLICAS} replicas, float64, one thread, {rounds} rounds")
    for name, value in lines:
        print(f"{name:60s}{value}")


def single(value: object) -> object:
    """The same arrays in single precision."""
    return jax.tree.map(lambda a: np.asarray(a, dtype=np.float32) if np.ndim(a) else a, value)


def advance(problem: Problem, start: Start, state: Parameters, rate: float, steps: int) -> Parameters:
    """`steps` steps in the precision of the arrays."""
    step = np.asarray(rate, dtype=np.asarray(start.readout).dtype)
    return jax.block_until_ready(
        _advance(GradientDescent(get_activation("erf")), problem, start, state, step, steps)
    )


def precisions(problem: Problem, start: Start) -> list[tuple[Problem, Start, Parameters]]:
    """Problem, start and origin in double and in single precision."""
    origin = Parameters(np.zeros((problem.train.forward.shape[1], len(start.readout))), start.readout)
    return [(problem, start, origin), (single(problem), single(start), single(origin))]


def single_speed(steps: int, rounds: int) -> None:
    """Print how much faster a step is in single precision, at the size of the other benchmark."""
    problem, (start,) = prepared(image_like_data(), N, 1)
    rate = GradientDescent(get_activation("erf")).automatic_step(problem, start)
    pair = precisions(problem, start)
    for each in pair:
        advance(*each, rate, 2)  # compile
    seconds = [[cpu_seconds(lambda e=each: advance(*e, rate, steps)) for each in pair] for _ in range(rounds)]
    double, half = np.median(seconds, axis=0) / steps * 1e3
    ratio = np.median([a / b for a, b in seconds])
    print(f"a step of a replica: float64 {double:.3f} ms, float32 {half:.3f} ms, ratio {ratio:.2f}")


def single_accuracy(flip_fraction: float, t_max: float = 100.0) -> None:
    """Print how far single precision takes D, the training error and the inversion of a trained network."""
    data = proplim.load_dataset("digits", 120, classes=(3, 8), n_test=0, flip_fraction=flip_fraction)
    problem, (start,) = prepared(data, 60, 1)
    rate = GradientDescent(get_activation("erf")).automatic_step(problem, start)
    times = DynamicsSettings(t_max=t_max, n_times=26).times
    counts = np.unique(np.maximum(np.round(times / rate).astype(int), 1))
    seen = []
    for problem_p, start_p, state in precisions(problem, start):
        here, done, rows = state, 0, []
        for count in counts:
            here, done = advance(problem_p, start_p, here, rate, int(count - done)), count
            exact = Parameters(*(np.asarray(a, dtype=np.float64) for a in here))
            row = observe(problem, start, exact, get_activation("erf"))
            rows.append((float(row["centroid_distance_sq"][0]), float(row["mse"][0])))
        seen.append(np.array(rows))
    gap = np.abs(seen[1] / seen[0] - 1).max(axis=0)
    turns = [find_inversion(counts * rate, *rows.T)[1] for rows in seen]
    print(
        f"digits, P = 120, N = 60, {flip_fraction:.0%} of the labels flipped, {counts[-1]} steps: "
        f"D differs by {gap[0]:.1e}, training error by {gap[1]:.1e} (relative; it falls to "
        f"{seen[0][-1, 1]:.1e}), error at the inversion {turns[0]:.6g} and {turns[1]:.6g}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--single", action="store_true")
    options = parser.parse_args()
    if not options.single:
        full_speed(options.steps, options.rounds)
        return
    single_speed(options.steps, options.rounds)
    for flip_fraction in (0.0, 0.1):
        single_accuracy(flip_fraction)


if __name__ == "__main__":
    main()
