"""The table of theories, and what a theory may return."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest

from conftest import gaussian_dataset
from proplim.activations import get_activation
from proplim.errors import InvalidInput
from proplim.observables import OBSERVABLES, Observable, register_observable
from proplim.schema import Size
from proplim.theory import (
    APPROXIMATIONS,
    Approximation,
    Solution,
    _states,
    register_approximation,
    rescaled_states,
    solve_grid,
)

GRID = {"temperature": [0.2, 1.0], "width": [10, 30], "lambda1": 1.0}


@pytest.fixture(autouse=True)
def _forgotten():
    with APPROXIMATIONS.temporary(), OBSERVABLES.temporary():
        yield


def test_every_theory_says_what_it_is():
    small, large = Size(50, 100, 20), Size(800, 100, 20)
    looks = set()
    for member in APPROXIMATIONS.members():
        assert member.title
        assert member.label
        looks.add((member.look.color, member.look.linestyle))
        assert 0.0 < member.point_seconds(small) < member.point_seconds(large)
        assert isinstance(member.applies(get_activation("tanh"), n_outputs=1), str)
    assert len(looks) == len(APPROXIMATIONS.members())
    assert APPROXIMATIONS.get("exact").applies(get_activation("erf"))
    assert not APPROXIMATIONS.get("exact").applies(get_activation("linear"))


def _at_infinite_width(spectrum, points):
    return rescaled_states(spectrum, points, np.ones(points.size))


def test_a_solution_a_state_and_a_dictionary_say_the_same():
    def solution(spectrum, points):
        return Solution({"converged": np.ones(points.size)}, (_at_infinite_width(spectrum, points),))

    def state(spectrum, points):
        states = _at_infinite_width(spectrum, points)
        return states.state(*states.fields)

    def dictionary(spectrum, points):
        return {"readout_variance": 1.0 / points.lambda1, "converged": np.ones(points.size)}

    for solve in (solution, state, dictionary):
        register_approximation(Approximation(solve.__name__, "one of three ways to answer", solve))
    data = gaussian_dataset(8, 5, 6)
    grid = solve_grid(data, "erf", **GRID, approximations=["solution", "state", "dictionary"])
    assert (grid.converged == 1).all()
    assert (grid.readout_variance == 1.0).all()
    np.testing.assert_array_equal(grid.mse.sel(approximation="solution"), grid.mse.sel(approximation="state"))
    assert np.isfinite(grid.mse.sel(approximation="state")).all()
    assert np.isnan(grid.mse.sel(approximation="dictionary")).all()
    assert np.isnan(grid.peak_temperature).all()


def test_an_observable_of_ones_own_is_in_every_theory():
    """The mean diagonal of the feature kernel from unit vectors; the cavity brings its Monte-Carlo error."""

    def mean_norm(state, inputs):
        return sum(inputs.feature_form(v) for v in np.eye(len(inputs.targets))) / len(inputs.targets)

    register_observable(Observable("mean_norm", "mean norm", "n", ("split",), from_state=mean_norm))
    data = gaussian_dataset(8, 5, 6)
    for activation, names in (
        ("linear", ["infinite_width", "proportional", "exact"]),
        ("relu", ["proportional", "cavity"]),
        ("erf", ["proportional", "cavity"]),
    ):
        grid = solve_grid(
            data, activation, temperature=0.5, width=100, approximations=names, peaks=False
        ).squeeze()
        assert np.isfinite(grid.mean_norm).all()
        spread = grid.mean_norm.max("approximation") / grid.mean_norm.min("approximation") - 1
        assert (spread < 0.03).all()
        if "cavity" in names:
            assert (grid.mean_norm_mcse.sel(approximation="cavity") > 0).all()


@pytest.mark.parametrize("error", [ValueError, RuntimeError, KeyError, ZeroDivisionError])
def test_an_error_of_a_theory_is_not_swallowed(error):
    """What counts as a point's failure is decided by the study, and numerical failure alone is one there."""

    def broken(spectrum, points):
        raise error("a bug")

    register_approximation(Approximation("broken", "raises", broken))
    with pytest.raises(error):
        solve_grid(gaussian_dataset(4, 3), "erf", **GRID, approximations=["proportional", "broken"])


def test_a_taken_name_is_refused_and_a_misspelt_one_gets_a_hint():
    with pytest.raises(InvalidInput, match="cavity"):
        register_approximation(Approximation("cavity", "another one", _at_infinite_width))
    with pytest.raises(InvalidInput, match="did you mean 'proportional'"):
        solve_grid(gaussian_dataset(4, 3), "erf", **GRID, approximations=["proportinal"])


def test_points_that_did_not_converge_keep_their_evidence_alone():
    def half(spectrum, points):
        good = points.temperature > 0.5
        return {
            "converged": good,
            "readout_variance": np.ones(points.size),
            "tries": np.full(points.size, 3.0),
        }

    register_approximation(Approximation("half", "half of the points", half, evidence={"tries": "tries"}))
    grid = solve_grid(gaussian_dataset(4, 3), "erf", **GRID, approximations=["half"]).squeeze()
    assert np.isnan(grid.readout_variance.sel(temperature=0.2)).all()
    assert (grid.readout_variance.sel(temperature=1.0) == 1.0).all()
    assert (grid.tries == 3.0).all()
    assert grid.tries.attrs["long_name"] == "tries"


@pytest.mark.parametrize("activation", ["erf", "relu", "linear"])
def test_states_are_freed_as_soon_as_they_are_done_with(activation, monkeypatch):
    """Blocks of a large grid hold megabytes each: none may wait in a cycle for the garbage collector."""
    held = []

    def watched(state, *but):
        held.append(weakref.ref(state))
        return {"readout_variance": state.readout_variance, "mse": _states._of_both_splits(_mse, state)}

    def _mse(state, inputs):
        return inputs.bias_sq + inputs.predictive_variance

    monkeypatch.setattr(_states, "observables_of", watched)
    names = ["infinite_width", "proportional", *(["exact"] if activation == "linear" else [])]
    gc.disable()
    try:
        solve_grid(gaussian_dataset(8, 5, 6), activation, **GRID, approximations=names, peaks=False)
        alive = [ref() for ref in held]
    finally:
        gc.enable()
    assert len(held) >= len(names)
    assert alive == [None] * len(held)
