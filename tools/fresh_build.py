"""How the package's modules are gathered when it is built; pyproject.toml names this class."""

from __future__ import annotations

import os
import runpy
import shutil
import subprocess
import sys

from setuptools.command.build_py import build_py


class FreshBuildPy(build_py):
    """setuptools' own, from an empty folder, with usual stubs and the digest of what it gathers.

    setuptools gathers the package in build/lib and takes all that is there. In a checkout that was updated since it was
    last installed from, modules that are gone would be installed, too.
    """

    def run(self) -> None:
        """Gather the modules."""
        gathered = os.path.join(self.build_lib, "vibewasm")
        if self.editable_mode:
            super().run()
            return
        if os.path.isdir(gathered):
            shutil.rmtree(gathered)
        super().run()
        built_stubs = os.path.join(os.path.dirname(__file__), "built_stubs.py")
        subprocess.run([sys.executable, "-B", built_stubs, os.path.abspath(self.build_lib)], check=True)
        # A checkout's files change, so there it is taken when it is asked for; see vibewasm.cache.key.
        source = runpy.run_path(os.path.join(gathered, "cache", "source.py"))
        with open(os.path.join(gathered, source["BUILT"]), "w", encoding="utf-8") as file:
            file.write(
                '"""What is known of a wheel when it is built."""\n\n'
                "#: Of all Python files of the package but this one; see vibewasm.cache.key.\n"
                f'SOURCE_DIGEST = "{source["digest_of_source"](gathered).hex()}"\n'
            )
