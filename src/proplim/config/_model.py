"""The configuration of a study as a typed model: what a user may write, and what is taken where nothing is."""

from __future__ import annotations

import typing
from functools import cache, cached_property
from typing import Annotated, Any, Literal, Union

from pydantic import (
    AfterValidator,
    BaseModel,
    Discriminator,
    Field,
    Tag,
    create_model,
    model_validator,
)

from proplim.activations import ACTIVATIONS
from proplim.config._axes import DATA, REPLACEABLE, Grid, SlicesGrid, SubGrid
from proplim.config._problems import NUMBER, VALUES
from proplim.datasets import DISCRIMINATOR, SOURCES, SafeName, SourceSettings, n_classes_of, outputs_of
from proplim.errors import InvalidInput
from proplim.schema import AXES, STAGES, STRICT, PlainFloat, PlainInt, Settings, alternatives_to, axes_of
from proplim.theory.approximations import APPROXIMATIONS

FIGURE_FORMATS = ("png", "pdf", "svg")
MOST_SHOWN = 8
"""Values of an axis that a message names."""


def _distinct(values: tuple) -> tuple:
    if len(set(values)) < len(values):
        raise ValueError("every value once")
    return values


class _Section(BaseModel):
    model_config = STRICT


class TheorySection(_Section):
    """Theory on the full grid."""

    enabled: bool = Field(default=True, description="whether theory.nc is made")
    approximations: tuple[str, ...] = ("infinite_width", "proportional")
    peaks: bool = Field(
        default=True,
        description="whether T* is searched for; with the cavity theory that takes longer than a few points",
    )


@cache
def _theory_section(names: tuple[str, ...]) -> type[TheorySection]:
    """The section of theory where these approximations are known."""
    one: Any = Literal.__getitem__(names)
    default = TheorySection.model_fields["approximations"].default
    chosen = Field(default=default, min_length=1, description=f"any of {', '.join(names)}")
    return create_model(
        "TheorySection",
        __base__=TheorySection,
        __doc__=TheorySection.__doc__,
        approximations=(Annotated[tuple[one, ...], AfterValidator(_distinct)], chosen),
    )


_Slices: Any = Annotated[
    Annotated[PlainInt, Field(ge=1), Tag(NUMBER)] | Annotated[SlicesGrid, Tag(VALUES)],
    Discriminator(lambda value: VALUES if isinstance(value, dict | BaseModel) else NUMBER),
]


class FiguresSection(_Section):
    """Figures, drawn from the cubes alone."""

    enabled: bool = Field(default=True, description="whether figures are drawn")
    formats: Annotated[
        tuple[Literal["png", "pdf", "svg"], ...], Field(min_length=1), AfterValidator(_distinct)
    ] = Field(default=("png", "pdf"), description=f"any of {', '.join(FIGURE_FORMATS)}")
    dpi: Annotated[PlainInt, Field(ge=50, le=1200)] = Field(
        default=200, description="resolution of png figures"
    )
    slices: _Slices = Field(
        default=6,
        description="how many (P, N) a figure shows, evenly chosen, or which: `{width: [60, 500]}`; all of them are "
        "in explore.html",
    )

    @property
    def chosen_slices(self) -> int | dict[str, list]:
        """A number of slices, or axis -> values to show."""
        if isinstance(self.slices, BaseModel):
            chosen: dict[str, list] = self.slices.model_dump(exclude_none=True)
            return chosen
        return int(self.slices)


class JobsSection(_Section):
    """How much work goes into a job; results do not depend on it."""

    seconds_per_job: Annotated[PlainFloat, Field(gt=0)] = Field(
        default=60.0,
        description="expected seconds of work on one core put into a job; more for clusters (1800), where queues wait",
    )
    points_per_job: Annotated[PlainInt, Field(ge=1)] | None = Field(
        default=None, description="most grid points in a job; left out: as many as seconds_per_job allows"
    )
    threads: Annotated[PlainInt, Field(ge=1, le=1024)] = Field(
        default=1,
        description="cores of a job of sampling or dynamics, which runs chains or replicas side by side",
    )


class StageSection(_Section):
    """What the section of a stage has beside the stage's settings: whether it runs, and on which grid."""

    enabled: bool = Field(default=True, description="whether the stage runs")
    grid: SubGrid = Field(default_factory=SubGrid, description="axes that differ from `grid`")  # type: ignore[valid-type]

    _settings_type: typing.ClassVar[Any]

    @cached_property
    def settings(self) -> Any:
        """The stage's settings object (:class:`SamplingSettings`, :class:`DynamicsSettings`)."""
        return self._settings_type(**{key: getattr(self, key) for key in self._settings_type.model_fields})


@cache
def _section_of(name: str, settings_type: type[Settings], doc: str) -> type[StageSection]:
    """The section of a stage: its settings with their checks, and the keys that every stage has."""
    bases: Any = (settings_type, StageSection)
    section: type[StageSection] = create_model(name, __base__=bases, __doc__=doc)
    section._settings_type = settings_type
    return section


def _sampling_section() -> type[StageSection]:
    from proplim.sampling import SamplingSettings

    return _section_of("SamplingSection", SamplingSettings, "Posterior sampling of finite networks.")


def _dynamics_section() -> type[StageSection]:
    from proplim.dynamics import dynamics_settings_type

    return _section_of("DynamicsSection", dynamics_settings_type(), "Training dynamics from the prior.")


class _StudyBase(_Section):
    study: SafeName = Field(description="name of the study; results go to results/<study>/")
    plugins: list[str] = Field(
        default=[],
        description="Python files that register sources, activations, approximations, optimizers or observables; "
        "whatever reads the configuration executes them first",
    )
    grid: Grid = Field(description="axes of the parameter grid")  # type: ignore[valid-type]
    figures: FiguresSection = Field(default_factory=FiguresSection)
    jobs: JobsSection = Field(default_factory=JobsSection)
    if typing.TYPE_CHECKING:  # made from the tables of sources, approximations and optimizers when asked for
        datasets: list[Any]
        theory: TheorySection
        sampling: StageSection
        dynamics: StageSection

    @model_validator(mode="after")
    def _names_are_unique(self) -> _StudyBase:
        names = [d.name for d in self.datasets]
        for index, name in enumerate(names):
            if name in names[:index]:
                raise InvalidInput(f"datasets[{index}].name", name, "every name once")
        return self

    @model_validator(mode="after")
    def _numbers_of_classes_agree(self) -> _StudyBase:
        """Networks of one study have one number of outputs."""
        first = self.datasets[0]
        wanted = n_classes_of(first)
        for index, dataset in enumerate(self.datasets):
            if (found := n_classes_of(dataset)) != wanted:
                key = "n_classes" if hasattr(dataset, "n_classes") else "classes"
                raise InvalidInput(
                    f"datasets[{index}].{key}",
                    getattr(dataset, key, None),
                    f"{wanted} classes, as data set {first.name!r} has them; {found} are a study of their own",
                )
        return self

    @property
    def n_outputs(self) -> int:
        """Outputs of every network of the study: one for two classes, else one for each class."""
        return outputs_of(n_classes_of(self.datasets[0]))

    @model_validator(mode="after")
    def _stragglers_have_one_distance(self) -> _StudyBase:
        """D is attributed to single inputs where there is one D: between two classes."""
        if self.dynamics.enabled and self.dynamics.settings.stragglers and self.n_outputs > 1:
            raise InvalidInput("dynamics.stragglers", True, "false with three and more classes")
        return self

    @model_validator(mode="after")
    def _stages_have_the_axes_of_the_grid(self) -> _StudyBase:
        """An axis that stands in for another one does so in every stage: cubes have the same dimensions."""
        for stage in STAGES:
            own = getattr(getattr(self, stage), "grid", None)
            for name in REPLACEABLE if own is not None else ():
                chosen = self._axis_in_place_of(name)
                for other in (name, *(a.name for a in alternatives_to(name))):
                    if other != chosen and (values := getattr(own, other)) is not None:
                        raise InvalidInput(f"{stage}.grid.{other}", values, f"{chosen}, which `grid` has")
        return self

    @model_validator(mode="after")
    def _slices_are_of_the_grid(self) -> _StudyBase:
        """Values that figures are to show have to be there."""
        chosen = self.figures.chosen_slices
        for name, values in {} if isinstance(chosen, int) else chosen.items():
            there = {AXES[name].key(v): v for s in self.stages() for v in self.axes(s).get(name, [])}
            if missing := [v for v in values if AXES[name].key(v) not in there]:
                shown = ", ".join(f"{v:g}" for v in sorted(there.values())[:MOST_SHOWN])
                allowed = f"values of the grid: {shown}{', ...' if len(there) > MOST_SHOWN else ''}"
                raise InvalidInput(
                    f"figures.slices.{name}", missing[0], allowed if there else "an axis of the grid"
                )
        return self

    def _axis_in_place_of(self, name: str) -> str:
        """The axis by which `grid` gives an axis of the point: itself, or the one in its place."""
        others = (a.name for a in alternatives_to(name))
        return next((other for other in others if getattr(self.grid, other) is not None), name)

    @model_validator(mode="after")
    def _approximations_apply(self) -> _StudyBase:
        """Each approximation applies to some activation of the grid; where it does not, the cube is NaN."""
        if not self.theory.enabled:
            return self
        activations = [ACTIVATIONS.get(name) for name in self.axes("theory")["activation"]]
        for index, name in enumerate(self.theory.approximations):
            reasons = [APPROXIMATIONS.get(name).applies(a, self.n_outputs) for a in activations]
            if all(reasons):
                allowed = (
                    f"one that applies to an activation of the grid: {'; '.join(dict.fromkeys(reasons))}"
                )
                raise InvalidInput(f"theory.approximations[{index}]", name, allowed)
        return self

    def axes(self, stage: str) -> dict[str, list]:
        """Axes of a stage's grid: those of `grid`, replaced where the stage says otherwise.

        Parameters
        ----------
        stage : {"theory", "sampling", "dynamics"}

        Returns
        -------
        dict
            Axis name -> values, in the order of the cubes. An axis that is given in place of another one stands
            where that one would.
        """
        own = getattr(getattr(self, stage), "grid", None)
        axes: dict[str, list] = {}
        for axis in axes_of(stage):
            if axis.name == DATA:
                axes[DATA] = [d.name for d in self.datasets]
                continue
            name = self._axis_in_place_of(axis.name)
            replaced = getattr(own, name, None)
            axes[name] = list(getattr(self.grid, name) if replaced is None else replaced)
        return axes

    def dataset(self, name: str) -> Any:
        """Settings of the data set of that name."""
        return next(d for d in self.datasets if d.name == name)

    def stages(self) -> list[str]:
        """Stages that are enabled, in the order they are computed."""
        return [stage for stage in STAGES if getattr(self, stage).enabled]


def study_config_type() -> type[_StudyBase]:
    """The model of a whole configuration, with what is registered when it is asked for."""
    return _study_config_type(
        tuple(source.model for source in SOURCES.members()),
        _theory_section(tuple(approximation.name for approximation in APPROXIMATIONS.members())),
        _sampling_section(),
        _dynamics_section(),
    )


@cache
def _study_config_type(
    sources: tuple[type[SourceSettings], ...], *sections: type[BaseModel]
) -> type[_StudyBase]:
    union: Any = Union.__getitem__(sources)
    one = Annotated[union, Field(discriminator=DISCRIMINATOR)]
    stages: Any = {
        stage: (section, Field(default_factory=section))
        for stage, section in zip(STAGES, sections, strict=True)
    }
    return create_model(
        "StudyConfig",
        __base__=_StudyBase,
        __doc__="Configuration of a study.",
        datasets=(list[one], Field(min_length=1, description="data sets, one or more")),
        **stages,
    )
