"""A user's own data: any of five kinds of files, any names of arrays, labels as they come."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
import yaml
from scipy.io import savemat

from proplim.cli import main
from proplim.config import ConfigErrors, data_warnings, load_config, parse_config
from proplim.datasets import SOURCES, load_dataset, prepare_dataset
from proplim.errors import InvalidInput
from proplim.theory import solve_grid

M = 40
X = np.random.default_rng(3).standard_normal((M, 3))
NUMBERS = np.arange(M) % 4  # classes 0 to 3, ten inputs each
TEXTS = np.array(["red", "green", "blue", "blue green"])[NUMBERS]


def entry(path: Path, **keys):
    return SOURCES.get("file").configure(name="d", path=str(path), **{"n_test": 4, **keys})


def write(folder: Path, kind: str, x: np.ndarray, y: np.ndarray, x_name="x", y_name="y") -> Path:
    """The same arrays in a file of any kind."""
    path = folder / f"d.{kind}"
    if kind == "npz":
        np.savez(path, **{x_name: x, y_name: y})
    elif kind == "nc":
        xr.Dataset({x_name: (("m", "f"), x), y_name: (("m",), y)}).to_netcdf(path)
    elif kind == "mat":
        savemat(path, {x_name: x, y_name: y})  # vectors become rows
    elif kind == "npy":
        path = folder / f"{x_name}.npy"
        np.save(path, x)
        np.save(folder / f"{y_name}.npy", y)
    else:
        rows = [",".join(["a", y_name, "b", "c"])]
        rows += [f"{a!r},{label},{b!r},{c!r}" for (a, b, c), label in zip(x.tolist(), y, strict=True)]
        path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path


def rows_of(data, label: int) -> set[tuple[float, ...]]:
    chosen = [data.x_train[data.y_train == label], data.x_test[data.y_test == label]]
    return {tuple(row) for row in np.concatenate(chosen)}


def members(mask: np.ndarray) -> set[tuple[float, ...]]:
    return {tuple(row) for row in X[mask]}


@pytest.mark.parametrize("kind", ["npz", "nc", "mat", "npy", "csv"])
@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        (NUMBERS, (3, 1)),
        (NUMBERS.astype(float), (3, 1.0)),
        (TEXTS, ("blue green", "green")),
    ],
    ids=["integers", "floats", "texts"],
)
def test_every_kind_of_file_and_label_gives_the_inputs_of_its_classes(tmp_path, kind, labels, classes):
    path = write(tmp_path, kind, X, labels)
    data = prepare_dataset(entry(path, classes=classes), 12)
    assert (data.n_train, data.n_test, int(data.y_train.sum()), int(data.y_test.sum())) == (12, 4, 0, 0)
    assert rows_of(data, -1) <= members(NUMBERS == 3)
    assert rows_of(data, +1) <= members(NUMBERS == 1)
    assert len(rows_of(data, -1)) == len(rows_of(data, +1)) == 8, "training and test inputs are disjoint"


@pytest.mark.parametrize("kind", ["npz", "mat", "npy", "csv"])
def test_booleans_choose_and_are_chosen(tmp_path, kind):
    path = write(tmp_path, kind, X, NUMBERS > 1)
    truth, numbers = (prepare_dataset(entry(path, classes=c), 8) for c in ([False, True], [0, 1]))
    assert rows_of(truth, +1) <= members(NUMBERS > 1)
    assert truth == numbers


@pytest.mark.parametrize("kind", ["npz", "nc", "mat", "npy", "csv"])
def test_arrays_have_any_name(tmp_path, kind):
    path = write(tmp_path, kind, X, NUMBERS, "images", "what it is")
    names = {"y": "what it is"} | ({} if kind == "csv" else {"x": "images"})
    data = prepare_dataset(entry(path, classes=[0, 2], **names), 8)
    assert rows_of(data, +1) <= members(NUMBERS == 2)
    assert "images" not in data.identity or kind != "csv"


def test_a_npy_file_is_the_inputs_whatever_it_is_called(tmp_path):
    write(tmp_path, "npy", X, NUMBERS, "features", "labels")
    data = prepare_dataset(entry(tmp_path / "features.npy", y="labels.npy", classes=[0, 2]), 8)
    assert rows_of(data, +1) <= members(NUMBERS == 2)
    files = SOURCES.get("file").files(entry(tmp_path / "features.npy", y="labels"))
    assert [file.name for file in files] == ["features.npy", "labels.npy"]
    before = data.identity
    np.save(tmp_path / "labels.npy", NUMBERS[::-1])
    after = prepare_dataset(entry(tmp_path / "features.npy", y="labels", classes=[0, 2]), 8)
    assert after.identity != before, "both files count"


@pytest.mark.parametrize("shape", [(M,), (M, 1), (1, M)])
def test_labels_may_be_a_column(tmp_path, shape):
    path = write(tmp_path, "npz", X, (2 * (NUMBERS % 2) - 1).reshape(shape))
    data = prepare_dataset(entry(path), 8)
    assert rows_of(data, -1) <= members(NUMBERS % 2 == 0)
    np.savez(tmp_path / "d.npz", x=X, y=NUMBERS.reshape(shape))
    assert rows_of(prepare_dataset(entry(path, classes=[0, 1]), 8), -1) <= members(NUMBERS == 0)


@pytest.fixture
def keras(tmp_path) -> Path:
    """A file with the names, types and shapes of Keras' mnist.npz."""
    rng = np.random.default_rng(0)
    arrays = {}
    for split, n in (("train", 60), ("test", 30)):
        digits = np.arange(n) % 10
        images = rng.integers(0, 256, (n, 28, 28), dtype=np.uint8)
        images[:, 0, 0] = digits
        images[:, 0, 1] = split == "test"
        arrays |= {f"x_{split}": images, f"y_{split}": digits.astype(np.uint8)}
    np.savez(tmp_path / "mnist.npz", **arrays)
    return tmp_path / "mnist.npz"


def test_training_and_test_sets_are_pools_where_classes_are_chosen(keras):
    small, large = (prepare_dataset(entry(keras, classes=[3, 8]), n) for n in (6, 12))
    assert small.x_train.shape == (6, 784)
    for data in (small, large):
        for x, y, test in ((data.x_train, data.y_train, 0), (data.x_test, data.y_test, 1)):
            np.testing.assert_array_equal(x[:, 0], np.where(y < 0, 3, 8))
            assert (x[:, 1] == test).all()
            assert y.sum() == 0
        assert len({tuple(row) for row in data.x_train}) == data.n_train
    np.testing.assert_array_equal(small.x_train, large.x_train[:6])
    np.testing.assert_array_equal(small.x_test, large.x_test)
    other = prepare_dataset(entry(keras, classes=[3, 8]), 6, seed=1)
    assert not np.array_equal(other.x_train, small.x_train)
    capacity = SOURCES.get("file").capacity
    assert capacity(entry(keras, classes=[3, 8])) == (12, False)
    with pytest.raises(InvalidInput, match="n_test: 7 is not allowed; at most 6, as x_test has them"):
        capacity(entry(keras, classes=[3, 8], n_test=7))
    only_train = prepare_dataset(entry(keras, classes=[3, 8], x="x_train", y="y_train"), 8)
    assert (only_train.x_test[:, 1] == 0).all(), "one pool for both"


def test_data_of_old_keep_their_identity(tmp_path):
    """Without the new keys, what identifies data is what it was: no seed and no finished result changes."""
    path = write(tmp_path, "npz", X, 2 * (NUMBERS % 2) - 1)
    source, settings = SOURCES.get("file"), entry(path)
    assert source.data_keys(settings) == {"n_test": 4, "standardize": False, "source": "file"}
    assert source.identity(settings) == {"source": "file"}
    assert prepare_dataset(settings, 8).identity.startswith('{"content":"')
    chosen = entry(path, classes=[-1, 1])
    assert source.identity(chosen) == {"source": "file", "classes": [-1, 1]}


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("a,b\n1,2\n", "a column 'y' of labels, or its name as `y`; found 'a', 'b'"),
        ("a,y\n1,0\nx,1\n", "numbers in every column but 'y'; column 'a' holds 'x'"),
        ("a,y\n1,0\n,1\n", "column 'a' has none in line 3"),
        (",a,y\n0,1,0\n1,2,1\n", "column 1 has none"),
        ("", "a readable .csv file"),
        ("a,y\n1,0\n2,1,5,6\n", "a readable .csv file"),
    ],
)
def test_a_csv_that_cannot_be_meant_is_one_line(tmp_path, text, named):
    (tmp_path / "d.csv").write_text(text)
    with pytest.raises(InvalidInput) as caught:
        prepare_dataset(entry(tmp_path / "d.csv", classes=[0, 1]), 4)
    assert named in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_csv_as_spreadsheets_write_it(tmp_path):
    """Byte-order mark, semicolons, quoted texts; NA is a text like any other where it is a label."""
    lines = ["\ufeffa;klass;b"] + [f'{i}.5;"{"NA" if i % 2 else "ä, ö"}";{-i}' for i in range(12)]
    (tmp_path / "d.csv").write_bytes("\r\n".join(lines).encode())
    data = prepare_dataset(entry(tmp_path / "d.csv", y="klass", classes=["ä, ö", "NA"], n_test=2), 6)
    np.testing.assert_array_equal(data.x_train[:, 0] - 0.5, -data.x_train[:, 1])
    np.testing.assert_array_equal(data.y_train, np.where(data.x_train[:, 1] % 2, 1, -1))


@pytest.mark.parametrize(
    ("keys", "named"),
    [
        ({}, "must be -1 or +1, or some of them chosen by `classes`; found 0, 1, 2"),
        ({"classes": [0, 7]}, "classes: 7 is not allowed; a class of this data set: 0, 1, 2, 3"),
        ({"classes": ["0", "1"]}, "classes: '0' is not allowed; a class of this data set: 0, 1, 2, 3"),
        ({"classes": [0, 1], "y": "z"}, "array z is missing"),
        ({"classes": [0, 1], "n_test": 20}, "n_test: 20 is not allowed; at most 18"),
    ],
)
def test_what_does_not_fit_the_file_is_one_line(tmp_path, keys, named):
    path = write(tmp_path, "npz", X, NUMBERS)
    with pytest.raises(InvalidInput) as caught:
        SOURCES.get("file").capacity(entry(path, **keys))
    assert named in str(caught.value)


@pytest.mark.parametrize(
    ("classes", "named"),
    [
        ([3], "two classes, the first for y = -1"),
        ([1, True], "two different classes"),
        ([1, 1.0], "two different classes"),
        ([1, 1.5], "an integer, a text, true or false"),
        ([1, 2, 1], "3 different classes"),
    ],
)
def test_classes_that_make_no_task_are_one_line(tmp_path, classes, named):
    data = {"name": "d", "source": "file", "path": "d.npz", "classes": classes}
    grid = {"n_train": [4], "width": [4], "temperature": [1.0]}
    with pytest.raises(ConfigErrors) as caught:
        parse_config({"study": "s", "datasets": [data], "grid": grid})
    assert named in caught.value.problems[0]
    assert caught.value.problems[0].startswith("datasets[0].classes")


def test_check_warns_of_inputs_far_from_unit_scale(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    np.savez("d.npz", x=1e6 * X, y=2 * (NUMBERS % 2) - 1)
    data = {"name": "mine", "source": "file", "path": "d.npz", "n_test": 4}
    grid = {"n_train": [4], "width": [4], "temperature": [1.0]}
    study = {"study": "s", "datasets": [data], "grid": grid}
    Path("s.yaml").write_text(yaml.safe_dump(study))
    with pytest.raises(SystemExit) as stopped:
        main(["check", "s.yaml"])
    assert not stopped.value.code
    said = capsys.readouterr()
    scale = np.sqrt(np.mean((1e6 * X) ** 2))
    assert said.err.startswith(
        f"warning: datasets[0]: the root mean square of the inputs of 'mine' is {scale:.3g}"
    )
    assert "ok" in said.out
    for change in ({"standardize": True}, {"path": "good.npz"}):
        np.savez("good.npz", x=X, y=2 * (NUMBERS % 2) - 1)
        Path("s.yaml").write_text(yaml.safe_dump({**study, "datasets": [{**data, **change}]}))
        assert data_warnings(load_config("s.yaml")) == []


@pytest.mark.parametrize(
    ("kind", "labels", "classes"), [("csv", TEXTS, ("red", "blue")), ("npz", NUMBERS, ("0", "2"))]
)
def test_the_command_reads_them(tmp_path, capsys, kind, labels, classes):
    """Texts and numbers of the command line are classes of either kind."""
    path = write(tmp_path, kind, X, labels, y_name="kind")
    options = ("--y", "kind", "--classes", *classes, "--n-test", "4")
    point = ("--n-train", "8", "--width", "4", "--temperature", "1", "--json")
    with pytest.raises(SystemExit) as stopped:
        main(["theory", "--dataset", str(path), *options, *point])
    said = capsys.readouterr()
    assert not stopped.value.code, said.err
    data = load_dataset("file", 8, path=path, y="kind", n_test=4, classes=(labels[0], labels[2]))
    solved = solve_grid(data, "erf", temperature=1.0, width=4).squeeze()
    expected = solved.centroid_distance_sq.sel(split="train", approximation="proportional")
    found = json.loads(said.out)["approximations"]["proportional"]["centroid_distance_sq [train]"]
    assert found == pytest.approx(float(expected), rel=1e-9)
