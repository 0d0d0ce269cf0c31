rule sample_sampling:
    input:
        lambda w: plan.inputs("sampling", f"{w.dataset}/{w.job}"),
    output:
        plan.outputs("sampling"),
    message:
        "Sampling posteriors: {wildcards.dataset}, {wildcards.job}"
    benchmark:
        f"{plan.root}/benchmarks/sampling/{{dataset}}/{{job}}.tsv"
    threads: job_threads("sampling")
    priority: longest_first("sampling")
    retries: 2
    resources:
        mem_mb=job_memory("sampling"),
        runtime=job_runtime("sampling"),
    script:
        "../scripts/sample_sampling.py"
