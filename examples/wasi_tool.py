"""A command-line tool that was built for WASI, as a Python function: bytes and files in memory go in, and come out.

python examples/wasi_tool.py

docs/wasi-tools.md explains it, and runs a tool from PyPI.
"""

from __future__ import annotations

import io
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import vibewasm

UPPER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "upper.wat")


@dataclass(frozen=True)
class Finished:
    """What a run of a tool leaves.

    Attributes:
        code: its exit code.
        stdout: what it printed.
        stderr: what it printed about errors.
        files: what is in its directory: bytes by name, or a dict for a folder.
    """

    code: int
    stdout: bytes
    stderr: bytes
    files: dict[str, Any]


class Tool:
    """A WASI command. It is read once, and may be run often, and in several threads at once.

    Args:
        path: the module's file.
        name: what the tool is told that it is called; the file's name if left out.
        cache: keep its machine code on disk, for the next process that uses it.
        max_memory: how many bytes of memory a run may have.
    """

    def __init__(
        self, path: str, name: str | None = None, *, cache: bool = True, max_memory: int | None = None
    ) -> None:
        self.name = os.path.basename(path) if name is None else name
        self.engine = vibewasm.Engine(vibewasm.Config(cache=cache, max_memory=max_memory))
        self.module = vibewasm.Module.from_file(self.engine, path)

    def run(
        self,
        *arguments: str,
        stdin: bytes = b"",
        files: Mapping[str, Any] | vibewasm.MemoryDir | None = None,
        env: Mapping[str, str] | None = None,
        timeout: float | None = None,
    ) -> Finished:
        """Run the tool once. It sees these files, in the directory ``/``, and nothing else.

        Args:
            files: bytes or text by name, or a dict for a folder; a MemoryDir is used as it is, and changed.
            timeout: seconds that it may take.

        Raises:
            vibewasm.Interrupted: it took longer.
            vibewasm.Trap: it came to a trap, as a native tool comes to a segmentation fault.
        """
        stdout, stderr = io.BytesIO(), io.BytesIO()
        config = vibewasm.WasiConfig(
            argv0=self.name,
            args=arguments,
            env=dict(env or {}),
            preopens={"/": {} if files is None else files},
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
        )
        code = 0
        with vibewasm.Store(self.engine) as store, store.deadline(timeout):
            linker = vibewasm.Linker(self.engine)
            linker.define_wasi(config)
            try:
                linker.instantiate(store, self.module).exports["_start"]()
            except vibewasm.ExitTrap as end:
                code = end.code
        return Finished(code, stdout.getvalue(), stderr.getvalue(), config.preopens["/"].files)


def main() -> None:
    """Run a tool in both ways that it knows, and once so that it fails."""
    upper = Tool(UPPER)
    print(upper.run(stdin=b"from standard input"))
    print(upper.run("in.txt", "out.txt", files={"in.txt": "from a file"}).files)
    print("exit code without a file:", upper.run("in.txt", "out.txt").code)


if __name__ == "__main__":
    main()
