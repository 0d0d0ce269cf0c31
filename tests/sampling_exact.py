"""Exact posterior of the linear network at finite width, by quadrature over s = |v|^2/N (docs/theory.md, section 7)."""

from __future__ import annotations

import numpy as np

from proplim.datasets import Dataset


def linear_posterior(
    dataset: Dataset, width: int, temperature: float, lambda0: float, lambda1: float, nodes=4000
):
    """Nodes s, their posterior weights, and the prior kernels (C, C_test_train, C_test_test)."""
    x, n0 = dataset.x_train, dataset.n_features
    scale = lambda0 * n0
    kernel = x @ x.T / scale
    kappa, basis = np.linalg.eigh(kernel)
    yt = basis.T @ dataset.y_train
    log_s = np.linspace(np.log(1e-6), np.log(60.0 / lambda1), nodes)
    s = np.exp(log_s)
    spectrum = temperature + s[:, None] * np.maximum(kappa, 0.0)
    log_p = 0.5 * width * log_s - 0.5 * lambda1 * width * s  # s^(N/2 - 1) ds = s^(N/2) d ln s
    log_p -= 0.5 * (np.log(spectrum) + yt**2 / spectrum).sum(1)
    weight = np.exp(log_p - log_p.max())
    cross = dataset.x_test @ x.T / scale
    test = dataset.x_test @ dataset.x_test.T / scale
    return s, weight / weight.sum(), (kernel, cross, test)


def linear_moments(
    dataset: Dataset, width: int, temperature: float, lambda0: float, lambda1: float, u: np.ndarray
):
    """Exact value of every sampling variable, by name; splits and labels in the cube's order."""
    s, weight, (kernel, cross, test) = linear_posterior(dataset, width, temperature, lambda0, lambda1, 1500)
    y, x, n0 = dataset.y_train, dataset.x_train, dataset.n_features
    b = x.T / (lambda0 * np.sqrt(n0))
    blocks = {"train": (kernel, kernel, y), "test": (cross, test, dataset.y_test)}
    mean = dict.fromkeys(blocks, 0.0)
    second = dict.fromkeys(blocks, 0.0)
    feature = dict.fromkeys(blocks, 0.0)
    total = dict.fromkeys(
        ("readout_variance", "hidden_trace_shift", "signal_variance", "readout_signal_covariance"), 0.0
    )
    for value, p in zip(s, weight, strict=True):
        if p < 1e-14:
            continue
        inverse = np.linalg.inv(temperature * np.eye(len(y)) + value * kernel)
        a = inverse @ y
        m = np.outer(a, a) - inverse
        total["readout_variance"] += p * value
        total["hidden_trace_shift"] += p * value / (width * lambda0) * (m * kernel).sum()
        total["signal_variance"] += p * (u @ u / lambda0 + value / width * (b.T @ u) @ m @ (b.T @ u))
        total["readout_signal_covariance"] += p * value / np.sqrt(width) * (u @ b @ a)
        for split, (k, diagonal, _) in blocks.items():
            f = value * k @ a
            variance = np.diag(value * diagonal - value**2 * k @ inverse @ k.T)
            mean[split] = mean[split] + p * f
            second[split] = second[split] + p * (f**2 + variance)
            feature[split] = feature[split] + p * (diagonal + value / width * k @ m @ k.T)
    splits: dict[str, list] = {
        n: [] for n in ("centroid_distance_sq", "gyration_radius_sq", "mse", "bias_sq")
    }
    for split, (_, _, labels) in blocks.items():
        u_class = np.stack([(labels < 0) / (labels < 0).sum(), (labels > 0) / (labels > 0).sum()])
        difference = u_class[1] - u_class[0]
        splits["centroid_distance_sq"].append(difference @ feature[split] @ difference)
        splits["gyration_radius_sq"].append(
            [c @ np.diag(feature[split]) - c @ feature[split] @ c for c in u_class]
        )
        splits["mse"].append((labels**2 - 2 * labels * mean[split] + second[split]).mean())
        splits["bias_sq"].append(((labels - mean[split]) ** 2).mean())
    result = total | {name: np.array(value) for name, value in splits.items()}
    result["predictive_variance"] = result["mse"] - result["bias_sq"]
    return result


def linear_draws(
    dataset: Dataset,
    train: np.ndarray,
    width: int,
    temperature: float,
    lambda0: float,
    lambda1: float,
    count,
    seed,
):
    """Independent exact posterior draws of whitened hidden weights, (count, r, N).

    `train` is the (P, r) whitened input matrix. Given s the readout is uniform on a sphere, and only the hidden
    weights along it meet the data: f = sqrt(s) A t with t Gaussian.
    """
    rng = np.random.default_rng(seed)
    s, weight, _ = linear_posterior(dataset, width, temperature, lambda0, lambda1, 40000)
    drawn = np.interp(rng.uniform(size=count), np.cumsum(weight), s)
    hidden = rng.standard_normal((count, train.shape[1], width))
    direction = rng.standard_normal((count, width))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    for i, value in enumerate(drawn):
        precision = np.eye(train.shape[1]) + value * train.T @ train / temperature
        covariance = np.linalg.inv(precision)
        mean = np.sqrt(value) * covariance @ train.T @ dataset.y_train / temperature
        t = rng.multivariate_normal(mean, covariance, method="cholesky")
        hidden[i] += np.outer(t - hidden[i] @ direction[i], direction[i])
    return hidden
