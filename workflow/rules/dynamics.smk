rule train_dynamics:
    input:
        lambda w: plan.inputs("dynamics", f"{w.dataset}/{w.job}"),
    output:
        plan.outputs("dynamics"),
    log:
        f"{plan.root}/logs/dynamics/{{dataset}}/{{job}}.log",
    priority: longest_first("dynamics")
    retries: 2
    conda:
        "../envs/proplim.yaml"
    threads: job_threads("dynamics")
    resources:
        mem_mb=job_memory("dynamics"),
        runtime=job_runtime("dynamics"),
    message:
        "Training networks: {wildcards.dataset}, {wildcards.job}"
    script:
        "../scripts/train_dynamics.py"
