"""No number of the golden study moves unseen: a change shows here and has to be explained in CHANGELOG.md."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from golden.compute import FILE, compute, fingerprint

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def golden() -> dict:
    return json.loads(FILE.read_text())


def test_theory_is_golden_to_eight_digits(golden):
    now = compute("theory")
    assert set(now) == set(golden["theory"])
    for name, expected in golden["theory"].items():
        np.testing.assert_allclose(
            np.array(now[name], float), np.array(expected, float), rtol=1e-8, atol=1e-10, err_msg=name
        )


def test_dynamics_is_golden(golden):
    # Rounding differs between processors; docs/reliability.md measures what is left of it after the training.
    now = compute("dynamics")
    for name, expected in golden["dynamics"].items():
        np.testing.assert_allclose(
            np.array(now[name], float), np.array(expected, float), rtol=1e-8, atol=1e-10, err_msg=name
        )


@pytest.mark.slow
def test_sampling_is_golden_by_z_score(golden):
    # Another processor's rounding makes another chain: five combined standard errors for 20 numbers, a
    # false-alarm rate below 2e-5 for independent chains; on the machine that wrote them the numbers are equal.
    now = compute("sampling")
    for name, expected in golden["sampling"].items():
        one, two = np.array(now[name], float), np.array(expected, float)
        z = (one[0] - two[0]) / np.hypot(one[1], two[1])
        assert np.all(np.abs(z) < 5), (name, z)


def test_the_changelog_explains_the_golden_numbers():
    assert fingerprint() in (ROOT / "CHANGELOG.md").read_text(), (
        f"tests/golden/golden.json changed: say why in CHANGELOG.md, with the line '{fingerprint()}'"
    )
