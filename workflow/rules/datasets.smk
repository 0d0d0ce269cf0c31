def source_files(wildcards):
    """A user's data file, so that a changed file is noticed."""
    return plan.source_files(plan.draws[wildcards.dataset, wildcards.draw])


rule prepare_dataset:
    input:
        source_files,
    output:
        f"{plan.root}/datasets/{{dataset}}/{{draw}}.nc",
    message:
        "Preparing data set {wildcards.dataset}, {wildcards.draw}"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=10,
    script:
        "../scripts/prepare_dataset.py"
