"""How the package's modules are gathered when it is built; pyproject.toml names this class."""

from __future__ import annotations

import os
import shutil

from setuptools.command.build_py import build_py


class FreshBuildPy(build_py):
    """setuptools' own, from an empty folder.

    setuptools gathers the package in build/lib and takes all that is there. In a checkout that was updated since it was
    last installed from, modules that are gone would be installed, too.
    """

    def run(self) -> None:
        """Gather the modules."""
        gathered = os.path.join(self.build_lib, "vibewasm")
        if not self.editable_mode and os.path.isdir(gathered):
            shutil.rmtree(gathered)
        super().run()
