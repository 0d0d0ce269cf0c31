"""Cubes: files that are whole or absent, tables that land in the right place whatever the chunking."""

from __future__ import annotations

import itertools
import json
import os
import signal

import numpy as np
import pytest
import xarray as xr
from netCDF4 import Dataset

from proplim.cube import (
    DamagedFile,
    assemble_cube,
    open_netcdf,
    point_table,
    read_netcdf,
    write_arrays,
    write_netcdf,
)
from proplim.observables import variables_of

AXES = {
    "dataset": ["a", "b"],
    "activation": ["erf", "linear"],
    "n_train": [10, 20],
    "width": [5, 7, 9],
    "temperature": [0.1, 1.0, 10.0],
    "lambda0": [1.0],
    "lambda1": [1.0, 2.0],
    "seed": [0, 3],
}
OWN = {"approximation": ["infinite_width", "proportional"]}


def value(point: dict, approximation: str, split: str) -> float:
    """A number that tells every point apart."""
    digits = [AXES[d].index(point[d]) for d in AXES]
    number = sum(k * 10**i for i, k in enumerate(digits))
    return number + 0.1 * OWN["approximation"].index(approximation) + 0.01 * (split == "test")


def block(point: dict, **axes) -> xr.Dataset:
    shape = [len(v) for v in axes.values()]
    data = np.empty((2, *shape, 2))
    for index in itertools.product(*(range(n) for n in shape)):
        here = {**point, **{k: axes[k][i] for k, i in zip(axes, index, strict=True)}}
        for a, s in itertools.product(range(2), range(2)):
            data[(a, *index, s)] = value(here, OWN["approximation"][a], ["train", "test"][s])
    converged = np.ones((2, *shape))
    return xr.Dataset(
        {
            "centroid_distance_sq": (("approximation", *axes, "split"), data),
            "converged": (("approximation", *axes), converged),
        },
        coords={"approximation": OWN["approximation"], "split": ["train", "test"], **axes},
    )


def tables(names: tuple[str, ...]) -> list[xr.Dataset]:
    """One table for each combination of the axes not in `names`."""
    outer = [d for d in AXES if d not in names]
    result = []
    for values in itertools.product(*(AXES[d] for d in outer)):
        point = dict(zip(outer, values, strict=True))
        result.append(point_table([(point, block(point, **{d: AXES[d] for d in names}))], "theory"))
    return result


def test_every_value_lands_at_its_point():
    cube = assemble_cube("theory", AXES, OWN, tables(("width", "temperature", "lambda1")))
    assert cube.centroid_distance_sq.dims == (*AXES, "approximation", "split")
    for values in itertools.product(*AXES.values()):
        point = dict(zip(AXES, values, strict=True))
        for a, s in itertools.product(OWN["approximation"], ["train", "test"]):
            assert float(cube.centroid_distance_sq.sel(**point, approximation=a, split=s)) == value(
                point, a, s
            )


def test_chunking_and_order_do_not_matter():
    one = assemble_cube("theory", AXES, OWN, tables(("width", "temperature", "lambda1")))
    many = tables(("temperature",))
    other = assemble_cube("theory", AXES, OWN, many[::-1])
    xr.testing.assert_identical(one, other)
    merged = point_table(
        [
            ({"dataset": d, **p}, block({"dataset": d, **p}, temperature=AXES["temperature"]))
            for d in AXES["dataset"]
            for p in (
                dict(zip(("activation", "n_train", "width", "lambda0", "lambda1", "seed"), v, strict=True))
                for v in itertools.product(
                    *(AXES[k] for k in ("activation", "n_train", "width", "lambda0", "lambda1", "seed"))
                )
            )
        ],
        "theory",
    )
    xr.testing.assert_identical(one, assemble_cube("theory", AXES, OWN, [merged]))


def test_a_missing_point_is_nan_and_not_converged_and_the_cube_keeps_its_shape():
    some = tables(("width", "temperature", "lambda1"))[:-1]
    cube = assemble_cube("theory", AXES, OWN, some)
    lost = cube.sel(dataset="b", activation="linear", n_train=20, seed=3, lambda0=1.0)
    assert np.isnan(lost.centroid_distance_sq).all()
    assert (lost.converged == 0).all()
    assert int(np.isnan(cube.centroid_distance_sq).sum()) == lost.centroid_distance_sq.size
    assert dict(cube.sizes) == {
        **{d: len(v) for d, v in AXES.items()},
        "approximation": 2,
        "split": 2,
        "label": 2,
    }


def test_points_outside_the_axes_are_left_out():
    smaller = {**AXES, "temperature": [1.0]}
    cube = assemble_cube("theory", smaller, OWN, tables(("width", "temperature", "lambda1")))
    assert cube.sizes["temperature"] == 1
    assert not np.isnan(cube.centroid_distance_sq).any()


def test_every_variable_of_the_table_is_there_and_described():
    cube = assemble_cube("theory", AXES, OWN, [])
    for variable in variables_of("theory"):
        assert variable.name in cube
        assert cube[variable.name].attrs["long_name"] == variable.long_name
        assert cube[variable.name].attrs["units"]


def test_files_round_trip_and_know_damage(tmp_path):
    cube = assemble_cube("theory", AXES, OWN, tables(("width", "temperature", "lambda1")))
    path = write_netcdf(cube, tmp_path / "deep" / "cube.nc")
    stored = read_netcdf(path)
    xr.testing.assert_equal(stored, cube)
    assert [p.name for p in path.parent.iterdir()] == ["cube.nc"]
    raw = path.read_bytes()
    for broken in (raw[: len(raw) // 2], b"", raw[:-1]):
        path.write_bytes(broken)
        for read in (read_netcdf, open_netcdf):
            with pytest.raises(DamagedFile, match=r"cube\.nc"):
                read(path)
    with xr.open_dataset(write_netcdf(cube, path)) as opened:
        changed = opened.load().copy(deep=True)
    changed["centroid_distance_sq"][...] += 1e-9
    changed.to_netcdf(tmp_path / "changed.nc")
    for read in (read_netcdf, open_netcdf):
        with pytest.raises(DamagedFile, match="does not hold what was written"):
            read(tmp_path / "changed.nc")
        with pytest.raises(FileNotFoundError):
            read(tmp_path / "absent.nc")
    with open_netcdf(path) as opened:
        xr.testing.assert_equal(opened, cube)


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    cube = assemble_cube("theory", AXES, OWN, [])
    path = write_netcdf(cube, tmp_path / "cube.nc")
    before = path.read_bytes()

    def full_disk(*arguments, **keys):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(xr.Dataset, "to_netcdf", full_disk)
    with pytest.raises(OSError, match="No space left"):
        write_netcdf(cube, path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["cube.nc"]


def test_a_variable_without_temperature_has_no_such_axis():
    point = {d: AXES[d][0] for d in AXES if d not in ("width", "temperature")}
    result = block(point, width=AXES["width"], temperature=AXES["temperature"])
    peaks = np.arange(2 * 3 * 2.0).reshape(2, 3, 2)
    result["peak_temperature"] = (("approximation", "width", "split"), peaks)
    result["peak_temperature_mcse"] = (("approximation", "width", "split"), 0.1 * peaks)
    cube = assemble_cube("theory", AXES, OWN, [point_table([(point, result)], "theory")])
    assert cube.peak_temperature.dims == (*(d for d in AXES if d != "temperature"), "approximation", "split")
    here = cube.peak_temperature.sel(**point).transpose("approximation", "width", "split")
    np.testing.assert_array_equal(here.values, peaks)
    assert int(np.isfinite(cube.peak_temperature).sum()) == peaks.size
    assert cube.peak_temperature_mcse.dims == cube.peak_temperature.dims  # nor has its error


def test_the_reference_page_is_that_of_the_code():
    from pathlib import Path

    from proplim.cube._reference import reference_page

    assert (Path(__file__).resolve().parents[1] / "docs" / "cubes.md").read_text() == reference_page()


def test_reasons_reach_the_cube():
    good, bad = ({d: AXES[d][0] for d in AXES if d != "temperature"} | {"seed": s} for s in (0, 3))
    failed = xr.Dataset(
        {"converged": ("temperature", np.zeros(3))},
        coords={"temperature": AXES["temperature"]},
        attrs={"reason": "LinAlgError: singular"},
    )
    table = point_table([(good, block(good, temperature=AXES["temperature"])), (bad, failed)], "theory")
    cube = assemble_cube("theory", AXES, OWN, [table])
    meanings = json.loads(cube.reason.attrs["meanings"])
    assert {meanings[int(r)] for r in cube.reason.sel(**good)} == {"fine"}
    assert {meanings[int(r)] for r in cube.reason.sel(**bad)} == {"LinAlgError: singular"}
    assert (cube.converged.sel(**bad) == 0).all()
    assert np.isnan(cube.centroid_distance_sq.sel(**bad)).all()
    assert not np.isnan(cube.centroid_distance_sq.sel(**good)).any()
    elsewhere = cube.reason.sel(dataset="b").values
    assert {meanings[int(r)] for r in elsewhere.ravel()} == {"not computed"}


def test_arrays_are_written_as_a_data_set_of_them(tmp_path):
    """Without xarray: same dimensions, types, filters, attributes and checksum, and read as what was written."""
    rng = np.random.default_rng(0)
    arrays = {
        "x": (("train", "feature"), rng.standard_normal((30, 64)), {"long_name": "inputs", "units": "1"}),
        "y": (("train",), rng.standard_normal(30), {"long_name": "labels", "units": "1"}),
        "number": (("train",), np.arange(30), {"long_name": "number", "units": "1"}),
    }
    attrs = {"title": "of Bärbel", "wall_time_seconds": 0.25}
    write_arrays(arrays, attrs, tmp_path / "deep" / "ours.nc")
    write_netcdf(xr.Dataset(arrays, attrs=attrs), tmp_path / "theirs.nc")
    xr.testing.assert_identical(read_netcdf(tmp_path / "deep/ours.nc"), read_netcdf(tmp_path / "theirs.nc"))
    with Dataset(tmp_path / "deep/ours.nc") as ours, Dataset(tmp_path / "theirs.nc") as theirs:
        assert ours.__dict__ == theirs.__dict__
        for name, variable in theirs.variables.items():
            mine = ours[name]
            assert (mine.dtype, mine.dimensions) == (variable.dtype, variable.dimensions)
            assert (mine.filters(), mine.chunking()) == (variable.filters(), variable.chunking())
            assert str(mine.__dict__) == str(variable.__dict__)  # NaN is not equal to itself


def test_control_c_waits_for_a_write(tmp_path, monkeypatch):
    """One amid a write counts when it is done: one that met a lock of xarray's left jobs waiting for ever."""
    done, whole = [], xr.Dataset.to_netcdf

    def interrupted(self, *args, **kwargs):
        os.kill(os.getpid(), signal.SIGINT)
        whole(self, *args, **kwargs)
        done.append(True)

    monkeypatch.setattr(xr.Dataset, "to_netcdf", interrupted)
    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        write_netcdf(xr.Dataset({"a": ("x", np.arange(3.0))}), tmp_path / "a.nc")
    assert done
    assert not list(tmp_path.iterdir()), (
        "the file that was interrupted is not there, and nothing of it is left"
    )
    assert signal.getsignal(signal.SIGINT) is handler
