from proplim.figures import Captions, figure_of
from proplim.figures import OTHERS as OTHER_FIGURES


def section_of(wildcards):
    figure = figure_of(wildcards.figure)
    return figure.section if figure else OTHER_FIGURES


def labels_of(wildcards):
    kind, *rest = wildcards.figure.split("__")
    figure = figure_of(kind)
    axes = plan.config.axes("theory")
    found = [next((part for part in rest if part in set(axes[name])), "all") for name in ("dataset", "activation")]
    more = [part for part in rest if part not in found]
    title = figure.title if figure else kind.replace("_", " ")
    return {"figure": title, "data set": found[0], "activation": found[1], "of": ", ".join(more) or "-"}


rule draw_figures:
    input:
        cubes=plan.cubes(),
        indexes=list(plan.indexes()),
    output:
        report(
            directory(f"{plan.root}/figures"),
            patterns=["{figure}.png"],
            caption="../report/figure.rst",
            category=section_of,
            labels=labels_of,
        ),
    params:
        figures=plan.config.figures.model_dump(mode="json"),
        captions=Captions(),
    message:
        "Drawing figures"
    threads: 2
    resources:
        mem_mb=2000,
        runtime=20,
    script:
        "../scripts/draw_figures.py"


rule write_explorer:
    input:
        plan.cubes(),
    output:
        f"{plan.root}/explore.html",
    message:
        "Writing the page to turn through the study"
    threads: 1
    priority: 1  # side by side with the summary, before the figures take two cores
    resources:
        mem_mb=3000,
        runtime=10,
    script:
        "../scripts/write_explorer.py"


rule summarise_study:
    input:
        plan.cubes(),
    output:
        report(
            f"{plan.root}/summary/convergence.html",
            caption="../report/convergence.rst",
            category="7 The run",
            labels={"page": "convergence, and theory against sampling"},
        ),
        report(
            f"{plan.root}/summary/configuration.html",
            caption="../report/configuration.rst",
            category="7 The run",
            labels={"page": "configuration"},
        ),
    message:
        "Summarising the study"
    threads: 1
    priority: 1
    resources:
        mem_mb=2000,
        runtime=10,
    script:
        "../scripts/summarise_study.py"
