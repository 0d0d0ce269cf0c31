def sampling_dataset(wildcards):
    """The prepared data set of a job."""
    return plan.jobs["sampling"][f"{wildcards.dataset}/{wildcards.job}"].draw.file


rule sample_sampling:
    input:
        sampling_dataset,
    output:
        f"{plan.root}/sampling/{{dataset}}/{{job}}.nc",
    message:
        "Sampling posteriors: {wildcards.dataset}, {wildcards.job}"
    benchmark:
        f"{plan.root}/benchmarks/sampling/{{dataset}}/{{job}}.tsv"
    threads: 1
    retries: 1
    resources:
        mem_mb=lambda w, attempt: attempt * plan.memory_mb("sampling", f"{w.dataset}/{w.job}"),
        runtime=lambda w, attempt: attempt * plan.runtime_minutes("sampling", f"{w.dataset}/{w.job}"),
    script:
        "../scripts/sample_sampling.py"
