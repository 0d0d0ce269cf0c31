"""The condensed phase: how likely it is, and the temperature below which it is the right one (docs/condensed.md)."""

from proplim.observables._base import Observable, add

_THEORY = ("theory",)

add(
    Observable(
        "condensed_probability",
        "posterior weight of the phase in which one unit carries a finite share of the labels",
        r"p_\mathrm{condensed}",
        stages=_THEORY,
        order=140,
    )
)
add(
    Observable(
        "condensation_temperature",
        "temperature below which the condensed phase has the larger evidence (NaN: there is none)",
        r"T_\mathrm{c}",
        stages=_THEORY,
        without=("temperature",),
        order=430,
    )
)
