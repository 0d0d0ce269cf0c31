rule sample_sampling:
    input:
        lambda w: plan.inputs("sampling", f"{w.dataset}/{w.job}"),
    output:
        plan.outputs("sampling"),
    log:
        f"{plan.root}/logs/sampling/{{dataset}}/{{job}}.log",
    priority: longest_first("sampling")
    retries: 2
    conda:
        "../envs/proplim.yaml"
    threads: job_threads("sampling")
    resources:
        mem_mb=job_memory("sampling"),
        runtime=job_runtime("sampling"),
    message:
        "Sampling posteriors: {wildcards.dataset}, {wildcards.job}"
    script:
        "../scripts/sample_sampling.py"
