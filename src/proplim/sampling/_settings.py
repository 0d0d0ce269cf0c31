"""What a user may choose about posterior sampling; the same names are the keys of `sampling:` in a study."""

from __future__ import annotations

from dataclasses import dataclass

from proplim.errors import InvalidInput

PRECISIONS = ("auto", "float32", "float64")


@dataclass(frozen=True)
class SamplingSettings:
    """Settings of the sampler; every one has a default that serves all temperatures.

    Parameters
    ----------
    chains : int
        Independent chains, each started from its own draw of the prior.
    target_ess : float
        Bulk effective sample size, over all chains together, asked of every observable.
    max_rhat : float
        Largest rank-normalised split R-hat accepted.
    warmup : int
        Trajectories per chain that cool it from the prior and adapt the step size; they are thrown away.
    min_draws : int
        Draws per chain before convergence is looked at for the first time. It keeps the decision to stop from
        being taken on an ESS that is itself badly estimated.
    max_draws : int
        Budget: draws per chain after which a point that has not converged is given up and marked so. A count
        and not a time, so that results do not depend on the speed of the machine.
    target_acceptance : float
        Acceptance rate that the step size is adapted to.
    path_length : float
        Length of a trajectory in the time of the prior's oscillator; pi/2 turns position into momentum.
    jitter : float
        Relative half-width of the uniform distribution of path lengths.
    precision : {"auto", "float32", "float64"}
        Arithmetic of the gradients along a trajectory. Energies, acceptance and observables of the training
        set are float64 always, so this is a choice of speed: it moves the acceptance rate, not the posterior.
    keep_draws : bool
        Whether the draws of every observable are returned.
    histograms : bool
        Whether the draws also hold every unit's readout weight and hidden weight along the signal direction,
        for histograms beside the Gaussians of the theory (`unit_readout`, `unit_signal`).
    seed : int
        Seed of the sampler's own randomness, combined with what the point is.

    Raises
    ------
    InvalidInput
        If a value is outside its range.
    """

    chains: int = 4
    target_ess: float = 400.0
    max_rhat: float = 1.01
    warmup: int = 200
    min_draws: int = 200
    max_draws: int = 20000
    target_acceptance: float = 0.7
    path_length: float = 1.5707963267948966
    jitter: float = 0.2
    precision: str = "auto"
    keep_draws: bool = True
    histograms: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        for name, minimum in (("chains", 2), ("warmup", 20), ("min_draws", 20), ("seed", 0)):
            _require(
                name,
                getattr(self, name),
                _is_integer(getattr(self, name), minimum),
                f"an integer >= {minimum}",
            )
        _require(
            "max_draws",
            self.max_draws,
            _is_integer(self.max_draws, self.min_draws),
            f"an integer >= min_draws = {self.min_draws}",
        )
        _require(
            "target_ess", self.target_ess, _is_number(self.target_ess) and self.target_ess > 0, "a number > 0"
        )
        _require("max_rhat", self.max_rhat, _is_number(self.max_rhat) and self.max_rhat > 1, "a number > 1")
        _require(
            "target_acceptance",
            self.target_acceptance,
            _is_number(self.target_acceptance) and 0.1 <= self.target_acceptance < 1,
            "a number from 0.1 to below 1",
        )
        _require(
            "path_length",
            self.path_length,
            _is_number(self.path_length) and 0 < self.path_length < 100,
            "0 to 100",
        )
        _require("jitter", self.jitter, _is_number(self.jitter) and 0 <= self.jitter < 1, "0 to below 1")
        _require(
            "precision", self.precision, self.precision in PRECISIONS, f"choose from {', '.join(PRECISIONS)}"
        )
        for name in ("keep_draws", "histograms"):
            _require(name, getattr(self, name), isinstance(getattr(self, name), bool), "true or false")


def _is_integer(value: object, minimum: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= minimum


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _require(name: str, value: object, fine: bool, allowed: str) -> None:
    if not fine:
        raise InvalidInput(f"sampling.{name}", value, allowed)
