"""Layer-wise Gibbs (arXiv:2306.02729) beside this sampler, both with ReLU.

python benchmarks/sampling/gibbs.py --data mnist38_p100.npz
"""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from _common import Array, arguments, collect, load, point_of, show
from _joint import training_observables
from rate import ours

from proplim.activations import get_activation
from proplim.datasets import Dataset
from proplim.sampling import _random, _target
from proplim.theory import signal_direction


def gibbs(dataset: Dataset, temperatures: list[float], seconds: float, draws: int) -> None:
    """Layer-wise Gibbs with noise between the layers (arXiv:2306.02729) beside this sampler, both with ReLU.

    The Gibbs sampler needs Gaussian noise of variance Delta on preactivations and on features; all noises are equal
    there, Delta = T. Its posterior is that of another model, which the limit Delta -> 0 makes ours while the chain
    slows down as 1 / Delta. The means printed beside the rate say how far the two are apart.
    """
    relu = get_activation("relu")
    for temperature in temperatures:
        own, means = ours(dataset, [temperature], draws, "relu")[temperature]
        point = point_of(temperature)
        direction = signal_direction(dataset, relu, **point)
        problem = jax.device_put(_target.make_problem(dataset, _target.whiten(dataset), direction, **point))
        names = ("mse", "centroid_distance_sq", "readout_variance")
        print("    this sampler: " + ", ".join(f"{name} {means[name]:.4g}" for name in names))
        for share in (1.0, 0.1):
            found, spent = run_gibbs(problem, share * temperature, seconds)
            show(temperature, f"layer-wise Gibbs, Delta = {share:g} T", own, found, spent)
            print("    " + ", ".join(f"{name} {np.mean(found[name]):.4g}" for name in names), flush=True)


def run_gibbs(problem: Array, delta: float, seconds: float) -> tuple[dict[str, np.ndarray], float]:
    """Two chains of layer-wise Gibbs from the prior, the first third thrown away; observables every 20 sweeps."""
    rank, width = problem.inputs_train.shape[1], round(1.0 / float(problem.readout_scale))

    @jax.jit
    def advance(problem: Array, key: Array, carry: Array) -> Array:
        def body(carry: Array, _: None) -> Array:
            carry = jax.lax.scan(
                lambda c, _: (gibbs_sweep(problem, delta, key, c), None), carry, None, length=20
            )[0]
            hidden, features, v, _ = carry
            return carry, training_observables(problem, hidden, features, v)

        return jax.lax.scan(body, carry, None, length=10)

    chains = []
    for index in range(2):
        key = _random.key_of(0x9E3779B97F4A7C15 * (index + 11) % 2**63)
        hidden = _random.normal(key, (rank, width), jnp.uint32(0)).astype(jnp.float64)
        v = _random.normal(key, (width,), jnp.uint32(1)).astype(jnp.float64)
        features = jnp.maximum(problem.inputs_train @ hidden, 0.0)
        chains.append((key, (hidden, features, v, jnp.uint32(1))))
    jax.block_until_ready(advance(problem, *chains[0]))
    draws, spent = collect(partial(advance, problem), chains, 1.5 * seconds)
    return {name: value[:, value.shape[1] // 3 :] for name, value in draws.items()}, spent * 2.0 / 3.0


def gibbs_sweep(problem: Array, delta: float, key: Array, carry: Array) -> Array:
    """Preactivations H, features X, readout v and hidden weights Z, each drawn given the rest.

    H = A Z + noise, X = relu(H) + noise, y = X g + sqrt(T) noise with g = c^(1/2) v.
    """
    from jax.scipy.special import log_ndtr, ndtr, ndtri

    hidden, features, v, sweep = carry
    a, y, temperature = problem.inputs_train, problem.y_train, problem.temperature
    shape = features.shape
    root = np.sqrt(delta)

    def normal(size: tuple[int, ...], stream: int) -> Array:
        return _random.normal(key, size, sweep * jnp.uint32(8) + jnp.uint32(stream)).astype(jnp.float64)

    def uniform(stream: int) -> Array:
        flat = _random.uniform(key, features.size, sweep * jnp.uint32(8) + jnp.uint32(stream))
        return flat.reshape(shape)

    # H: a Gaussian cut to h < 0, where relu is silent, or another cut to h > 0
    mean = a @ hidden
    middle, narrow = 0.5 * (mean + features), root / np.sqrt(2.0)
    silent = log_ndtr(-mean / root) - features**2 / (2 * delta)
    active = log_ndtr(middle / narrow) - (features - mean) ** 2 / (4 * delta) - 0.5 * np.log(2.0)
    positive = uniform(0) < jax.nn.sigmoid(active - silent)
    centre, spread = jnp.where(positive, middle, -mean), jnp.where(positive, narrow, root)
    tail = ndtri(jnp.maximum(uniform(1) * ndtr(centre / spread), 1e-300))
    magnitude = jnp.maximum(centre - spread * tail, 0.0)  # x > 0 of N(centre, spread^2)
    preactivation = jnp.where(positive, magnitude, -magnitude)
    # X: the prior's draw corrected by what the label says along g
    g = jnp.sqrt(problem.readout_scale) * v
    features = jnp.maximum(preactivation, 0.0) + root * normal(shape, 2)
    miss = y - features @ g - jnp.sqrt(temperature) * normal(y.shape, 3)
    features = features + delta * jnp.outer(miss, g) / (temperature + delta * (g @ g))
    # v: linear regression on the features
    design = jnp.sqrt(problem.readout_scale) * features
    v = regression_draw(design, y[:, None], temperature, normal((len(v), 1), 4))[:, 0]
    # Z: linear regression of every unit's preactivations on the inputs
    hidden = regression_draw(a, preactivation, delta, normal(hidden.shape, 5))
    return hidden, features, v, sweep + jnp.uint32(1)


def regression_draw(design: Array, target: Array, variance: Array, noise: Array) -> Array:
    """Posterior draw of Gaussian linear regression with a standard normal prior."""
    chol = jnp.linalg.cholesky(jnp.eye(design.shape[1]) + design.T @ design / variance)
    half = _target.solve_lower(chol, design.T @ target / variance)
    return _target.solve_lower(chol, half + noise, transpose=True)


if __name__ == "__main__":
    parser = arguments(__doc__, (0.01,))
    parser.add_argument("--draws", type=int, default=600, help="draws per chain of this sampler")
    chosen = parser.parse_args()
    gibbs(load(chosen.data), chosen.temperature, chosen.seconds, chosen.draws)
