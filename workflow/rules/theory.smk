def theory_dataset(wildcards):
    """The prepared data set of a job."""
    return plan.jobs["theory"][f"{wildcards.dataset}/{wildcards.job}"].draw.file


rule solve_theory:
    input:
        theory_dataset,
    output:
        f"{plan.root}/theory/{{dataset}}/{{job}}.nc",
    message:
        "Solving the theory: {wildcards.dataset}, {wildcards.job}"
    benchmark:
        f"{plan.root}/benchmarks/theory/{{dataset}}/{{job}}.tsv"
    threads: 1
    retries: 1
    resources:
        mem_mb=lambda w, attempt: attempt * plan.memory_mb("theory", f"{w.dataset}/{w.job}"),
        runtime=lambda w, attempt: attempt * plan.runtime_minutes("theory", f"{w.dataset}/{w.job}"),
    script:
        "../scripts/solve_theory.py"
