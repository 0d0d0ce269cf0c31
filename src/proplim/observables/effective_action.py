"""Order parameter, free energy and energies of a theory, and the evidence that its solution is the right one."""

from proplim.observables._base import Observable, add

_THEORY = ("theory",)

add(Observable("order_parameter", "order parameter Q of the effective action", "Q", stages=_THEORY, order=10))
add(
    Observable(
        "free_energy", "free energy per hidden unit, S(Q)/2", "S(Q)/2", stages=_THEORY, order=20, drawn=False
    )
)
for _order, _name, _long_name, _symbol in (
    (
        300, "free_energy_temperature_derivative",
        "derivative of the free energy per hidden unit with respect to temperature", r"\partial_T S/2",
    ),
    (
        310, "mean_energy", "posterior mean of half the sum of squared training errors, per hidden unit",
        r"\langle E\rangle/N",
    ),
    (
        320, "mean_energy_temperature_derivative",
        "derivative of the mean energy per hidden unit with respect to temperature",
        r"\partial_T\langle E\rangle/N",
    ),
    (
        330, "stationarity_residual", "evidence: derivative of the action with respect to ln Q at the solution",
        r"|dS/d\ln Q|",
    ),
    (
        340, "stationary_points", "evidence: number of stationary points of the action in ln Q",
        r"n_\mathrm{stationary}",
    ),
    (
        350, "action_gap",
        "evidence: action of the second lowest minimum minus that of the global one (NaN: only one)",
        r"\Delta S",
    ),
):  # fmt: skip
    add(Observable(_name, _long_name, _symbol, stages=_THEORY, order=_order, drawn=False))
