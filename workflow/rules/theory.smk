rule solve_theory:
    input:
        lambda w: plan.inputs("theory", f"{w.dataset}/{w.job}"),
    output:
        plan.outputs("theory"),
    log:
        f"{plan.root}/logs/theory/{{dataset}}/{{job}}.log",
    priority: longest_first("theory")
    retries: 2
    conda:
        "../envs/proplim.yaml"
    threads: job_threads("theory")
    resources:
        mem_mb=job_memory("theory"),
        runtime=job_runtime("theory"),
    message:
        "Solving the theory: {wildcards.dataset}, {wildcards.job}"
    script:
        "../scripts/solve_theory.py"
