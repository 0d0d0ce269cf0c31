"""An optimizer and an observable from outside the package; what else a training reports."""

from __future__ import annotations

import pickle
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import pytest

from conftest import gaussian_dataset
from proplim._jax import jax
from proplim.dynamics import OPTIMIZERS, DynamicsSettings, dynamics_settings_type, register_optimizer, train
from proplim.dynamics.optimizers import StepOptimizer, descent_direction, origin, tangent_limit
from proplim.errors import InvalidInput
from proplim.observables import OBSERVABLES, Observable, register_observable
from proplim.schema import PlainFloat, Settings
from test_dynamics import plain_start

SHORT = {"replicas": 2, "t_min": 0.01, "t_max": 3.0, "n_times": 7}


class HeavyBallSettings(Settings):
    """Keys of heavy_ball."""

    heavy_ball_momentum: PlainFloat = 0.5


@dataclass(frozen=True)
class HeavyBall(StepOptimizer):
    """Gradient descent with Polyak's momentum; with none it is gradient descent."""

    settings: HeavyBallSettings = field(default_factory=HeavyBallSettings)

    name = "heavy_ball"
    title = "heavy ball"
    color = "#333333"
    settings_type: ClassVar[type[Settings]] = HeavyBallSettings

    def init(self, problem, start, seed):
        here = origin(problem, start)
        return here, here

    def step(self, problem, start, state, learning_rate):
        here, before = state
        pull = descent_direction(problem, start, here, self.activation)
        momentum = self.settings.heavy_ball_momentum
        there = jax.tree.map(lambda a, b, d: a + momentum * (a - b) + learning_rate * d, here, before, pull)
        return there, here

    def parameters(self, state):
        return state[0]

    def step_limit(self, problem, start):
        return tangent_limit(problem, start, self.activation)

    def automatic_step(self, problem, start):
        return 0.5 * self.step_limit(problem, start)


def test_an_optimizer_of_ones_own_brings_its_keys_and_runs() -> None:
    with pytest.raises(InvalidInput):
        DynamicsSettings(optimizers=("heavy_ball",))
    with OPTIMIZERS.temporary():
        register_optimizer(HeavyBall)
        assert "heavy_ball_momentum" in dynamics_settings_type().model_fields
        settings = DynamicsSettings(
            optimizers=("gradient_descent", "heavy_ball"), heavy_ball_momentum=0.0, **SHORT
        )
        assert isinstance(settings, DynamicsSettings)
        got = train(gaussian_dataset(8, 4), "erf", width=5, settings=settings)
        np.testing.assert_allclose(
            got.mse.sel(optimizer="heavy_ball"), got.mse.sel(optimizer="gradient_descent"), rtol=1e-12
        )
        faster = settings.model_copy(update={"heavy_ball_momentum": 0.5})
        other = train(gaussian_dataset(8, 4), "erf", width=5, settings=faster)
        assert (other.mse.sel(optimizer="heavy_ball", split="train")[:, -1] < got.mse[0, :, -1, 0]).all()
    with pytest.raises(InvalidInput) as error:
        DynamicsSettings(heavy_ball_momentum=0.5)
    assert error.value.key == "heavy_ball_momentum"


def test_two_optimizers_cannot_share_a_key() -> None:
    @dataclass(frozen=True)
    class Other(HeavyBall):
        name = "other"

    with OPTIMIZERS.temporary():
        register_optimizer(HeavyBall)
        register_optimizer(Other)
        with pytest.raises(InvalidInput, match="heavy_ball") as error:
            DynamicsSettings()
        assert error.value.key == "heavy_ball_momentum"


def test_an_observable_of_ones_own_is_in_the_cube() -> None:
    """One number a network, and one a kind of inputs that cannot be computed of no inputs at all."""
    with OBSERVABLES.temporary():
        register_observable(
            Observable("heaviest", "largest |v|", "v", from_network=lambda n: abs(n.readout).max())
        )
        register_observable(
            Observable(
                "top", "largest f", "f", ("split",), from_network=lambda n, inputs: inputs.output.max()
            )
        )
        for n_test in (3, 0):
            data = gaussian_dataset(8, 4, n_test=n_test)
            got = train(data, "erf", width=5, settings=DynamicsSettings(**SHORT))
            assert got.heaviest.dims == ("optimizer", "replica", "time")
            assert got.top.dims == ("optimizer", "replica", "time", "split")
            assert (got.heaviest**2 >= got.readout_variance).all()
            assert np.isfinite(got.top.sel(split="train")).all()
            assert np.isfinite(got.top.sel(split="test")).all() == (n_test > 0)


def test_settings_survive_a_trip_to_another_process() -> None:
    settings = DynamicsSettings(replicas=3, adam_beta1=0.8)
    assert pickle.loads(pickle.dumps(settings)) == settings


@pytest.mark.parametrize("optimizer", ["gradient_flow", "gradient_descent", "sgd", "adam", "langevin"])
def test_a_network_that_does_not_react_leaves_the_others_alone(optimizer: str) -> None:
    """ReLU networks of one unit: where the unit is off on every input, output, gradient and kernel are zero."""
    data = gaussian_dataset(6, 4)
    positive = data.__class__(np.abs(data.x_train), data.y_train, np.abs(data.x_test), data.y_test)
    settings = DynamicsSettings(
        optimizers=(optimizer,), replicas=12, t_min=0.01, t_max=3.0, n_times=4, langevin_temperature=1e-8
    )
    got = train(positive, "relu", width=1, settings=settings)
    starts = [plain_start(positive, "relu", 1, r)[0] for r in range(12)]
    dead = np.array([(positive.x_train @ w.T <= 0).all() for w in starts])
    assert 0 < dead.sum() < 12
    assert (got.tangent_kernel_max.values[0][dead] == 0).all()
    assert (got.converged == 1).all()
    assert "reason" not in got.attrs
    still = got.mse.sel(split="train").values[0]
    np.testing.assert_allclose(still[dead], np.mean(data.y_train**2), rtol=1e-6)
    assert (still[~dead, -1] < still[~dead, 0]).sum() >= 5  # of the others one or two die on the way
    if optimizer != "langevin":  # whose step is limited by the decay of the weights as well
        assert np.isnan(got.step_fraction.values[0][dead]).all()


def test_a_slope_that_is_not_finite_ends_with_a_reason() -> None:
    """sigma(h) = sqrt(|h|) sign(h) has no slope at h = 0, where an input that is zero puts all units."""
    from proplim.activations import Activation

    def root(h):
        return jax.numpy.sign(h) * jax.numpy.sqrt(jax.numpy.abs(h))

    steep = Activation(
        "steep",
        lambda h: np.sign(h) * np.sqrt(np.abs(h)),
        root,
        lambda h: 0.5 / jax.numpy.sqrt(jax.numpy.abs(h)),
        odd=True,
    )
    data = gaussian_dataset(6, 4)
    x = data.x_train.copy()
    x[0] = 0.0
    data = data.__class__(x, data.y_train, data.x_test, data.y_test)
    settings = DynamicsSettings(optimizers=("gradient_flow", "gradient_descent"), **SHORT)
    got = train(data, steep, width=3, settings=settings)
    assert (got.converged == 0).all()
    assert np.isnan(got.mse).all()
    assert "gradient_flow, replica 0" in got.attrs["reason"]
    assert "gradient_descent, replica 1" in got.attrs["reason"]


def test_more_steps_than_anybody_waits_for_are_not_begun() -> None:
    settings = DynamicsSettings(
        optimizers=("gradient_descent",), t_max=1e12, n_times=3, replicas=1, learning_rate=1e-3
    )
    got = train(gaussian_dataset(6, 4), "erf", width=3, settings=settings)
    assert (got.converged == 0).all()
    assert "1.0e+15 steps" in got.attrs["reason"]


@pytest.mark.slow
def test_the_step_is_known_as_a_fraction_of_its_limit() -> None:
    optimizers = ("gradient_flow", "gradient_descent", "sgd", "adam", "langevin")
    got = train(
        gaussian_dataset(8, 4), "erf", width=5, settings=DynamicsSettings(optimizers=optimizers, **SHORT)
    )
    fraction = got.step_fraction.isel(time=0, replica=0)
    np.testing.assert_allclose(
        fraction.sel(optimizer=["gradient_descent", "sgd", "langevin"]), [0.5, 0.25, 0.1], rtol=1e-12
    )
    assert np.isnan(fraction.sel(optimizer=["gradient_flow", "adam"])).all()


def test_a_training_says_how_far_it_is_and_goes_on_where_it_was() -> None:
    """Interrupted in the third of four replicas: the finished two are taken over, the result is the same."""
    data, kept, seen = gaussian_dataset(8, 4), {}, []
    settings = DynamicsSettings(optimizers=("gradient_descent", "sgd"), **SHORT)

    def interrupt(now) -> None:
        seen.append(now)
        if (now.optimizer, now.replica) == ("sgd", 0):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(data, "erf", width=5, settings=settings, progress=interrupt, kept=kept)
    assert sorted(kept) == ["gradient_descent-0", "gradient_descent-1"]
    assert [s.replica for s in seen] == [0] * 7 + [1] * 7 + [0]
    assert np.all(np.diff([s.done for s in seen]) > 0)
    assert seen[6].done == pytest.approx(0.25)
    assert all(s.seconds_left >= 0 for s in seen)

    again: list = []
    got = train(data, "erf", width=5, settings=settings, progress=again.append, kept=kept)
    assert {(s.optimizer, s.replica) for s in again} == {("sgd", 0), ("sgd", 1)}
    assert again[-1].done == pytest.approx(1.0)
    assert again[-1].seconds_left == pytest.approx(0.0)
    assert got.identical(train(data, "erf", width=5, settings=settings))
