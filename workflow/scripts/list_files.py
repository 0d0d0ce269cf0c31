"""List the files of single points that the jobs of a stage have left: draws, attributions to training inputs."""

from proplim import study

if __name__ == "__main__":
    with study.job_process(snakemake.log[0]):
        study.list_files(snakemake.input, snakemake.output[0])
