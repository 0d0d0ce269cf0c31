"""Search for the temperature of the largest distance: where it looks, and where it stops."""

import numpy as np
import pytest

from proplim.theory.condensed import _peak


def searched(curve, hottest=1.0):
    """T*, D(T*) and the temperatures that were solved, the coldest last."""
    seen = []

    def distances(temperature):
        seen.append(temperature)
        return np.array(curve(np.log(temperature)), dtype=float)

    return *_peak.find_peaks(distances, hottest), sorted(seen, reverse=True)


def hump(x, center, width=1.5):
    return 1.0 + 0.3 * np.exp(-0.5 * ((x - center) / width) ** 2)


def test_it_stops_below_the_top_and_finds_it():
    center = np.log(0.05)
    star, top, seen = searched(lambda x: (hump(x, center), hump(x, center + 0.2)))
    np.testing.assert_allclose(np.log(star), [center, center + 0.2], atol=0.05)
    np.testing.assert_allclose(top, 1.3, rtol=2e-3)
    assert seen[-1] > 1.0 / _peak.RUNG ** (_peak.RUNGS - 1), "the coldest rungs were not solved"


def test_it_goes_on_while_the_distance_on_one_split_still_rises():
    center = np.log(0.05)
    star, _, seen = searched(lambda x: (hump(x, center), 1.0 - 0.1 * x))
    assert seen[-1] == pytest.approx(1.0 / _peak.RUNG ** (_peak.RUNGS - 1))
    assert np.log(star[0]) == pytest.approx(center, abs=0.05)
    assert np.isnan(star[1]), "largest at the end of the range"


def test_a_fall_within_the_errors_or_a_rung_without_a_number_does_not_end_it():
    flat = np.log(0.05)
    *_, seen = searched(lambda x: (1.0 + 1e-3 * np.exp(-((x - flat) ** 2)),) * 2)
    assert seen[-1] == pytest.approx(1.0 / _peak.RUNG ** (_peak.RUNGS - 1))
    unknown = np.log(1.0 / _peak.RUNG**4) - 1e-9

    def partly(x):
        return (np.nan if abs(x - unknown) < 1e-3 else hump(x, np.log(0.3), 0.8),) * 2

    star, _, _ = searched(partly)
    assert np.log(star[0]) == pytest.approx(np.log(0.3), abs=0.05)


def test_without_test_inputs_the_training_inputs_decide():
    center = np.log(0.05)
    star, _, seen = searched(lambda x: (hump(x, center), np.nan))
    assert np.log(star[0]) == pytest.approx(center, abs=0.05)
    assert np.isnan(star[1])
    assert seen[-1] > 1.0 / _peak.RUNG ** (_peak.RUNGS - 1)
