"""Data sets: balanced, disjoint, reproducible draws from every source, and clear errors."""

from __future__ import annotations

import gzip
import pickle
import struct
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from proplim.datasets import SOURCES, Dataset, load_dataset, prepare_dataset
from proplim.datasets._draw import flipped_labels
from proplim.errors import InvalidInput, ProplimError


def configure(source, **keys):
    return SOURCES.get(source).configure(name="d", **keys)


DIGITS = configure(source="digits", classes=[3, 8], n_test=40)


@pytest.mark.parametrize(
    "config",
    [
        DIGITS,
        configure(source="gaussian", n_features=7, n_test=10),
        configure(source="teacher", n_features=7, noise=0.3, n_test=10),
    ],
    ids=lambda c: c.source,
)
@pytest.mark.parametrize("n_train", [20, 31])
def test_draws_are_balanced_and_reproducible(config, n_train):
    one, again, other = (prepare_dataset(config, n_train, seed) for seed in (0, 0, 1))
    assert one.x_train.shape == (n_train, one.n_features)
    assert abs(int(one.y_train.sum())) == n_train % 2
    assert int(one.y_test.sum()) == 0
    assert set(one.y_train.tolist()) == {-1.0, 1.0}
    np.testing.assert_array_equal(one.x_train, again.x_train)
    assert one.identity == again.identity != other.identity
    assert not np.array_equal(one.x_train, other.x_train)


def test_standardisation_uses_the_training_inputs_only():
    dataset = prepare_dataset(DIGITS, 60)
    assert dataset.x_train.mean() == pytest.approx(0.0, abs=1e-12)
    assert dataset.x_train.std() == pytest.approx(1.0, abs=1e-12)
    assert abs(dataset.x_test.mean()) > 1e-6
    raw = prepare_dataset(configure(source="digits", classes=[3, 8], n_test=40, standardize=False), 60)
    np.testing.assert_allclose(
        dataset.x_test, (raw.x_test - raw.x_train.mean()) / raw.x_train.std(), rtol=1e-13, atol=1e-13
    )


def test_train_and_test_are_disjoint_and_training_sets_are_nested():
    config = configure(source="digits", classes=[3, 8], n_test=40, standardize=False)
    small, large = prepare_dataset(config, 60), prepare_dataset(config, 120)
    rows = [tuple(x) for x in large.x_train]
    assert len(set(rows) | {tuple(x) for x in large.x_test}) == 160
    assert {tuple(x) for x in small.x_train} <= set(rows)
    np.testing.assert_array_equal(small.x_test, large.x_test)


def test_labels_follow_the_order_of_classes():
    one = prepare_dataset(configure(source="digits", classes=[3, 8], n_test=0, standardize=False), 40)
    from sklearn.datasets import load_digits

    x, digit = load_digits(return_X_y=True)
    lookup = {tuple(row): int(d) for row, d in zip(x, digit, strict=True)}
    for row, label in zip(one.x_train, one.y_train, strict=True):
        assert lookup[tuple(row)] == (3 if label < 0 else 8)


def test_flipped_labels_change_nothing_but_training_labels():
    """A fifth of each class, in nested training sets; clean data are the same data as without the option."""
    noisy = configure(source="digits", classes=[3, 8], n_test=40, flip_fraction=0.2)
    clean, flipped, small = (prepare_dataset(c, n) for c, n in ((DIGITS, 60), (noisy, 60), (noisy, 30)))
    for name in ("x_train", "x_test", "y_test"):
        np.testing.assert_array_equal(getattr(clean, name), getattr(flipped, name))
    turned = flipped.y_train != clean.y_train
    for label in (-1, 1):
        assert turned[clean.y_train == label].sum() == 6
    assert flipped.y_train.sum() == 0
    np.testing.assert_array_equal(small.y_train, flipped.y_train[:30])
    assert flipped.identity != clean.identity
    assert "flip_fraction" not in clean.identity
    explicit = configure(source="digits", classes=[3, 8], n_test=40, flip_fraction=0.0)
    assert prepare_dataset(explicit, 60).identity == clean.identity
    assert "flip_fraction" not in explicit.model_dump()
    assert noisy.model_dump()["flip_fraction"] == 0.2


@pytest.mark.parametrize(("n", "fraction", "count"), [(10, 0.3, 6), (30, 0.1, 6), (7, 0.5, 6), (20, 0.01, 0)])
def test_the_number_of_flips_is_rounded_down_in_each_class(n, fraction, count):
    labels = np.where(np.arange(2 * n) % 2, 1.0, -1.0)
    assert (flipped_labels(labels, fraction) != labels).sum() == count


@pytest.mark.parametrize("value", [-0.1, 0.6, True, float("nan")])
def test_a_share_of_flips_outside_its_range_is_refused(value):
    with pytest.raises(InvalidInput, match="flip_fraction"):
        load_dataset("digits", 20, classes=(3, 8), flip_fraction=value)
    with pytest.raises(InvalidInput, match="unknown key"):
        load_dataset("gaussian", 20, n_features=4, flip_fraction=0.1)


def test_too_many_inputs_name_the_limit():
    with pytest.raises(InvalidInput, match=r"n_train.*at most 308"):
        prepare_dataset(DIGITS, 320)


def test_gaussian_inputs_are_standard_normal_and_labels_know_nothing_of_them():
    # Bounds of five standard errors: false-alarm rate below 1e-5 for the fixed seed.
    config = configure(source="gaussian", n_features=50, n_test=0, standardize=False)
    data = prepare_dataset(config, 2000, 3)
    assert abs(data.x_train.mean()) < 5 / np.sqrt(data.x_train.size)
    assert abs(data.x_train.var() - 1) < 5 * np.sqrt(2 / data.x_train.size)
    assert np.abs(data.y_train @ data.x_train / 2000).max() < 5 / np.sqrt(2000)


def test_teacher_labels_follow_a_direction_and_noise_blurs_it():
    def separation(noise):
        config = configure(source="teacher", n_features=20, noise=noise, n_test=500)
        data = prepare_dataset(config, 1000, 0)
        direction = data.y_train @ data.x_train
        return np.mean(np.sign(data.x_test @ direction) == data.y_test)

    assert separation(0.0) > 0.9 > separation(1.0) > 0.6


def write_idx(path: Path, array: np.ndarray) -> None:
    header = struct.pack(">BBBB", 0, 0, 8, array.ndim) + struct.pack(f">{array.ndim}I", *array.shape)
    raw = header + array.astype(np.uint8).tobytes()
    path.write_bytes(gzip.compress(raw) if path.suffix == ".gz" else raw)


def make_mnist(folder: Path, split: str, n: int, suffix: str = ".gz") -> np.ndarray:
    rng = np.random.default_rng(len(split))
    images, labels = rng.integers(0, 256, (n, 28, 28)), np.arange(n) % 10
    folder.mkdir(parents=True, exist_ok=True)
    write_idx(folder / f"{split}-images-idx3-ubyte{suffix}", images)
    write_idx(folder / f"{split}-labels-idx1-ubyte{suffix}", labels)
    return images


def test_mnist_from_a_folder_pools_train_and_t10k(tmp_path):
    make_mnist(tmp_path / "MNIST" / "raw", "train", 100, suffix="")
    config = configure(source="mnist", classes=[3, 8], n_test=4, root=str(tmp_path))
    assert prepare_dataset(config, 16).n_features == 784
    with pytest.raises(InvalidInput, match="at most 16"):
        prepare_dataset(config, 18)
    make_mnist(tmp_path, "t10k", 50)
    assert prepare_dataset(config, 24).n_train == 24


def test_a_cut_file_is_named(tmp_path):
    make_mnist(tmp_path, "t10k", 30, suffix="")
    path = tmp_path / "t10k-images-idx3-ubyte"
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(InvalidInput, match=r"t10k-images-idx3-ubyte.*cut short"):
        load_dataset("mnist", 4, classes=(3, 8), root=tmp_path, n_test=0)


def test_an_empty_folder_is_named(tmp_path):
    with pytest.raises(InvalidInput, match="train-images-idx3-ubyte"):
        load_dataset("fashion_mnist", 4, classes=(3, 8), root=tmp_path)
    with pytest.raises(InvalidInput, match="a folder"):
        load_dataset("cifar10", 4, classes=(3, 8), root=tmp_path / "absent")


def test_cifar10_batches_and_refusal_of_foreign_pickles(tmp_path):
    rng = np.random.default_rng(0)
    batch = {
        b"data": rng.integers(0, 256, (40, 3072), dtype=np.uint8),
        b"labels": [int(k % 10) for k in range(40)],
    }
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    (folder / "data_batch_1").write_bytes(pickle.dumps(batch, protocol=2))
    options = {"classes": (3, 8), "root": tmp_path, "standardize": False, "n_test": 0}
    data = load_dataset("cifar10", 8, **options)
    for label, digit in ((-1, 3), (1, 8)):
        expected = batch[b"data"][np.array(batch[b"labels"]) == digit]
        assert {tuple(x) for x in data.x_train[data.y_train == label]} == {
            tuple(x) for x in expected.astype(float)
        }
    (folder / "test_batch").write_bytes(pickle.dumps({b"data": Path("x")}))
    with pytest.raises(InvalidInput, match="no place in a CIFAR-10 batch"):
        load_dataset("cifar10", 8, **options)


def test_without_network_the_message_says_what_to_do(tmp_path, monkeypatch):
    import pooch

    def offline(*arguments, **keys):
        raise OSError("no route to host")

    monkeypatch.setattr(pooch, "retrieve", offline)
    monkeypatch.setenv("PROPLIM_DATA", str(tmp_path))
    with pytest.raises(ProplimError, match=r"MNIST could not be downloaded.*root: FOLDER"):
        load_dataset("mnist", 4, classes=(3, 8))


@pytest.mark.shared
def test_real_mnist(shared_dir):
    config = configure(source="mnist", classes=[3, 8], n_test=200, root=str(shared_dir / "data" / "mnist"))
    data = prepare_dataset(config, 400)
    assert data.x_train.shape == (400, 784)
    # Two classes of real images are far from each other compared with the labels shuffled.
    means = [data.x_train[data.y_train == s].mean(0) for s in (-1, 1)]
    shuffled = np.random.default_rng(0).permutation(data.y_train)
    mixed = [data.x_train[shuffled == s].mean(0) for s in (-1, 1)]
    assert np.linalg.norm(means[0] - means[1]) > 4 * np.linalg.norm(mixed[0] - mixed[1])


class TestFile:
    def write(self, path: Path, **arrays) -> Path:
        np.savez(path, **arrays)
        return path

    def pool(self, m: int = 40) -> dict[str, np.ndarray]:
        rng = np.random.default_rng(0)
        return {"x": rng.standard_normal((m, 3)), "y": np.where(np.arange(m) % 4, 1, -1)}

    def test_pool_in_npz_and_netcdf_give_the_same_rows(self, tmp_path):
        arrays = self.pool()
        npz = self.write(tmp_path / "d.npz", **arrays)
        xr.Dataset({"x": (("m", "f"), arrays["x"]), "y": (("m",), arrays["y"])}).to_netcdf(tmp_path / "d.nc")
        for path in (npz, tmp_path / "d.nc"):
            data = prepare_dataset(configure(source="file", path=str(path), n_test=4), 8)
            assert data.n_train == 8
            assert int(data.y_train.sum()) == 0
            assert {tuple(row) for row in data.x_train} <= {tuple(row) for row in arrays["x"]}

    def test_given_splits_are_taken_exactly(self, tmp_path):
        rng = np.random.default_rng(1)
        arrays = {
            "x_train": rng.standard_normal((5, 3)),
            "y_train": np.array([1, -1, 1, 1, -1]),
            "x_test": rng.standard_normal((2, 3)),
            "y_test": np.array([1, 1]),
        }
        path = self.write(tmp_path / "d.npz", **arrays)
        data = prepare_dataset(configure(source="file", path=str(path)), 5)
        for name, value in arrays.items():
            np.testing.assert_array_equal(getattr(data, name), value)
        with pytest.raises(InvalidInput, match="exactly 5 rows"):
            prepare_dataset(configure(source="file", path=str(path)), 4)

    def test_a_file_that_is_overwritten_is_read_again(self, tmp_path):
        """Arrays and identity are of the same bytes, whatever was read under that name before."""
        arrays = self.pool()
        config = configure(source="file", path=str(tmp_path / "d.npz"), n_test=4)
        self.write(tmp_path / "d.npz", **arrays)
        before = prepare_dataset(config, 8)
        self.write(tmp_path / "d.npz", x=arrays["x"] + 100.0, y=arrays["y"])
        after = prepare_dataset(config, 8)
        assert after.identity != before.identity
        assert after.x_train.min() > 50
        self.write(tmp_path / "copy.npz", x=arrays["x"] + 100.0, y=arrays["y"])
        assert (
            prepare_dataset(configure(source="file", path=str(tmp_path / "copy.npz"), n_test=4), 8) == after
        )

    def test_what_a_user_does_to_arrays_stays_there(self, tmp_path):
        rng = np.random.default_rng(1)
        y = np.array([1.0, -1, 1, 1, -1])
        given = {
            "x_train": rng.standard_normal((5, 3)),
            "y_train": y,
            "x_test": np.ones((2, 3)),
            "y_test": y[:2],
        }
        config = configure(source="file", path=str(self.write(tmp_path / "d.npz", **given)))
        first = prepare_dataset(config, 5)
        first.x_train[:] = 7.0
        np.testing.assert_array_equal(prepare_dataset(config, 5).x_train, given["x_train"])
        mine = Dataset(**given)
        given["x_train"][:] = 7.0
        assert not (mine.x_train == 7.0).any()

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"y": None}, "array y is missing"),
            ({"y": np.ones(39)}, "found shapes"),
            ({"x": np.full((40, 3), np.nan)}, "NaN"),
            ({"y": np.arange(40)}, "must be -1 or \\+1"),
            ({"y": np.ones(40)}, "both classes"),
            ({"x": np.array([["a"] * 3] * 40)}, "must hold numbers"),
        ],
    )
    def test_malformed_arrays_are_named(self, tmp_path, change, message):
        arrays = {k: v for k, v in {**self.pool(), **change}.items() if v is not None}
        path = self.write(tmp_path / "d.npz", **arrays)
        with pytest.raises(InvalidInput, match=message):
            prepare_dataset(configure(source="file", path=str(path), n_test=2), 4)

    def test_unreadable_files_are_named(self, tmp_path):
        for name in ("d.npz", "d.nc"):
            (tmp_path / name).write_bytes(b"not a data file")
            with pytest.raises(InvalidInput, match="a readable"):
                prepare_dataset(configure(source="file", path=str(tmp_path / name)), 4)
        with pytest.raises(InvalidInput, match="an existing file"):
            prepare_dataset(configure(source="file", path=str(tmp_path / "absent.npz")), 4)
        with pytest.raises(InvalidInput, match="ending in"):
            prepare_dataset(configure(source="file", path=str(tmp_path / "d.txt")), 4)


def test_images_that_are_replaced_are_read_again(tmp_path):
    config = configure(source="mnist", classes=[3, 8], n_test=0, root=str(tmp_path), standardize=False)
    make_mnist(tmp_path, "t10k", 40)
    before = prepare_dataset(config, 8)
    write_idx(tmp_path / "t10k-images-idx3-ubyte.gz", np.full((40, 28, 28), 9))
    after = prepare_dataset(config, 8)
    assert (after.x_train == 9).all()
    assert after.identity != before.identity


def test_files_that_data_depend_on_are_listed(tmp_path):
    def files(source, **keys):
        return {p.name for p in SOURCES.get(source).files(configure(source=source, **keys), [tmp_path])}

    assert files("digits", classes=[3, 8]) == files("mnist", classes=[3, 8]) == set()
    assert files("file", path="mine.npz") == {"mine.npz"}
    make_mnist(tmp_path / "deep" / "raw", "t10k", 20)
    found = files("mnist", classes=[3, 8], root="deep")
    assert found == {"t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"}
    assert files("mnist", classes=[3, 8], root="nowhere") == set()


def test_data_sets_are_equal_when_they_hold_the_same():
    one, same, other = (prepare_dataset(DIGITS, 20, seed) for seed in (0, 0, 1))
    assert one == same
    assert one != other
    assert one != "digits"
    assert len({one, same, other}) == 2
    changed = Dataset(one.x_train + 1, one.y_train, one.x_test, one.y_test, one.identity)
    assert changed != one
    assert one.labels == (-1, 1)


def test_arrays_of_the_wrong_shape_are_refused():
    x, y = np.zeros((4, 3)), np.array([1.0, -1, 1, -1])
    with pytest.raises(InvalidInput, match="y_train"):
        Dataset(x, y[:3], x, y)
    with pytest.raises(InvalidInput, match="x_test"):
        Dataset(x, y, x[:, :2], y)
    with pytest.raises(InvalidInput, match="NaN"):
        Dataset(x * np.nan, y, x, y)
    assert Dataset(x, y, x, y).identity == Dataset(x, y, x, y).identity != Dataset(x + 1, y, x, y).identity


@pytest.mark.parametrize(
    ("source", "options", "named"),
    [
        ("digit", {}, "did you mean 'digits'"),
        ("digits", {}, "classes: None is not allowed; this key is required"),
        ("digits", {"classes": (3, 3)}, "two different classes"),
        ("digits", {"classes": (3, 11)}, "classes.1: 11"),
        ("digits", {"classes": (3, 8), "n_tets": 4}, "n_tets: 4 is not allowed; unknown key; allowed here: "),
        ("gaussian", {}, "n_features: None is not allowed; this key is required"),
        ("gaussian", {"n_features": 0}, "n_features: 0"),
        ("gaussian", {"n_features": 3, "n_test": True}, "n_test: True"),
        ("file", {"path": "absent.npz"}, "an existing file"),
    ],
)
def test_options_of_load_dataset_are_judged_in_one_line(source, options, named):
    with pytest.raises(InvalidInput) as caught:
        load_dataset(source, 20, **options)
    assert named in str(caught.value)
    assert "\n" not in str(caught.value)
