"""Write the pages of what converged and was asked for, and explore.html, in which one turns through the study."""

from pathlib import Path

from proplim import study

if __name__ == "__main__":
    with study.job_process(snakemake.log[0]):
        study.write_pages(
            study.restore_plan(snakemake.config), {Path(path).stem: path for path in snakemake.input}
        )
