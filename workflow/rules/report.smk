# How the report sorts a figure: the section it stands in, and the columns that tell it from others.

from proplim.figures import Captions, figure_of
from proplim.figures import OTHERS as OTHER_FIGURES


def section_of(wildcards):
    figure = figure_of(wildcards.figure)
    return figure.section if figure else OTHER_FIGURES


def labels_of(wildcards):
    kind, *rest = wildcards.figure.split("__")
    figure = figure_of(kind)
    axes = plan.config.axes("theory")
    found = [
        next((part for part in rest if part in set(axes[name])), "all") for name in ("dataset", "activation")
    ]
    more = [part for part in rest if part not in found]
    title = figure.title if figure else kind.replace("_", " ")
    return {"figure": title, "data set": found[0], "activation": found[1], "of": ", ".join(more) or "-"}
