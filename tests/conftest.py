"""Fixtures used by every test module."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from proplim.datasets import Dataset, targets_of

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """The folder of reference numbers and MNIST images beside the checkout."""
    if not SHARED.is_dir():
        pytest.skip("the shared folder with reference data is not beside this checkout")
    return SHARED


@pytest.fixture(scope="session")
def reference(shared_dir: Path) -> dict:
    """Reference numbers of theory and long sampling runs for MNIST 3 against 8, P = N = 100, erf."""
    return json.loads((shared_dir / "reference" / "mnist38_p100.json").read_text())


@pytest.fixture(scope="session")
def mnist38(shared_dir: Path) -> Dataset:
    """MNIST 3 against 8: 100 training and 200 test inputs, exactly as the reference numbers use them."""
    with np.load(shared_dir / "reference" / "mnist38_p100.npz") as arrays:
        return Dataset(arrays["x_train"], arrays["y_train"], arrays["x_test"], arrays["y_test"])


def outputs_dataset(n_train: int, n_features: int, n_outputs: int = 3, seed: int = 0) -> Dataset:
    """Small data set of iid inputs of balanced classes, with centred targets and two test inputs of every class."""
    rng = np.random.default_rng(seed)
    numbers = [np.arange(n) % n_outputs for n in (n_train, 2 * n_outputs)]
    x = [rng.standard_normal((len(n), n_features)) for n in numbers]
    y = [targets_of(n, n_outputs, "centred") for n in numbers]
    return Dataset(x[0], y[0], x[1], y[1], class_train=numbers[0], class_test=numbers[1])


def gaussian_dataset(n_train: int, n_features: int, n_test: int = 12, seed: int = 0) -> Dataset:
    """Small data set of iid inputs with balanced random labels."""
    rng = np.random.default_rng(seed)
    labels = np.where(np.arange(n_train) % 2, 1.0, -1.0)
    test_labels = np.where(np.arange(n_test) % 2, 1.0, -1.0)
    return Dataset(
        rng.standard_normal((n_train, n_features)),
        labels,
        rng.standard_normal((n_test, n_features)),
        test_labels,
    )
