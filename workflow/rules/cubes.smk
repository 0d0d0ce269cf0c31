rule collect_cube:
    input:
        lambda wildcards: plan.results(wildcards.stage),
    output:
        f"{plan.root}/{{stage}}.nc",
    wildcard_constraints:
        stage="theory|sampling|dynamics",
    params:
        grid=lambda w: plan.grid_hash(w.stage),
    message:
        "Collecting the {wildcards.stage} cube"
    threads: 1
    retries: 2
    resources:
        mem_mb=lambda w, attempt: attempt * requests.cube_memory_mb(w.stage),
        runtime=lambda w, attempt: attempt * 20,
    script:
        "../scripts/collect_cube.py"


rule list_files:
    input:
        lambda w: plan.manifests(plan.indexes()[f"{plan.root}/{w.folder}/index.txt"]),
    output:
        f"{plan.root}/{{folder}}/index.txt",
    wildcard_constraints:
        folder="[^/]+",
    message:
        "Listing the files in {wildcards.folder}"
    threads: 1
    script:
        "../scripts/list_files.py"
