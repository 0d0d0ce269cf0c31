# Feature learning in the proportional limit: from a configuration to cubes, figures and a report.
# The science is in src/proplim; rules say what is made from what, scripts only hand it over.

import shlex
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.utils import min_version

min_version("9.27")

# Snakemake starts a script by a line of shell in which the path of the interpreter is not quoted.
sys.executable = shlex.quote(sys.executable)
sys.path.insert(0, str(Path(workflow.basedir) / "src"))

from proplim.config import ConfigErrors
from proplim.study import Requests, open_study, save_plan

if not workflow.overwrite_configfiles:

    configfile: Path(workflow.basedir) / "config.yaml"


try:
    plan = open_study(config, workflow.configfiles, check=workflow.is_main_process)
except ConfigErrors as error:
    raise WorkflowError(f"the configuration has {len(error.problems)} problem(s)", *error.problems) from None

requests = Requests(plan)


report: "workflow/report/study.rst"


include: "workflow/rules/jobs.smk"
include: "workflow/rules/datasets.smk"
include: "workflow/rules/theory.smk"
include: "workflow/rules/sampling.smk"
include: "workflow/rules/dynamics.smk"
include: "workflow/rules/cubes.smk"
include: "workflow/rules/figures.smk"


localrules:
    study,
    list_files,


rule study:
    default_target: True
    input:
        plan.cubes(),
        list(plan.indexes()),
        branch(plan.config.figures.enabled, then=f"{plan.root}/figures"),
        branch(plan.config.figures.enabled, then=f"{plan.root}/explore.html"),
        f"{plan.root}/summary/convergence.html",


onstart:
    save_plan(plan)


onsuccess:
    from proplim.study import print_summary, write_report

    write_report(plan, workflow)
    print_summary(plan)
