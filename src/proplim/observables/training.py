"""What is recorded of a network in training alone: alignments, the tangent kernel, the step."""

from proplim.observables._base import Observable, add

_DYNAMICS = ("dynamics",)

add(
    Observable(
        "kernel_alignment",
        "alignment of the feature kernel with the labels",
        r"y^\top G y/(|y|^2\,\Vert G\Vert)",
        ("split",),
        stages=_DYNAMICS,
        order=210,
    )
)
add(
    Observable(
        "tangent_kernel_alignment",
        "alignment of the tangent kernel with the training labels",
        r"y^\top\Theta y/(|y|^2\,\Vert\Theta\Vert)",
        stages=_DYNAMICS,
        order=220,
    )
)
add(
    Observable(
        "tangent_kernel_max",
        "largest eigenvalue of the tangent kernel on the training inputs",
        r"\lambda_{\max}(\Theta)",
        stages=_DYNAMICS,
        order=230,
    )
)
add(
    Observable(
        "learning_rate", "step of the optimizer in units of time", r"\eta", stages=_DYNAMICS, order=270
    )
)
