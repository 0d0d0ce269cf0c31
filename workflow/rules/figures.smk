from proplim.study import drawing_cores


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
    log:
        f"{plan.root}/logs/figures.log",
    conda:
        "../envs/proplim.yaml"
    threads: drawing_cores(plan.config.axes("theory"))
    resources:
        mem_mb=2000,
        runtime=20,
    params:
        figures=plan.config.figures.model_dump(mode="json", exclude_none=True),
        captions=Captions(),
    message:
        "Drawing figures"
    script:
        "../scripts/draw_figures.py"


# Both read all cubes, and starting a process for it takes as long as writing one of them.
rule write_pages:
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
        explorer=plan.explorer(),
    log:
        f"{plan.root}/logs/pages.log",
    priority: 1  # before the figures, which may take two cores
    conda:
        "../envs/proplim.yaml"
    threads: 1
    resources:
        mem_mb=3000,
        runtime=10,
    message:
        "Summarising the study, and writing the page to turn through it"
    script:
        "../scripts/write_pages.py"
