"""The wheel ships the workflow inside of the package; everything else is in pyproject.toml."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

FOLDERS = {"workflow": "workflow", "profiles/default": "workflow/profiles/default"}
"""Folder of the checkout -> folder in the package."""


class BuildWithWorkflow(build_py):
    """Copies the workflow beside the modules; an editable install uses that of the checkout."""

    def run(self) -> None:
        super().run()
        if self.editable_mode:
            return
        for folder, target in FOLDERS.items():
            copy = Path(self.build_lib, "proplim", target)
            shutil.copytree(folder, copy, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))


setup(cmdclass={"build_py": BuildWithWorkflow})
