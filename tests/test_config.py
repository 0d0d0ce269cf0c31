"""Configurations: what is wrong is said at once, one line each, before anything is computed."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest
import yaml

from proplim.config import ConfigErrors, check_data, json_schema, load_config, parse_config, resolved_yaml
from proplim.config._model import study_config_type
from proplim.datasets import SOURCES

ROOT = Path(__file__).resolve().parents[1]
GOOD = {
    "study": "s",
    "datasets": [{"name": "d", "source": "digits", "classes": [3, 8], "n_test": 20}],
    "grid": {"n_train": [20, 40], "width": [10], "temperature": [0.1, 1.0]},
}
GAUSSIAN = {"name": "g", "source": "gaussian", "n_features": 5}


def changed(path: str, value) -> dict:
    """The good configuration with one value replaced (or removed, where it is `...`)."""
    config = copy.deepcopy(GOOD)
    *parents, last = path.split("/")
    here = config
    for key in parents:
        here = here[int(key)] if isinstance(here, list) else here.setdefault(key, {})
    last = int(last) if isinstance(here, list) else last
    if value is ...:
        del here[last]
    else:
        here[last] = value
    return config


BAD = [
    # (where, value, what the line must name)
    ("study", ..., ["study", "required"]),
    ("study", "", ["study"]),
    ("study", "../up", ["study", "../up"]),
    ("study", "/abs", ["study", "/abs"]),
    ("study", "a/b", ["study", "a/b"]),
    ("study", "a..b", ["study", "a..b"]),
    ("study", ".hidden", ["study", ".hidden"]),
    ("study", "with space", ["study", "with space"]),
    ("study", "x" * 200, ["study"]),
    ("study", 3, ["study", "3"]),
    ("studdy", "s", ["studdy", "did you mean 'study'"]),
    ("datasets", ..., ["datasets", "required"]),
    ("datasets", [], ["datasets"]),
    ("datasets", {}, ["datasets"]),
    ("datasets", ["digits"], ["datasets[0]"]),
    ("datasets/0/name", ..., ["datasets[0].name", "required"]),
    ("datasets/0/name", "../../etc", ["datasets[0].name", "../../etc"]),
    ("datasets/0/source", ..., ["datasets[0].source", "digits"]),
    ("datasets/0/source", "digit", ["datasets[0].source", "did you mean 'digits'"]),
    ("datasets/0/source", "imagenet", ["datasets[0].source", "imagenet", "cifar10"]),
    ("datasets/0/classes", ..., ["datasets[0].classes", "required"]),
    ("datasets/0/classes", [3], ["datasets[0].classes"]),
    ("datasets/0/classes", [3, 3], ["datasets[0].classes", "two different"]),
    ("datasets/0/classes", [3, 10], ["datasets[0].classes[1]", "10"]),
    ("datasets/0/classes", [3, -1], ["datasets[0].classes[1]", "-1"]),
    ("datasets/0/classes", [1, 2, 1], ["datasets[0].classes", "3 different"]),
    ("datasets/0/targets", "one_hot", ["datasets[0].targets", "two classes"]),
    ("datasets/0", {**GAUSSIAN, "n_classes": 1}, ["datasets[0].n_classes", "1"]),
    ("datasets/0/classes", [3, "eight"], ["datasets[0].classes[1]", "eight"]),
    ("datasets/0/classes", [True, 8], ["datasets[0].classes[0]", "True"]),
    ("datasets/0/n_test", -1, ["datasets[0].n_test", "-1"]),
    ("datasets/0/n_test", 2.5, ["datasets[0].n_test", "2.5"]),
    ("datasets/0/n_tset", 5, ["datasets[0].n_tset", "did you mean 'n_test'"]),
    ("datasets/0/n_features", 5, ["datasets[0].n_features"]),
    ("datasets/0/standardize", "maybe", ["datasets[0].standardize", "maybe"]),
    ("datasets/0", {"name": "d", "source": "file"}, ["datasets[0].path", "required"]),
    ("datasets/0", {"name": "d", "source": "file", "path": ""}, ["datasets[0].path"]),
    ("datasets/0", {"name": "d", "source": "gaussian"}, ["datasets[0].n_features", "required"]),
    ("datasets/0", {**GAUSSIAN, "n_features": 0}, ["datasets[0].n_features", "0"]),
    ("datasets/0", {**GAUSSIAN, "noise": -0.1}, ["datasets[0].noise", "-0.1"]),
    ("datasets/0", {**GAUSSIAN, "noise": float("nan")}, ["datasets[0].noise", "nan"]),
    ("datasets/0", {**GAUSSIAN, "classes": [0, 1]}, ["datasets[0].classes"]),
    (
        "datasets/0",
        {"name": "d", "source": "file", "path": "x.npz", "noise": 0.1},
        [
            "datasets[0].noise: 0.1",
            "unknown key; allowed here: name, n_test, standardize, targets, path, classes, x, y",
        ],
    ),
    ("datasets", [GAUSSIAN, GAUSSIAN], ["datasets[1].name", "every name once"]),
    ("grid", ..., ["grid", "required"]),
    ("grid", [1], ["grid"]),
    ("grid/n_train", ..., ["grid.n_train", "required"]),
    ("grid/n_train", [], ["grid.n_train", "at least one"]),
    ("grid/n_train", [1], ["grid.n_train[0]", "1"]),
    ("grid/n_train", [20, 20], ["grid.n_train", "every value once", "20"]),
    ("grid/n_train", [20.5], ["grid.n_train[0]", "20.5"]),
    ("grid/n_train", "many", ["grid.n_train", "many"]),
    ("grid/width", [0], ["grid.width[0]", "0"]),
    ("grid/width", [-5], ["grid.width[0]", "-5"]),
    ("grid/width", [True], ["grid.width", "True"]),
    ("grid/temperature", [0], ["grid.temperature[0]", "0"]),
    ("grid/temperature", [-1.0], ["grid.temperature[0]", "-1.0"]),
    ("grid/temperature", [float("nan")], ["grid.temperature[0]", "nan"]),
    ("grid/temperature", [float("inf")], ["grid.temperature[0]", "inf"]),
    ("grid/temperature", {"logspace": [0, 1, 3]}, ["grid.temperature", "logspace"]),
    ("grid/temperature", {"logspace": [0.1, 1]}, ["grid.temperature.logspace: 2 values", "[lo, hi, n]"]),
    ("grid/temperature", {"logspace": [0.1, 1, 0]}, ["grid.temperature"]),
    ("grid/temperature", {"logspace": [0.1, 0.1, 3]}, ["grid.temperature", "every value once"]),
    ("grid/temperature", {"geomspace": [0.1, 1, 3]}, ["grid.temperature", "logspace"]),
    ("grid/temperature", {"linspace": [-1, 1, 2]}, ["grid.temperature[0]"]),
    ("grid/temperature", None, ["grid.temperature"]),
    ("grid/lambda0", [0.0], ["grid.lambda0[0]", "0.0"]),
    ("grid/lambda1", ["one"], ["grid.lambda1[0]", "one"]),
    ("grid/activation", ["erff"], ["grid.activation", "did you mean 'erf'"]),
    ("grid/activation", [], ["grid.activation", "at least one"]),
    ("grid/activation", ["erf", "erf"], ["grid.activation", "every value once"]),
    ("grid/temperature", [0.1, 0.1 * (1 + 1e-14)], ["grid.temperature", "every value once"]),
    ("grid/seed", [-1], ["grid.seed[0]", "-1"]),
    ("grid/temprature", [1], ["grid.temprature", "did you mean 'temperature'"]),
    ("theory/approximations", [], ["theory.approximations"]),
    ("theory/approximations", ["mean_field"], ["theory.approximations[0]", "mean_field", "proportional"]),
    ("theory/approximations", ["proportional", "proportional"], ["theory.approximations", "once"]),
    (
        "theory/approximations",
        ["proportional", "exact"],
        ["theory.approximations[1]", "'exact'", "linear", "erf"],
    ),
    ("theory/enabled", "perhaps", ["theory.enabled", "perhaps"]),
    ("sampling/chains", 0, ["sampling.chains", "0"]),
    ("sampling/chains", True, ["sampling.chains", "True"]),
    ("sampling/target_ess", -3, ["sampling.target_ess", "-3"]),
    ("sampling/target_ess", float("inf"), ["sampling.target_ess", "inf", "finite"]),
    ("sampling/max_rhat", 1.0, ["sampling.max_rhat", "1.0"]),
    ("sampling/precision", "half", ["sampling.precision", "half"]),
    ("sampling/target_es", 100, ["sampling.target_es", "did you mean 'target_ess'"]),
    ("sampling/grid", {"temperature": []}, ["sampling.grid.temperature", "at least one"]),
    ("sampling/grid", {"temperature": [-1]}, ["sampling.grid.temperature[0]", "-1"]),
    ("sampling/grid", {"tempreature": [1]}, ["sampling.grid.tempreature", "did you mean 'temperature'"]),
    ("sampling/grid", {"activation": ["gelu?"]}, ["sampling.grid.activation", "gelu?"]),
    ("dynamics/optimizers", [], ["dynamics.optimizers"]),
    (
        "dynamics/optimizers",
        ["gradient_decent"],
        ["dynamics.optimizers", "gradient_decent", "gradient_descent"],
    ),
    ("dynamics/replicas", 0, ["dynamics.replicas", "0"]),
    ("dynamics/t_max", 1e-9, ["dynamics.t_max", "1e-09"]),
    ("dynamics/learning_rate", -1.0, ["dynamics.learning_rate", "-1.0"]),
    ("figures/formats", [], ["figures.formats"]),
    ("figures/formats", ["gif"], ["figures.formats[0]", "gif", "png"]),
    ("figures/dpi", 5, ["figures.dpi", "5"]),
    ("plugins", ["absent.py"], ["plugins[0]", "absent.py"]),
    ("plugins", "one.py", ["plugins", "one.py"]),
]


@pytest.mark.parametrize(("path", "value", "named"), BAD, ids=[f"{i}-{p}" for i, (p, _, _) in enumerate(BAD)])
def test_a_bad_value_is_named_in_one_line(path, value, named):
    with pytest.raises(ConfigErrors) as caught:
        parse_config(changed(path, value))
    (line,) = caught.value.problems
    assert "\n" not in line
    for word in named:
        assert word in line


def every_key() -> list[tuple[str, str]]:
    """(where it goes, how messages call it) for every key that a configuration can have."""
    model = study_config_type()
    keys = [(name, name) for name in model.model_fields]
    for section in ("grid", "theory", "sampling", "dynamics", "figures", "jobs"):
        keys += [
            (f"{section}/{k}", f"{section}.{k}") for k in model.model_fields[section].annotation.model_fields
        ]
    for source in SOURCES.members():
        keys += [(f"datasets/0/{source.name}:{k}", f"datasets[0].{k}") for k in source.model.model_fields]
    return keys


@pytest.mark.parametrize(("path", "called"), every_key())
def test_every_key_refuses_what_it_cannot_be(path, called):
    where, _, key = path.rpartition(":")
    nonsense = {"no": "such thing"}
    if where:
        source = where.rpartition("/")[2]
        config = changed("datasets/0", {"name": "d", "source": source, key: nonsense})
    else:
        config = changed(path, nonsense)
    with pytest.raises(ConfigErrors) as caught:
        parse_config(config)
    assert any(line.startswith((f"{called}:", f"{called}.", f"{called}[")) for line in caught.value.problems)
    assert all("\n" not in line for line in caught.value.problems)


def test_an_unknown_key_is_compared_with_those_of_its_own_source():
    entry = {"name": "d", "source": "file", "path": "x.npz", "noise": 0.1}
    with pytest.raises(ConfigErrors) as caught:
        parse_config(changed("datasets/0", entry))
    assert "did you mean" not in str(caught.value)


def test_exact_is_fine_where_one_activation_of_the_grid_is_linear_or_theory_does_not_run():
    config = changed("theory/approximations", ["exact"])
    config["grid"]["activation"] = ["erf", "linear"]
    assert parse_config(config).theory.approximations == ("exact",)
    config["grid"]["activation"] = ["erf"]
    with pytest.raises(ConfigErrors, match="exact"):
        parse_config(config)
    config["theory"]["enabled"] = False
    parse_config(config)


def test_all_problems_are_reported_at_once():
    config = changed("grid/width", [0])
    config["study"] = "a/b"
    config["samplin"] = {}
    with pytest.raises(ConfigErrors) as caught:
        parse_config(config)
    assert sorted(p.split(":")[0] for p in caught.value.problems) == ["grid.width[0]", "samplin", "study"]


def test_settings_are_judged_together():
    config = parse_config(changed("sampling", {"min_draws": 100, "max_draws": 100}))
    assert config.sampling.settings.max_draws == 100
    with pytest.raises(ConfigErrors) as caught:
        parse_config(changed("sampling", {"min_draws": 100, "max_draws": 50, "chains": 0, "jitter": 3}))
    keys = [line.split(":")[0] for line in caught.value.problems]
    assert sorted(keys) == ["sampling.chains", "sampling.jitter", "sampling.max_draws"]


def test_defaults_are_the_documented_ones():
    config = parse_config(GOOD)
    assert config.axes("theory") == {
        "dataset": ["d"],
        "activation": ["erf"],
        "n_train": [20, 40],
        "width": [10],
        "temperature": [0.1, 1.0],
        "lambda0": [1.0],
        "lambda1": [1.0],
        "seed": [0],
    }
    assert config.stages() == ["theory", "sampling", "dynamics"]
    assert "temperature" not in config.axes("dynamics")


def test_a_stage_replaces_single_axes():
    config = parse_config(changed("sampling/grid", {"temperature": [7], "width": {"linspace": [10, 30, 3]}}))
    axes = config.axes("sampling")
    assert (axes["temperature"], axes["width"], axes["n_train"]) == ([7.0], [10, 20, 30], [20, 40])
    assert config.axes("theory")["temperature"] == [0.1, 1.0]


def test_spaced_values_meet_listed_ones_exactly():
    config = parse_config(changed("grid/temperature", {"logspace": [0.001, 100, 31]}))
    values = config.axes("theory")["temperature"]
    assert {0.001, 0.01, 0.1, 1.0, 10.0, 100.0} <= set(values)
    np.testing.assert_allclose(values, np.geomspace(1e-3, 1e2, 31), rtol=1e-11)


def test_numbers_in_the_notation_yaml_takes_for_text(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text(yaml.safe_dump(changed("grid/temperature", ["1e-3", "1e2"])))
    assert load_config(path).axes("theory")["temperature"] == [1e-3, 1e2]


def test_the_resolved_configuration_reads_back_to_itself(tmp_path):
    config = load_config(ROOT / "config.yaml")
    again = tmp_path / "again.yaml"
    again.write_text(resolved_yaml(config))
    assert load_config(again) == config
    assert resolved_yaml(load_config(again)) == resolved_yaml(config)


@pytest.mark.parametrize("path", sorted((ROOT / "studies").glob("*.yaml")), ids=lambda p: p.name)
def test_ready_studies_are_valid(path):
    assert load_config(path, data=False).study


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("study: a\nstudy: b\n", "given twice"),
        ("study: [a\n", "not valid YAML"),
        ("- a\n- b\n", "mapping"),
        ("", "is empty; .* mapping"),
    ],
)
def test_unreadable_yaml_is_one_line(tmp_path, text, message):
    path = tmp_path / "c.yaml"
    path.write_text(text)
    with pytest.raises(ConfigErrors, match=message) as caught:
        load_config(path)
    assert len(caught.value.problems) == 1


def test_an_absent_file_is_one_line(tmp_path):
    with pytest.raises(ConfigErrors, match="cannot be read"):
        load_config(tmp_path / "absent.yaml")


class TestData:
    """Data are looked at before anything runs."""

    def check(self, path, value, folder=Path()):
        check_data(parse_config(changed(path, value)), folders=[folder])

    def test_more_points_than_the_data_set_has(self):
        with pytest.raises(ConfigErrors, match=r"grid.n_train: 1000 is not allowed.*'d'.*at most 329"):
            self.check("grid/n_train", [20, 1000])

    def test_a_sampling_grid_counts_too(self):
        with pytest.raises(ConfigErrors, match="400"):
            self.check("sampling/grid", {"n_train": [400]})

    def test_the_grid_of_a_stage_that_does_not_run_asks_for_nothing(self):
        self.check("sampling", {"enabled": False, "grid": {"n_train": [400]}})
        config = changed("sampling", {"grid": {"n_train": [20]}})
        config |= {"grid": {**config["grid"], "n_train": [400]}, "dynamics": {"enabled": False}}
        with pytest.raises(ConfigErrors, match=r"grid.n_train: 400"):
            check_data(parse_config(config))
        config["theory"] = {"enabled": False}
        check_data(parse_config(config))

    def test_nothing_is_downloaded(self, tmp_path, monkeypatch):
        """Neither with an empty cache nor with one where a download stopped half way."""
        import pooch

        monkeypatch.setenv("PROPLIM_DATA", str(tmp_path))
        monkeypatch.setattr(pooch, "retrieve", lambda *a, **k: pytest.fail("a download was started"))
        entry = {"name": "d", "source": "mnist", "classes": [3, 8]}
        self.check("datasets/0", entry)
        (tmp_path / "mnist").mkdir()
        self.check("datasets/0", entry)
        for name in ("train-images", "t10k-images"):
            (tmp_path / "mnist" / f"{name}-idx3-ubyte.gz").write_bytes(b"half")
        for name in ("train-labels", "t10k-labels"):
            (tmp_path / "mnist" / f"{name}-idx1-ubyte.gz").write_bytes(b"half")
        self.check("datasets/0", entry)

    def test_too_many_test_inputs(self):
        with pytest.raises(ConfigErrors, match=r"datasets\[0\].n_test: 1000"):
            self.check("datasets/0/n_test", 1000)

    def test_files(self, tmp_path):
        rng = np.random.default_rng(0)
        y = np.where(np.arange(30) % 2, 1, -1)
        np.savez(tmp_path / "good.npz", x=rng.standard_normal((30, 3)), y=y)
        np.savez(tmp_path / "nan.npz", x=np.full((30, 3), np.nan), y=y)
        np.savez(tmp_path / "labels.npz", x=rng.standard_normal((30, 3)), y=np.arange(30))
        np.savez(tmp_path / "split.npz", x_train=np.eye(30), y_train=y, x_test=np.eye(30), y_test=y)
        np.savez(tmp_path / "lacking.npz", x=rng.standard_normal((30, 3)))
        np.savez(tmp_path / "half.npz", x_train=np.eye(30), y_train=y)
        np.savez(tmp_path / "lengths.npz", x=rng.standard_normal((29, 3)), y=y)
        np.savez(tmp_path / "widths.npz", x_train=np.eye(30), y_train=y, x_test=np.eye(5), y_test=y[:5])
        np.savez(tmp_path / "columns.npz", x=rng.standard_normal((30, 3)), y=np.stack([y, y], axis=1))
        cubes = {"x_train": np.ones((30, 2, 3)), "y_train": y, "x_test": np.ones((30, 2, 3)), "y_test": y}
        np.savez(tmp_path / "cubes.npz", **cubes)
        np.savez(tmp_path / "words.npz", x=np.full((30, 3), "a"), y=y)
        np.savez(tmp_path / "one_class.npz", x=rng.standard_normal((30, 3)), y=np.ones(30))
        (tmp_path / "text.npz").write_text("x, y")
        (tmp_path / "text.nc").write_text("x, y")
        (tmp_path / "folder.npz").mkdir()
        (tmp_path / "torn.npz").write_bytes((tmp_path / "good.npz").read_bytes()[:100])

        def check(name, n_train):
            config = changed("datasets/0", {"name": "d", "source": "file", "path": name, "n_test": 4})
            config["grid"]["n_train"] = n_train
            check_data(parse_config(config), folders=[tmp_path])

        check("good.npz", [20])
        check("split.npz", [30])
        for name, n_train, message in [
            ("good.npz", [28], "at most 26"),
            ("nan.npz", [20], "NaN"),
            ("labels.npz", [20], "-1 or \\+1"),
            ("split.npz", [20], "exactly 30 rows"),
            ("torn.npz", [20], "a readable"),
            ("lacking.npz", [20], "array y is missing"),
            ("half.npz", [20], "array x_test is missing"),
            ("lengths.npz", [20], r"found shapes \(29, 3\) and \(30,\)"),
            ("widths.npz", [30], "same number of features"),
            ("columns.npz", [20], r"\(30, 2\)"),
            ("cubes.npz", [30], r"x_train .* found shapes \(30, 2, 3\)"),
            ("words.npz", [20], "array x must hold numbers"),
            ("one_class.npz", [20], "both classes"),
            ("text.npz", [20], "a readable"),
            ("text.nc", [20], "a readable"),
            ("folder.npz", [20], "an existing file"),
            ("absent.npz", [20], "an existing file"),
        ]:
            with pytest.raises(ConfigErrors, match=message) as caught:
                check(name, n_train)
            for line in caught.value.problems:
                assert "\n" not in line
                assert "datasets[0]" in line or "grid.n_train" in line


def test_the_schema_describes_every_section():
    schema = json_schema()
    assert schema["additionalProperties"] is False
    assert {"study", "datasets", "grid", "theory", "sampling", "dynamics", "figures"} <= set(
        schema["properties"]
    )
    sampling = schema["$defs"]["SamplingSection"]["properties"]
    assert sampling["chains"]["description"]
    assert sampling["target_ess"]["default"] == 400.0


def test_the_reference_page_is_that_of_the_schema():
    from proplim.config._reference import reference_page, schema_text

    assert (ROOT / "docs" / "configuration.md").read_text() == reference_page()
    assert (ROOT / "workflow" / "schemas" / "config.schema.json").read_text() == schema_text()
