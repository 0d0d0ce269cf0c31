"""Growth of the norm of a unit's hidden weights over that of the prior (docs/theory.md, section 3)."""

from proplim.observables._base import Observable, add
from proplim.observables._contexts import Array, Network, State


def _of_state(state: State) -> Array:
    return state.hidden_trace_shift


def _of_network(network: Network) -> Array:
    return network.hidden_trace_shift


add(
    Observable(
        "hidden_trace_shift",
        "posterior squared norm of the hidden weights of a unit minus its prior value N0/lambda0",
        r"\langle |w|^2\rangle - N_0/\lambda_0",
        from_state=_of_state,
        from_network=_of_network,
        order=40,
    )
)
