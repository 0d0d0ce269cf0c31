# Runs the workflow of this checkout: snakemake -s PATH/Snakefile --configfile my.yaml --cores 2
# Without a configuration file it computes the default study.

from pathlib import Path

if not workflow.overwrite_configfiles:

    configfile: Path(workflow.basedir) / "config.yaml"


include: "workflow/Snakefile"


localrules:
    all,


# The target of an included file is no default target.
rule all:
    default_target: True
    input:
        rules.study.input,
