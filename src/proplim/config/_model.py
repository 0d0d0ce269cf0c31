"""The configuration of a study as a typed model: what a user may write, and what is taken where nothing is."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Iterator
from functools import cache, cached_property
from inspect import cleandoc
from typing import Annotated, Any, Literal, Union

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    create_model,
    model_validator,
)

from proplim.config._axes import Grid, SubGrid
from proplim.datasets import DISCRIMINATOR, SOURCES, SafeName, SourceSettings
from proplim.errors import InvalidInput
from proplim.schema import Settings


def _no_bool(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("a number, not true or false")
    return value


FIGURE_FORMATS = ("png", "pdf", "svg")


def _distinct(values: tuple) -> tuple:
    if len(set(values)) < len(values):
        raise ValueError("every value once")
    return values


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid")


class TheorySection(_Section):
    """Theory on the full grid."""

    enabled: bool = Field(default=True, description="whether theory.nc is made")
    approximations: Annotated[
        tuple[Literal["infinite_width", "proportional", "cavity", "exact"], ...],
        Field(min_length=1),
        AfterValidator(_distinct),
    ] = Field(
        default=("infinite_width", "proportional"),
        description="any of infinite_width, proportional, cavity, exact",
    )
    peaks: bool = Field(
        default=True,
        description="whether T* is searched for; with the cavity theory that takes longer than a few points",
    )


class FiguresSection(_Section):
    """Figures, drawn from the cubes alone."""

    enabled: bool = Field(default=True, description="whether figures are drawn")
    formats: Annotated[
        tuple[Literal["png", "pdf", "svg"], ...], Field(min_length=1), AfterValidator(_distinct)
    ] = Field(default=("png", "pdf"), description=f"any of {', '.join(FIGURE_FORMATS)}")
    dpi: Annotated[int, BeforeValidator(_no_bool), Field(ge=50, le=1200)] = Field(
        default=200, description="resolution of png figures"
    )


class JobsSection(_Section):
    """How much work goes into a job; results do not depend on it."""

    seconds_per_job: Annotated[float, BeforeValidator(_no_bool), Field(gt=0, allow_inf_nan=False)] = Field(
        default=60.0,
        description="expected seconds of work on one core put into a job; more for clusters (1800), where queues wait",
    )
    points_per_job: Annotated[int, BeforeValidator(_no_bool), Field(ge=1)] | None = Field(
        default=None, description="most grid points in a job; left out: as many as seconds_per_job allows"
    )
    threads: Annotated[int, BeforeValidator(_no_bool), Field(ge=1, le=1024)] = Field(
        default=1, description="cores of a sampling job, which runs its chains side by side"
    )


class _StageSection(_Section):
    """A stage with settings of its own, on the grid with some axes replaced."""

    _settings_type: typing.ClassVar[type]

    enabled: bool = Field(default=True, description="whether the stage runs")
    grid: SubGrid = Field(default_factory=SubGrid, description="axes that differ from `grid`")

    @cached_property
    def settings(self) -> Any:
        """The stage's settings object (:class:`SamplingSettings`, :class:`DynamicsSettings`)."""
        return self._settings_type(**{name: getattr(self, name) for name in _keys(self._settings_type)})

    @model_validator(mode="after")
    def _settings_agree(self) -> _StageSection:
        problems = list(self._settings_problems())
        if problems:
            raise ValueError("\n".join(problems))
        return self

    def _settings_problems(self) -> Iterator[str]:
        """What the settings' own checks refuse; each refused key falls back to its default to find the next."""
        values = {name: getattr(self, name) for name in _keys(self._settings_type)}
        while values:
            try:
                self._settings_type(**values)
                return
            except InvalidInput as error:
                key = error.key.split(".")[-1]
                yield f"{key}: {error.value!r} is not allowed; {error.allowed}"
                if key not in values:
                    return
                del values[key]


def _keys(settings_type: type) -> list[str]:
    """Names of the settings of a stage."""
    if issubclass(settings_type, Settings):
        return list(settings_type.model_fields)
    declared: Any = settings_type
    return [field.name for field in dataclasses.fields(declared)]


def _section_of_settings(name: str, settings_type: type[Settings], doc: str) -> type[_StageSection]:
    """Make a section whose keys are the fields of a settings model."""
    fields: dict[str, Any] = {n: (f.annotation, f) for n, f in settings_type.model_fields.items()}
    section: type[_StageSection] = create_model(name, __base__=_StageSection, __doc__=doc, **fields)
    section._settings_type = settings_type
    return section


def _stage_section(name: str, settings_type: type, doc: str) -> type[_StageSection]:
    """Make a section whose keys are the fields of a settings dataclass."""

    hints = typing.get_type_hints(settings_type, include_extras=True)
    fields: dict[str, Any] = {}
    for field in dataclasses.fields(settings_type):
        hint = hints[field.name]
        annotated: Any = hint if hint is bool else Annotated[hint, BeforeValidator(_no_bool)]
        factory: Any = field.default_factory
        default = factory() if field.default is dataclasses.MISSING else field.default
        fields[field.name] = (
            annotated,
            Field(default=default, description=_described(settings_type, field.name)),
        )
    section = create_model(name, __base__=_StageSection, __doc__=doc, **fields)
    section._settings_type = settings_type
    return section


def _described(settings_type: type, name: str) -> str:
    """Description of a field from the numpydoc docstring of its class."""
    lines = cleandoc(settings_type.__doc__ or "").splitlines()  # Python 3.13 does so by itself
    text: list[str] = []
    inside = False
    for line in lines:
        stripped = line.strip()
        if " : " in stripped and not line.startswith("    "):
            inside = name in [part.strip() for part in stripped.split(" : ")[0].split(",")]
        elif inside and line.startswith("    ") and stripped:
            text.append(stripped)
        elif inside and stripped and not line.startswith("    "):
            inside = False
    return " ".join(text)


@cache
def _sampling_section() -> type[_StageSection]:
    from proplim.sampling._settings import SamplingSettings

    return _section_of_settings("SamplingSection", SamplingSettings, "Posterior sampling of finite networks.")


@cache
def _dynamics_section() -> type[_StageSection]:
    from proplim.dynamics._settings import DynamicsSettings

    return _stage_section("DynamicsSection", DynamicsSettings, "Gradient-descent dynamics from the prior.")


class _StudyBase(_Section):
    study: SafeName = Field(description="name of the study; results go to results/<study>/")
    plugins: list[str] = Field(
        default=[], description="Python files that register activations, loaded before anything else"
    )
    grid: Grid = Field(description="axes of the parameter grid")
    theory: TheorySection = Field(default_factory=TheorySection)
    figures: FiguresSection = Field(default_factory=FiguresSection)
    jobs: JobsSection = Field(default_factory=JobsSection)
    if typing.TYPE_CHECKING:  # made from the settings of sources and stages when first asked for
        datasets: list[SourceSettings]
        sampling: _StageSection
        dynamics: _StageSection

    @model_validator(mode="after")
    def _names_are_unique(self) -> _StudyBase:
        names = [d.name for d in self.datasets]
        for index, name in enumerate(names):
            if name in names[:index]:
                raise ValueError(f"datasets[{index}].name: {name!r} is not allowed; every name once")
        return self

    def axes(self, stage: str) -> dict[str, list]:
        """Axes of a stage's grid: those of `grid`, replaced where the stage says otherwise.

        Parameters
        ----------
        stage : {"theory", "sampling", "dynamics"}

        Returns
        -------
        dict
            Axis name -> values, in the order of the cubes. Dynamics has no temperature.
        """
        axes: dict[str, list] = {"dataset": [d.name for d in self.datasets]}
        own = getattr(getattr(self, stage), "grid", None)
        for name in ("activation", "n_train", "width", "temperature", "lambda0", "lambda1", "seed"):
            replaced = getattr(own, name) if own is not None else None
            axes[name] = list(replaced if replaced is not None else getattr(self.grid, name))
        if stage == "dynamics":
            del axes["temperature"]
        return axes

    def dataset(self, name: str) -> Any:
        """Settings of the data set of that name."""
        return next(d for d in self.datasets if d.name == name)

    def stages(self) -> list[str]:
        """Stages that are enabled, in the order they are computed."""
        return [s for s in ("theory", "sampling", "dynamics") if getattr(self, s).enabled]


def study_config_type() -> type[_StudyBase]:
    """The model of a whole configuration, with the sources that are registered when it is asked for."""
    return _study_config_type(tuple(source.model for source in SOURCES.members()))


@cache
def _study_config_type(sources: tuple[type[SourceSettings], ...]) -> type[_StudyBase]:
    sampling, dynamics = _sampling_section(), _dynamics_section()
    union: Any = Union.__getitem__(sources)
    one = Annotated[union, Field(discriminator=DISCRIMINATOR)]
    made: type[_StudyBase] = create_model(
        "StudyConfig",
        __base__=_StudyBase,
        __doc__="Configuration of a study.",
        datasets=(list[one], Field(min_length=1, description="data sets, one or more")),
        sampling=(sampling, Field(default_factory=sampling)),
        dynamics=(dynamics, Field(default_factory=dynamics)),
    )
    return made
