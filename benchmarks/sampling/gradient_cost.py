"""Where a gradient step spends its time, and how its cost grows with P.

python benchmarks/sampling/gradient_cost.py --data mnist38_p100.npz     # parts of a gradient
python benchmarks/sampling/gradient_cost.py --scaling                   # N = P and N = P/2 from P = 100 to 800
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from _common import ERF, WIDTH, Array, arguments, load, point_of, problem_of

from proplim.datasets import Dataset
from proplim.sampling import _target


def profile(dataset: Dataset) -> None:
    problem = problem_of(dataset, 0.01)
    for dtype in (jnp.float32, jnp.float64):
        parts = profile_one(problem, WIDTH, dtype, 200)
        total, rate = parts["gradient"], parts["machine_rate"]
        print(
            f"{np.dtype(dtype).name}: gradient {total * 1e6:.0f} us = products {parts['products'] / total:.0%}, "
            f"inverse {parts['inverse'] / total:.0%}, "
            f"activation {parts['activation'] / total:.0%}; "
            f"{parts['flops'] / total / 1e9:.1f} Gflop/s = {parts['flops'] / total / rate:.0%} of {rate / 1e9:.0f}"
        )


def profile_one(problem: _target.Problem, width: int, dtype: Any, repeats: int) -> dict[str, float]:
    """Seconds of the parts of a step that follows the preactivations, and its floating-point operations."""
    assert problem.kernel_train is not None
    kernel = problem.kernel_train.astype(dtype)
    count = len(kernel)
    rng = np.random.default_rng(0)
    pulled = jnp.asarray(rng.standard_normal((count, width)), dtype)
    square = jnp.asarray(np.linalg.qr(rng.standard_normal((256, 256)))[0], dtype)
    small, large = min(count, width), max(count, width)
    features = ERF.jax_function(kernel @ pulled)
    c, temperature = problem.readout_scale.astype(dtype), problem.temperature.astype(dtype)
    system = _target._system(features.T if count <= width else features, temperature, c)

    def step(problem: _target.Problem, pulled: Array) -> Array:
        return 0.9999 * pulled + 1e-9 * _target.preactivation_gradient(problem, ERF, kernel @ pulled)

    def products(_: Array, pulled: Array) -> Array:
        h = kernel @ pulled
        g = h @ h.T if count <= width else h.T @ h
        solved = g @ h if count <= width else h @ g
        return pulled * 0.9 + 1e-9 * solved

    return {
        "gradient": per_call(step, problem, pulled, repeats),
        "products": per_call(products, problem, pulled, repeats),
        "inverse": per_call(lambda _, g: system + 1e-9 * _target._inverse(g), problem, system, repeats),
        # the loop's own two operations are a few per cent of it
        "activation": per_call(
            lambda _, h: 0.5 * ERF.jax_function(h) + 0.1 * ERF.jax_derivative(h),
            problem,
            kernel @ pulled,
            repeats,
        ),
        "machine_rate": 2 * 256**3 / per_call(lambda _, s: s @ square, problem, square, max(repeats // 4, 5)),
        "flops": 2.0 * count * count * width + 4.0 * small**2 * large + 2.0 * small**3,
    }


def scaling() -> None:
    """Cost of a gradient at N = P and at N = P / 2, iid inputs with N0 = P."""
    rng = np.random.default_rng(0)
    for alpha in (1, 2):
        sizes, costs = [], []
        for count in (100, 200, 400, 800):
            width = count // alpha
            y = np.where(np.arange(count) % 2, 1.0, -1.0)
            dataset = Dataset(rng.standard_normal((count, count)), y, np.zeros((0, count)), np.zeros(0))
            whitened = _target.whiten(dataset)
            point = point_of(0.01, width)
            problem = jax.device_put(_target.make_problem(dataset, whitened, np.eye(count)[0], **point))
            parts = profile_one(problem, width, jnp.float32, max(5, 20000 // count))
            total, rate = parts["gradient"], parts["machine_rate"]
            sizes.append(count)
            costs.append(total)
            print(
                f"alpha {alpha} P = {count:4d} N = {width:4d}: gradient {total * 1e3:8.2f} ms, "
                f"products {parts['products'] / total:.0%}, inverse {parts['inverse'] / total:.0%}, "
                f"activation {parts['activation'] / total:.0%}, "
                f"{parts['flops'] / total / rate:.0%} of the product rate",
                flush=True,
            )
        exponent = np.polyfit(np.log(sizes), np.log(costs), 1)[0]
        print(f"alpha {alpha}: cost of a gradient grows as P^{exponent:.2f}")


def per_call(function: Callable, problem: Array, value: Array, repeats: int) -> float:
    """Processor seconds of one call inside a compiled loop, best of three."""
    loop = jax.jit(lambda p, x: jax.lax.fori_loop(0, repeats, lambda _, y: function(p, y), x))
    jax.block_until_ready(loop(problem, value))
    best = np.inf
    for _ in range(3):
        start = time.process_time()
        jax.block_until_ready(loop(problem, value))
        best = min(best, (time.process_time() - start) / repeats)
    return best


if __name__ == "__main__":
    parser = arguments(__doc__)
    parser.add_argument("--scaling", action="store_true", help="how the cost grows")
    chosen = parser.parse_args()
    scaling() if chosen.scaling else profile(load(chosen.data))
