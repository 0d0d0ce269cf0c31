rule draw_figures:
    input:
        plan.cubes(),
    output:
        report(
            directory(f"{plan.root}/figures"),
            patterns=["{figure}.png"],
            caption="../report/figure.rst",
            category="Figures",
            labels={"figure": "{figure}"},
        ),
    params:
        figures=plan.config.figures.model_dump(mode="json"),
    message:
        "Drawing figures"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=20,
    script:
        "../scripts/draw_figures.py"
