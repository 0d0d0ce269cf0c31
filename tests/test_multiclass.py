"""Three and more classes: data, names and dimensions; two classes are what they were."""

from __future__ import annotations

import json

import numpy as np
import pytest
import xarray as xr

from proplim.config import ConfigErrors, parse_config
from proplim.cube import assemble_cube, point_table, read_table, write_table
from proplim.datasets import SOURCES, Dataset, class_coords_of, load_dataset, prepare_dataset
from proplim.errors import InvalidInput
from proplim.geometry import (
    LABELS,
    class_pairs,
    class_weights_of_numbers,
    pair_distances_sq,
    pair_distances_sq_of_features,
    pair_names,
)
from proplim.observables import OBSERVABLES, variables_of

DIGITS = (3, 8, 5)


def test_targets_are_one_output_for_each_class():
    data = load_dataset("digits", 31, classes=DIGITS, n_test=11)
    assert data.labels == DIGITS
    assert (data.n_outputs, data.y_train.shape, data.y_test.shape) == (3, (31, 3), (11, 3))
    np.testing.assert_array_equal(np.bincount(data.class_train), [11, 10, 10])
    np.testing.assert_array_equal(np.bincount(data.class_test), [4, 4, 3])
    one_hot = load_dataset("digits", 31, classes=DIGITS, n_test=11, targets="one_hot")
    np.testing.assert_array_equal(one_hot.y_train, np.eye(3)[data.class_train])
    np.testing.assert_array_equal(data.y_train, one_hot.y_train - 1 / 3)
    np.testing.assert_array_equal(data.x_train, one_hot.x_train)
    assert data.identity != one_hot.identity
    np.testing.assert_array_equal(data.weights_train.sum(1), np.ones(3))


def test_inputs_are_of_the_classes_that_they_are_said_to_be_of():
    load = SOURCES.get("digits").load
    images, digits = load(None)
    known = {tuple(image): digit for image, digit in zip(images, digits, strict=True)}
    data = load_dataset("digits", 30, classes=DIGITS, n_test=9, standardize=False)
    for x, numbers in ((data.x_train, data.class_train), (data.x_test, data.class_test)):
        assert [known[tuple(row)] for row in x] == [DIGITS[k] for k in numbers]


@pytest.mark.parametrize("n_classes", [3, 7])
def test_generated_data_have_balanced_classes(n_classes):
    for source in ("gaussian", "teacher"):
        keys = {"n_features": 6, "n_classes": n_classes, "n_test": n_classes, "standardize": False}
        data = load_dataset(source, 2 * n_classes + 1, **keys)
        counts = np.bincount(data.class_train, minlength=n_classes)
        assert counts.tolist() == [3] + [2] * (n_classes - 1)
        larger = load_dataset(source, 5 * n_classes, **keys)
        np.testing.assert_array_equal(larger.x_train[: data.n_train], data.x_train)


def test_a_teacher_of_many_classes_is_learnable():
    """Linear regression on a teacher's data finds the class, on random labels it does not."""
    found = {}
    for source in ("gaussian", "teacher"):
        data = load_dataset(source, 600, n_features=10, n_classes=4, n_test=400, standardize=False)
        slope = np.linalg.lstsq(data.x_train, data.y_train, rcond=None)[0]
        found[source] = float(((data.x_test @ slope).argmax(1) == data.class_test).mean())
    assert found["teacher"] > 0.8
    # 400 guesses of probability 1/4: five standard errors, false alarms below 1e-6.
    assert abs(found["gaussian"] - 0.25) < 5 * np.sqrt(0.25 * 0.75 / 400)


@pytest.mark.parametrize("names", [np.array([4, 7, 9]), np.array(["cat", "dog", "owl"])])
def test_files_have_classes_of_any_kind(tmp_path, names):
    numbers = np.arange(30) % 3
    x = np.random.default_rng(0).standard_normal((30, 4))
    np.savez(tmp_path / "d.npz", x=x, y=names[numbers])
    chosen = [names[2].item(), names[0].item(), names[1].item()]
    entry = SOURCES.get("file").configure(path=str(tmp_path / "d.npz"), classes=chosen, n_test=6)
    data = prepare_dataset(entry, 12)
    assert data.labels == tuple(chosen)
    rows = {tuple(row): names[k] for row, k in zip(x, numbers, strict=True)}
    assert [rows[tuple(row)] for row in data.x_train] == [chosen[k] for k in data.class_train]


def test_flipped_inputs_go_to_the_other_classes_in_turn():
    clean = load_dataset("digits", 60, classes=DIGITS, n_test=9)
    noisy = load_dataset("digits", 60, classes=DIGITS, n_test=9, flip_fraction=0.2)
    np.testing.assert_array_equal(clean.x_train, noisy.x_train)
    moved = clean.class_train != noisy.class_train
    assert np.bincount(clean.class_train[moved]).tolist() == [4, 4, 4]
    assert np.bincount(noisy.class_train).tolist() == [20, 20, 20]


def test_classes_of_a_data_set_made_by_hand():
    x, targets = np.ones((4, 2)), np.array([[1.0, 0], [0, 1], [1, 0], [0, 1]])
    two = Dataset(x, targets, x, targets)
    assert (two.n_outputs, two.labels) == (2, (0, 1))
    np.testing.assert_array_equal(two.class_train, [0, 1, 0, 1])
    turned = Dataset(x, targets @ [[0.6, 0.8], [-0.8, 0.6]], x, targets, class_train=two.class_train)
    np.testing.assert_array_equal(turned.class_train, [0, 1, 0, 1])
    assert turned.identity != two.identity
    for wrong in (
        {"class_train": [0, 1, 2, 0]},
        {"class_train": [0, 1]},
        {"classes": (3, 3)},
        {"classes": (3, 8, 5)},
    ):
        with pytest.raises(InvalidInput):
            Dataset(x, targets, x, targets, **wrong)
    with pytest.raises(InvalidInput):
        Dataset(x, targets[:, :1], x, targets[:, :1])
    with pytest.raises(InvalidInput):
        Dataset(x, targets[:, 0], x, targets[:, 0], classes=(3, 8))


def test_distances_of_pairs_agree_with_those_of_centroids():
    rng = np.random.default_rng(1)
    numbers = np.arange(12) % 4
    features = rng.standard_normal((2, 12, 30))
    weights = class_weights_of_numbers(numbers, 4)
    found = pair_distances_sq_of_features(features, weights)
    for k, (s, t) in enumerate(class_pairs(4)):
        centroids = [features[1][numbers == c].mean(0) for c in (s, t)]
        expected = ((centroids[0] - centroids[1]) ** 2).mean()
        assert found[1, k] == pytest.approx(expected, rel=1e-12)
    kernel = features[1] @ features[1].T / 30
    np.testing.assert_allclose(pair_distances_sq(kernel, weights), found[1], rtol=1e-12)
    assert pair_names(DIGITS) == ["3-8", "3-5", "8-5"]


def study(*datasets: dict) -> dict:
    grid = {"n_train": [12], "width": [4], "temperature": [1.0]}
    return {"study": "s", "datasets": list(datasets), "grid": grid}


def digits(name: str, *classes: int, **keys) -> dict:
    return {"name": name, "source": "digits", "classes": list(classes), **keys}


def test_all_data_sets_of_a_study_have_one_number_of_classes():
    assert parse_config(study(digits("a", 3, 8), digits("b", 1, 7))).n_outputs == 1
    with pytest.raises(ConfigErrors) as caught:
        parse_config(study(digits("a", 3, 8), digits("b", 1, 7, 2)))
    (line,) = caught.value.problems
    assert line.startswith("datasets[1].classes: (1, 7, 2)")
    assert "2 classes, as data set 'a'" in line


def test_two_classes_are_written_as_ever():
    """No new key of a data set of two classes is in what hashes are made of."""
    for source, keys in (
        ("digits", {"classes": (3, 8)}),
        ("gaussian", {"n_features": 3}),
        ("file", {"path": "d.npz"}),
    ):
        settings = SOURCES.get(source).configure(**keys)
        assert not {"targets", "n_classes"} & set(settings.model_dump(mode="json"))
    assert load_dataset("digits", 10, classes=(3, 8)).labels == LABELS


def test_variables_of_two_classes_have_no_new_dimension():
    for stage in ("theory", "sampling", "dynamics"):
        one = {v.name: v.dims for v in variables_of(stage)}
        many = {v.name: v.dims for v in variables_of(stage, 3)}
        assert not {"pair", "output", "output2"} & {d for dims in one.values() for d in dims}
        assert set(one) <= set(many)
        assert many["centroid_distance_sq"] == ("split", "pair")
        assert many["signal_variance"] == ("output",)
        assert many["readout_covariance"] == ("output", "output2")
    assert "readout_covariance" in OBSERVABLES


@pytest.mark.parametrize("on_disk", [False, True])
def test_the_cube_holds_the_union_of_the_classes(tmp_path, on_disk):
    """Two data sets of other classes in one table; what a data set does not have is NaN."""
    config = parse_config(study(digits("a", 3, 8, 5), digits("b", 5, 1, 3)))
    coords = class_coords_of(config.datasets)
    assert coords["label"] == [3, 8, 5, 1]
    assert coords["pair"] == ["3-8", "3-5", "8-5", "5-1", "5-3", "1-3"]
    assert coords["output"] == [0, 1, 2]
    blocks = []
    for name, classes in (("a", (3, 8, 5)), ("b", (5, 1, 3))):
        result = xr.Dataset(
            {
                "gyration_radius_sq": (("split", "label"), np.array([classes, classes], dtype=float)),
                "centroid_distance_sq": (
                    ("split", "pair"),
                    np.array([[10.0 * classes[s] + classes[t] for s, t in class_pairs(3)]] * 2),
                ),
                "signal_variance": ("output", [1.0, 2.0, 3.0]),
                "converged": ((), 1.0),
            },
            coords={
                "split": ["train", "test"],
                "label": list(classes),
                "pair": pair_names(classes),
                "output": [0, 1, 2],
            },
        )
        point = {"dataset": name, "activation": "erf", "n_train": 12, "width": 4, "temperature": 1.0}
        blocks.append((point | {"lambda0": 1.0, "lambda1": 1.0, "seed": 0}, result))
    table = point_table(blocks, "theory")
    tables: list = [table]
    if on_disk:
        path = write_table(table, tmp_path / "t.table")
        assert json.dumps(read_table(path).coords["pair"])
        tables = [path]
    cube = assemble_cube("theory", config.axes("theory"), {"approximation": ["p"]}, tables, coords)
    assert cube["label"].values.tolist() == [3, 8, 5, 1]
    radius = cube["gyration_radius_sq"].squeeze().sel(split="train").drop_vars("split")
    np.testing.assert_array_equal(radius.sel(dataset="a"), [3, 8, 5, np.nan])
    np.testing.assert_array_equal(radius.sel(dataset="b"), [3, np.nan, 5, 1])
    distance = cube["centroid_distance_sq"].squeeze().sel(split="test")
    assert distance.sel(dataset="b", pair="5-1") == 51.0
    assert np.isnan(distance.sel(dataset="a", pair="5-1"))
    assert cube["peak_temperature"].dims[-2:] == ("split", "pair")
    assert cube["readout_covariance"].dims[-2:] == ("output", "output2")
