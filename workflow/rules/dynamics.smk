rule train_dynamics:
    input:
        lambda w: plan.inputs("dynamics", f"{w.dataset}/{w.job}"),
    output:
        plan.outputs("dynamics"),
    message:
        "Training networks: {wildcards.dataset}, {wildcards.job}"
    benchmark:
        f"{plan.root}/benchmarks/dynamics/{{dataset}}/{{job}}.tsv"
    threads: job_threads("dynamics")
    priority: longest_first("dynamics")
    retries: 2
    resources:
        mem_mb=job_memory("dynamics"),
        runtime=job_runtime("dynamics"),
    script:
        "../scripts/train_dynamics.py"
