# The report's sections, in this order: first part of a figure's file name -> section, title.
SECTIONS = {
    "class_distance": ("1 Class distance", "class distance"),
    "heat_map": ("1 Class distance", "map over temperature and load"),
    "gyration_radii": ("2 Class sizes", "gyration radii"),
    "weights": ("3 Weights", "readout and hidden weights"),
    "signal_variance": ("3 Weights", "hidden weights along the signal"),
    "histograms": ("3 Weights", "distributions of weights"),
    "test_error": ("4 Test error", "test error"),
    "parity": ("5 Theory against sampling", "parity and z-scores"),
    "finite_size": ("5 Theory against sampling", "deviation against 1/N"),
    "training": ("6 Training", "class distance in time"),
    "bridge": ("6 Training", "temperature and time in one figure"),
    "inversion": ("6 Training", "T* beside the inversion"),
    "stragglers": ("6 Training", "most influential inputs"),
}


def section_of(wildcards):
    return SECTIONS.get(wildcards.figure.split("__")[0], ("8 More figures", ""))[0]


def labels_of(wildcards):
    kind, *rest = wildcards.figure.split("__")
    title = SECTIONS.get(kind, ("", kind.replace("_", " ")))[1]
    names = set(plan.config.axes("theory")["dataset"]), set(plan.config.axes("theory")["activation"])
    found = [next((part for part in rest if part in known), "all") for known in names]
    more = [part for part in rest if part not in found]
    return {"figure": title, "data set": found[0], "activation": found[1], "of": ", ".join(more) or "-"}


rule draw_figures:
    input:
        plan.cubes(),
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
