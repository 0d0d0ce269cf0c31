"""Properties that hold for every input: tables of points, seeds, the configuration's round trip."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import xarray as xr
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from proplim.config import parse_config, resolved_yaml
from proplim.cube import assemble_cube, point_table
from proplim.seeds import canonical_json, content_hash, derive_seed

SCALARS = st.one_of(
    st.integers(-(2**53) + 1, 2**53 - 1), st.floats(allow_nan=False, allow_infinity=False), st.text()
)


@given(st.dictionaries(st.text(), SCALARS, max_size=5), st.randoms(use_true_random=False))
def test_seeds_depend_on_values_and_not_on_order_or_number_type(parameters, random):
    items = list(parameters.items())
    random.shuffle(items)
    other = {k: np.float64(v) if isinstance(v, float) else v for k, v in items}
    assert derive_seed("s", parameters) == derive_seed("s", other)
    assert content_hash(parameters) == content_hash(other)
    assert derive_seed("s", parameters) != derive_seed("t", parameters)
    assert 0 <= derive_seed("s", parameters) < 2**63


@given(st.floats(allow_nan=False, allow_infinity=False), st.floats(allow_nan=False, allow_infinity=False))
def test_different_numbers_have_different_names(a, b):
    assert (canonical_json(a) == canonical_json(b)) == (a == b)


AXIS_VALUES = {
    "n_train": st.integers(2, 500),
    "width": st.integers(1, 10**6),
    "temperature": st.floats(1e-8, 1e6),
    "lambda0": st.floats(1e-3, 1e3),
    "lambda1": st.floats(1e-3, 1e3),
    "seed": st.integers(0, 1000),
}


@st.composite
def studies(draw):
    grid = {k: draw(st.lists(v, min_size=1, max_size=3, unique=True)) for k, v in AXIS_VALUES.items()}
    names = draw(
        st.lists(st.from_regex(r"[a-z][a-z0-9]{0,6}", fullmatch=True), min_size=1, max_size=2, unique=True)
    )
    grid["activation"] = draw(st.sampled_from([["erf"], ["linear"], ["linear", "erf"]]))
    return {
        "study": draw(st.from_regex(r"[a-z0-9][a-z0-9-]{0,8}", fullmatch=True)),
        "datasets": [{"name": n, "source": "gaussian", "n_features": 3} for n in names],
        "grid": grid,
    }


@given(studies())
@settings(max_examples=40, deadline=None)
def test_configuration_to_text_and_back(content):
    config = parse_config(content)
    again = parse_config(yaml.safe_load(resolved_yaml(config)))
    assert again == config
    for stage in ("theory", "sampling", "dynamics"):
        assert again.axes(stage) == config.axes(stage)


@pytest.mark.slow
@given(studies(), st.randoms(use_true_random=False), st.integers(1, 5))
@settings(max_examples=25, deadline=None)
def test_configuration_to_grid_to_tables_to_cube(content, random, pieces):
    """Every point of the grid, computed in any order and in any pieces, ends at its own place in the cube."""
    axes = parse_config(content).axes("theory")
    points = [dict(zip(axes, v, strict=True)) for v in itertools.product(*axes.values())]
    values = {canonical_json(p): float(i) for i, p in enumerate(points)}
    random.shuffle(points)
    tables = []
    for piece in range(pieces):
        blocks = [
            (
                p,
                xr.Dataset(
                    {"mse": ("split", [values[canonical_json(p)], -1.0])}, coords={"split": ["train", "test"]}
                ),
            )
            for p in points[piece::pieces]
        ]
        if blocks:
            tables.append(point_table(blocks, "theory"))
    cube = assemble_cube("theory", axes, {"approximation": ["proportional"]}, tables)
    assert dict(cube.mse.sizes) == {**{k: len(v) for k, v in axes.items()}, "split": 2}
    for point in points:
        assert float(cube.mse.sel(**point, split="train")) == values[canonical_json(point)]
