"""Feature learning in Bayesian one-hidden-layer networks in the proportional limit."""

__version__ = "0.1.0"
