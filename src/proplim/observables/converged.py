"""Whether a result may be trusted; every stage says so itself."""

from proplim.observables._base import Observable, add

add(
    Observable(
        "converged",
        "1 where the result meets its convergence criteria, else 0",
        r"\mathrm{converged}",
        stages=("theory", "sampling", "dynamics"),
        order=10_000,
    )
)
