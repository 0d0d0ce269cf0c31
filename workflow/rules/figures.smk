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
    threads: 2
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


rule write_explorer:
    input:
        plan.cubes(),
    output:
        f"{plan.root}/explore.html",
    log:
        f"{plan.root}/logs/explorer.log",
    priority: 1  # side by side with the summary, before the figures take two cores
    conda:
        "../envs/proplim.yaml"
    threads: 1
    resources:
        mem_mb=3000,
        runtime=10,
    message:
        "Writing the page to turn through the study"
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
    log:
        f"{plan.root}/logs/summary.log",
    priority: 1
    conda:
        "../envs/proplim.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=10,
    message:
        "Summarising the study"
    script:
        "../scripts/summarise_study.py"
