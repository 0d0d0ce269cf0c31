def dynamics_dataset(wildcards):
    """The prepared data set of a job."""
    return plan.jobs["dynamics"][f"{wildcards.dataset}/{wildcards.job}"].draw.file


rule train_dynamics:
    input:
        dynamics_dataset,
    output:
        f"{plan.root}/dynamics/{{dataset}}/{{job}}.nc",
    message:
        "Training networks: {wildcards.dataset}, {wildcards.job}"
    benchmark:
        f"{plan.root}/benchmarks/dynamics/{{dataset}}/{{job}}.tsv"
    threads: 1
    retries: 1
    resources:
        mem_mb=lambda w, attempt: attempt * plan.memory_mb("dynamics", f"{w.dataset}/{w.job}"),
        runtime=lambda w, attempt: attempt * plan.runtime_minutes("dynamics", f"{w.dataset}/{w.job}"),
    script:
        "../scripts/train_dynamics.py"
