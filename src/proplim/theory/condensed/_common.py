"""What all temperatures of the condensed theory share: data, random numbers and settings."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from proplim.seeds import derive_seed
from proplim.theory._cavity_draws import Problem, sobol_normals
from proplim.theory._spectrum import Spectrum
from proplim.theory.condensed._inputs import Inputs, test_inputs, training_inputs

REPLICATES = 4
"""Independent sets of draws of the others."""
FIRST_COUNT, DRAWS_PER_INPUT = 2048, 10
"""Draws of a set at first: at least so many and so many for every training input."""
LARGEST_GROWTH = 4
"""At most how many times as many draws are taken, where the errors ask for it."""
MOST_NUMBERS = 1 << 22
"""Most numbers in the draws of a set."""


class Pool:
    """Random numbers of the others' draws, which all temperatures share; more are made where they are wanted."""

    def __init__(self, problem: Problem, sets: tuple[Inputs, ...], seed: int) -> None:
        self._problem, self._sets, self._seed = problem, sets, seed
        rank, inputs = problem.root.shape[1], problem.spectrum.n_train
        self.first = 1 << int(np.ceil(np.log2(max(FIRST_COUNT, DRAWS_PER_INPUT * inputs))))
        self.most = self.first
        while 2 * self.most <= LARGEST_GROWTH * self.first and 2 * self.most * rank <= MOST_NUMBERS:
            self.most *= 2
        self._kept: dict[int, tuple[list[np.ndarray], list[tuple[np.ndarray, ...]]]] = {}

    def normals(self, count: int) -> list[np.ndarray]:
        """Of every replicate, (count, r)."""
        return self._of(count)[0]

    def noise(self, count: int) -> list[tuple[np.ndarray, ...]]:
        """Of every replicate and set of inputs, preactivations of `count` draws outside the row space."""
        return self._of(count)[1]

    def _of(self, count: int) -> tuple[list[np.ndarray], list[tuple[np.ndarray, ...]]]:
        if count not in self._kept:
            rank = self._problem.root.shape[1]
            normals, noise = [], []
            for i in range(REPLICATES):
                normals.append(sobol_normals(count, rank, np.random.default_rng([self._seed, i])))
                rng = np.random.default_rng([self._seed, 100 + i])
                noise.append(tuple(inputs.noise(count, rng) for inputs in self._sets))
            self._kept[count] = normals, noise
        return self._kept[count]


class Common(NamedTuple):
    """What all temperatures share."""

    problem: Problem
    width: float
    lambda1: float
    sets: tuple[Inputs, ...]
    pool: Pool
    seed: int


def common_to_all(spectrum: Spectrum, width: float, lambda1: float) -> Common:
    problem = Problem(spectrum)
    sets: tuple[Inputs, ...] = (training_inputs(problem),)
    if spectrum.dataset.n_test:
        sets = (*sets, test_inputs(problem))
    seed = derive_seed(
        "condensed",
        {
            "dataset": spectrum.dataset.identity, "activation": spectrum.activation.name, "width": width,
            "lambda0": spectrum.lambda0, "lambda1": lambda1,
        },
    )  # fmt: skip
    return Common(problem, width, lambda1, sets, Pool(problem, sets, seed), seed)


def explicit_noise(common: Common) -> tuple[np.ndarray, ...]:
    """Preactivations of explicit units outside the row space, on every set of inputs."""
    noise = common.pool.noise(common.pool.first)
    return tuple(np.concatenate(of_set) for of_set in zip(*noise, strict=True))
