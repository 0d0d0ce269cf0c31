"""Write the pages of what converged and was asked for, and explore.html, in which one turns through the study."""

from pathlib import Path

from proplim import study

if __name__ == "__main__":
    with study.job_process(snakemake.log[0]):
        study.collect_rarely()
        cubes = {Path(path).stem: path for path in snakemake.input}
        study.write_summary(study.restore_plan(snakemake.config), cubes, Path(snakemake.output[0]).parent)
        for page in snakemake.output.explorer:
            study.explore_study(cubes, page)
