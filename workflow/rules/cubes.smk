rule collect_cube:
    input:
        lambda wildcards: plan.results(wildcards.stage),
    output:
        f"{plan.root}/{{stage}}.nc",
    log:
        f"{plan.root}/logs/collect/{{stage}}.log",
    wildcard_constraints:
        stage="theory|sampling|dynamics",
    retries: 2
    conda:
        "../envs/proplim.yaml"
    threads: 1
    resources:
        mem_mb=lambda w, attempt: attempt * requests.cube_memory_mb(w.stage),
        runtime=lambda w, attempt: attempt * 20,
    params:
        grid=lambda w: plan.grid_hash(w.stage),
    message:
        "Collecting the {wildcards.stage} cube"
    script:
        "../scripts/collect_cube.py"


rule list_files:
    input:
        lambda w: plan.manifests(plan.indexes()[f"{plan.root}/{w.folder}/index.txt"]),
    output:
        f"{plan.root}/{{folder}}/index.txt",
    log:
        f"{plan.root}/logs/list/{{folder}}.log",
    wildcard_constraints:
        folder="[^/]+",
    conda:
        "../envs/proplim.yaml"
    threads: 1
    message:
        "Listing the files in {wildcards.folder}"
    script:
        "../scripts/list_files.py"
