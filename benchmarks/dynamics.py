"""Speed of training: gradient flow against gradient descent and an ODE library, gradient descent against plain NumPy.

    python benchmarks/dynamics.py --flow [--root FOLDER_OF_MNIST]
    python benchmarks/dynamics.py [--steps 100] [--rounds 20]
    python benchmarks/dynamics.py --single

With --flow: MNIST 4 against 9, N = 100, erf, one replica, one thread, processor time without compilation, all in
one run. Each method at the coarsest of its settings at which D on the training inputs, at 41 times to the end, is
within the same relative error of gradient flow at a tolerance of 1e-5. At P = 1000 gradient descent and the library
take the fraction of the stability limit and the tolerance that they needed at P = 400, and their times are those
of a stretch, by proportion.

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
from functools import partial

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"

import numpy as np
from scipy.special import erf

from _ratios import note
from proplim._jax import configure_jax

configure_jax()

import diffrax
import jax
import jax.numpy as jnp

import proplim
from proplim.activations import get_activation
from proplim.datasets import Dataset
from proplim.dynamics import DynamicsSettings, find_inversion
from proplim.dynamics._network import Parameters, Problem, Start, build_frame, draw_start
from proplim.dynamics._observables import observe
from proplim.dynamics.optimizers import Optimizer, descent_direction, origin
from proplim.dynamics.optimizers._base import _advance
from proplim.dynamics.optimizers.gradient_descent import GradientDescent
from proplim.dynamics.optimizers.gradient_flow import GradientFlow, GradientFlowSettings
from proplim.schema import Point

P, N0, N, REPLICAS = 500, 784, 100, 4


def plain_loop(x: np.ndarray, y: np.ndarray, w: np.ndarray, v: np.ndarray, rate: float, steps: int) -> None:
    """Gradient descent as one writes it down, w of shape (N0, N)."""
    scale, root = 1 / np.sqrt(N), 1 / np.sqrt(x.shape[1])
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
    point = Point.of({"width": width, "lambda0": 1.0, "lambda1": 1.0})
    return frame.problem, [draw_start(frame, data, u, point, seed=r) for r in range(replicas)]


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


FLOW_CASES = ((400, 30.0, 5e-4), (1000, 100.0, 1e-3))
"""P, end of training, relative error of D."""
DIGITS_CASES = ((360, 30.0, 5e-4),)
"""The same for the bundled digits, which have no more."""
FLOW_TOLERANCES = (1e-2, 5e-3, 3e-3, 2e-3, 1e-3, 3e-4)
SOLVER_TOLERANCES = (1e-2, 1e-3, 1e-4, 1e-5, 1e-6)
STEP_FRACTIONS = (0.5, 0.2, 0.1, 0.05, 0.02)
STRETCH = 2.0
"""End of the stretch that is timed of what would take too long."""


def distances(problem: Problem, start: Start, path: list[Parameters]) -> np.ndarray:
    """D on the training inputs along a path."""
    features = (erf(start.h_train + problem.train.forward @ np.asarray(p.hidden)) for p in path)
    difference = problem.train.class_weights[1] - problem.train.class_weights[0]
    return np.array([((difference @ f) ** 2).mean() for f in features])


def travelled(
    optimizer: Optimizer, problem: Problem, start: Start, times: np.ndarray, rate: float
) -> list[Parameters]:
    return list(jax.block_until_ready(list(optimizer.trajectory(problem, start, times, rate, 0))))


def by_library(problem: Problem, start: Start, times: np.ndarray, tolerance: float) -> list[Parameters]:
    """The flow by Tsitouras' 5(4) method of diffrax."""
    found = jax.block_until_ready(_library(problem, start, jnp.asarray(times), tolerance))
    return [Parameters(h, v) for h, v in zip(*found, strict=True)]


@jax.jit
def _library(problem: Problem, start: Start, times: jax.Array, tolerance: float) -> Parameters:
    activation = get_activation("erf")

    def slope(_: object, parameters: Parameters, __: object) -> Parameters:
        return descent_direction(problem, start, parameters, activation)

    return diffrax.diffeqsolve(
        diffrax.ODETerm(slope),
        diffrax.Tsit5(),
        t0=0.0,
        t1=times[-1],
        dt0=None,
        y0=origin(problem, start),
        saveat=diffrax.SaveAt(ts=times),
        stepsize_controller=diffrax.PIDController(rtol=tolerance, atol=0.01 * tolerance),
        max_steps=1_000_000,
    ).ys


def flow(tolerance: float) -> GradientFlow:
    return GradientFlow(get_activation("erf"), settings=GradientFlowSettings(flow_tolerance=tolerance))


def coarsest(
    run: Callable[[float], list[Parameters]], choices: tuple[float, ...], error: Callable, allowed: float
) -> tuple[float, float, float]:
    """First choice whose D is accurate enough: the choice, its error and its processor seconds."""
    for choice in choices:
        path: list[Parameters] = []
        seconds = cpu_seconds(lambda c=choice, p=path: p.extend(run(c)))
        if error(path) <= allowed:
            return choice, error(path), seconds
    return np.nan, np.nan, np.nan


def flow_data(n_train: int, root: str | None) -> Dataset:
    """4 against 9 of MNIST where its files are, else of the bundled digits."""
    source = {"source": "mnist", "root": root} if root else {"source": "digits"}
    return proplim.load_dataset(n_train=n_train, classes=(4, 9), n_test=0, **source)


def flow_speed(root: str | None, short: bool) -> None:
    """Print seconds and ratios at equal error in D."""
    descent = GradientDescent(get_activation("erf"))
    fraction, precision = np.nan, np.nan
    for n_train, t_max, allowed in FLOW_CASES[: 1 if short else None] if root else DIGITS_CASES:
        data = flow_data(n_train, root)
        problem, (start,) = prepared(data, 100, 1)
        times = DynamicsSettings(t_max=t_max).times
        exact = distances(problem, start, travelled(flow(1e-5), problem, start, times, 0.0))

        def error(path: list[Parameters], of: tuple = (problem, start, exact)) -> float:
            return float(np.abs(distances(of[0], of[1], path) / of[2] - 1).max())

        def run_flow(tolerance: float, of: tuple = (problem, start, times)) -> list[Parameters]:
            return travelled(flow(tolerance), *of, 0.0)

        def run_library(tolerance: float, of: tuple = (problem, start, times)) -> list[Parameters]:
            return by_library(*of, tolerance)

        limit = descent.step_limit(problem, start)

        def run_descent(part: float, of: tuple = (problem, start, times, limit)) -> list[Parameters]:
            return travelled(descent, *of[:3], part * of[3])

        print(f"P = {n_train}, N = 100, to t = {t_max:g}, D within {allowed:g}, one replica, one thread")
        by_library(problem, start, times[:2], 1e-2)
        travelled(descent, problem, start, times[:2], limit / 2)  # compile
        tolerance, off, ours = coarsest(run_flow, FLOW_TOLERANCES, error, allowed)
        print(f"  gradient flow, tolerance {tolerance:g}: {ours:.2f} s, D off by {off:.1e}")
        if np.isnan(fraction):
            precision, off, library = coarsest(run_library, SOLVER_TOLERANCES, error, allowed)
            how = f"D off by {off:.1e}"
        else:
            library = cpu_seconds(partial(by_library, problem, start, np.array([STRETCH]), precision))
            library, how = library * t_max / STRETCH, f"by proportion from t = {STRETCH:g}"
        print(f"  diffrax Tsit5, tolerance {precision:g}: {library:.1f} s, {how}, ratio {library / ours:.0f}")
        what = f"gradient flow, P = {n_train}, N = 100, to t = {t_max:g}"
        equal = f"error of D, {allowed:g}"
        note(what, "diffrax, Tsit5", library / ours, f"{equal}; {how}")
        if np.isnan(fraction):
            fraction, off, plain = coarsest(run_descent, STEP_FRACTIONS, error, allowed)
            how = f"D off by {off:.1e}"
        else:
            rate = fraction * limit
            plain = cpu_seconds(partial(travelled, descent, problem, start, np.array([STRETCH]), rate))
            plain, how = plain * t_max / STRETCH, f"by proportion from t = {STRETCH:g}"
        print(
            f"  gradient descent at {fraction:g} of its limit: {plain:.0f} s, {t_max / (fraction * limit):.0f} steps, "
            f"{how}, ratio {plain / ours:.0f}"
        )
        note(what, "gradient descent, own", plain / ours, f"{equal}; {how}")
        steps = t_max / (fraction * limit)
        naive = naive_seconds(data, fraction * limit) * steps
        print(
            f"  the same steps by a plain NumPy loop: {naive:.0f} s, by proportion, ratio {naive / ours:.0f}"
        )
        note(what, "gradient descent, plain NumPy loop", naive / ours, f"{equal}; steps timed and multiplied")


def naive_seconds(data: Dataset, rate: float, steps: int = 50) -> float:
    """Processor seconds for a step of the plain loop."""
    rng = np.random.default_rng(1)
    w, v = rng.standard_normal((data.n_features, N)), rng.standard_normal(N)
    return cpu_seconds(lambda: plain_loop(data.x_train, data.y_train, w, v, rate, steps)) / steps


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
    parser.add_argument("--flow", action="store_true")
    parser.add_argument("--short", action="store_true", help="with --flow: the first case only")
    parser.add_argument("--root", help="folder with the files of MNIST")
    options = parser.parse_args()
    if options.flow:
        flow_speed(options.root, options.short)
        return
    if not options.single:
        full_speed(options.steps, options.rounds)
        return
    single_speed(options.steps, options.rounds)
    for flip_fraction in (0.0, 0.1):
        single_accuracy(flip_fraction)


if __name__ == "__main__":
    main()
