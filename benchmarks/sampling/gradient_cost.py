"""Where a gradient spends its time, and how its cost grows with P.

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
            f"factorisation and solves {parts['factorisation'] / total:.0%}, "
            f"activation {parts['activation'] / total:.0%}; "
            f"{parts['flops'] / total / 1e9:.1f} Gflop/s = {parts['flops'] / total / rate:.0%} of {rate / 1e9:.0f}"
        )


def profile_one(problem: _target.Problem, width: int, dtype: Any, repeats: int) -> dict[str, float]:
    """Seconds of the parts of a gradient."""
    inputs, y = problem.inputs_train.astype(dtype), problem.y_train.astype(dtype)
    count, rank = inputs.shape
    c, temperature = problem.readout_scale.astype(dtype), problem.temperature.astype(dtype)
    rng = np.random.default_rng(0)
    hidden = jnp.asarray(rng.standard_normal((rank, width)), dtype)
    square = jnp.asarray(np.linalg.qr(rng.standard_normal((256, 256)))[0], dtype)
    small = min(count, width)
    features = ERF.jax_function(inputs @ hidden)
    gram = features @ features.T if count <= width else features.T @ features
    gram = c * gram + temperature * jnp.eye(small, dtype=dtype)
    root = jnp.zeros((small, max(count, width)), dtype) + 0.1
    chol = jnp.linalg.cholesky(gram)

    def products(_: Array, z: Array) -> Array:
        h = inputs @ z
        g = h @ h.T if count <= width else h.T @ h
        return z * 0.9 + 1e-9 * (inputs.T @ h) + 1e-30 * g.sum()

    return {
        "gradient": per_call(
            lambda p, z: 0.9999 * z + 1e-9 * _target.gradient(p, ERF, z, dtype), problem, hidden, repeats
        ),
        "products": per_call(products, problem, hidden, repeats),
        "factorisation": per_call(lambda _, g: gram + 1e-9 * _target._cholesky(g), problem, gram, repeats)
        + 2 * per_call(lambda _, r: root + 1e-9 * _target.solve_lower(chol, r), problem, root, repeats),
        # the loop's own two operations are a few per cent of it
        "activation": per_call(
            lambda _, h: 0.5 * ERF.jax_function(h) + 0.1 * ERF.jax_derivative(h),
            problem,
            inputs @ hidden,
            repeats,
        ),
        "machine_rate": 2 * 256**3 / per_call(lambda _, s: s @ square, problem, square, max(repeats // 4, 5)),
        "flops": 2.0 * count * rank * width * 2 + 2.0 * small**2 * max(count, width) * 2 + small**3 / 3,
        "y": float(y[0]),
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
                f"products {parts['products'] / total:.0%}, factorisation {parts['factorisation'] / total:.0%}, "
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
