"""T*, the temperature of the largest class distance, which a theory finds by a continuous search."""

from proplim.observables._base import ManyOutputs, Observable, add

for _order, _name, _long_name, _symbol in (
    (
        400, "peak_temperature",
        "temperature T* of the largest squared distance of the class centroids (NaN: no peak)", "T^*",
    ),
    (
        410, "peak_height_over_prior",
        "squared distance of the class centroids at T* divided by its value in the prior",
        r"D(T^*)/D(T\to\infty)",
    ),
    (
        420, "peak_height_over_low_temperature",
        "squared distance of the class centroids at T* divided by its low-temperature value",
        r"D(T^*)/D(T\to 0)",
    ),
):  # fmt: skip
    add(
        Observable(
            _name,
            _long_name,
            _symbol,
            ("split",),
            stages=("theory",),
            without=("temperature",),
            order=_order,
            many=ManyOutputs(("split", "pair")),
        )
    )
