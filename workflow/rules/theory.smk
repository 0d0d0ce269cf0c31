rule solve_theory:
    input:
        lambda w: plan.inputs("theory", f"{w.dataset}/{w.job}"),
    output:
        plan.outputs("theory"),
    message:
        "Solving the theory: {wildcards.dataset}, {wildcards.job}"
    benchmark:
        f"{plan.root}/benchmarks/theory/{{dataset}}/{{job}}.tsv"
    threads: job_threads("theory")
    priority: longest_first("theory")
    retries: 2
    resources:
        mem_mb=job_memory("theory"),
        runtime=job_runtime("theory"),
    script:
        "../scripts/solve_theory.py"
