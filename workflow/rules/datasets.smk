rule prepare_dataset:
    input:
        lambda w: plan.source_files([f"{plan.root}/datasets/{w.dataset}/{w.draw}.nc"]),
    output:
        f"{plan.root}/datasets/{{dataset}}/{{draw}}.nc",
    log:
        f"{plan.root}/logs/datasets/{{dataset}}/{{draw}}.log",
    retries: 1
    conda:
        "../envs/proplim.yaml"
    threads: 1
    resources:
        mem_mb=lambda w, attempt: 2000 * attempt,
        runtime=lambda w, attempt: 10 * attempt,
    message:
        "Preparing data set {wildcards.dataset}, {wildcards.draw}"
    script:
        "../scripts/prepare_dataset.py"


# Draws of one data set that are still to be made share a job: reading the source costs more than drawing from it.
for number, files in enumerate(plan.batches):

    rule:
        name:
            f"prepare_datasets_{number}"
        input:
            plan.source_files(files),
        output:
            files,
        log:
            f"{plan.root}/logs/datasets/batch-{number}.log",
        retries: 1
        conda:
            "../envs/proplim.yaml"
        threads: 1
        resources:
            mem_mb=lambda w, attempt: 2000 * attempt,
            runtime=lambda w, attempt: 30 * attempt,
        message:
            f"Preparing {len(files)} draws of data set {plan.draws[files[0]].dataset}"
        script:
            "../scripts/prepare_dataset.py"

    workflow.ruleorder(f"prepare_datasets_{number}", "prepare_dataset")
