"""Rise and fall of the class distance in time, found from the curve of a replica after its training."""

from proplim.observables._base import ManyOutputs, Observable, add

for _order, _name, _long_name, _symbol in (
    (
        240, "inversion_time", "time of the first maximum of the centroid distance (NaN where it does not turn)",
        r"t^*",
    ),
    (
        250, "inversion_mse", "training error at the first maximum of the centroid distance", r"\epsilon^*",
    ),
    (
        260, "inversion_height", "squared distance of the class centroids at its first maximum in time",
        r"D(t^*)",
    ),
):  # fmt: skip
    add(
        Observable(
            _name,
            _long_name,
            _symbol,
            ("split",),
            stages=("dynamics",),
            without=("time",),
            order=_order,
            many=ManyOutputs(("split", "pair")),
        )
    )
