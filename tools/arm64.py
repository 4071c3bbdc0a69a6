#!/usr/bin/env python3
"""Run Python for arm64 under emulation: ``python tools/arm64.py -m tests.spec --mode all``.

What stands after this command is what the emulated Python gets as its arguments; it runs in the present folder. The
first run sets everything up in a cache folder: Debian's or Ubuntu's own Python for arm64 with its libraries (15 MB),
and pytest, hypothesis and capstone from wheels. Nothing on this machine is changed and nothing needs root: apt works
with state of its own, and packages are only unpacked.

The emulator is ``qemu-aarch64-static`` or ``qemu-aarch64``, from the path or, where neither is there, unpacked from the
distribution's package as well.

Environment:
    VIBEWASM_ARM64: the cache folder; the default is ``vibewasm/arm64`` below ``XDG_CACHE_HOME`` or ``~/.cache``.
    VIBEWASM_QEMU: further arguments for the emulator, as ``-g 1234`` to wait for a debugger, or ``-R 0x4000000000`` to
        limit the address space: it keeps a record of each page that was ever mapped, which takes all of this machine's
        memory where one process makes thousands of memories.

Options, instead of arguments of Python:
    --set-up: only do what the first run does.
    --missing: say what keeps this from running here, or nothing.
    --remove: remove the cache folder.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

#: Unpacked with all that they depend on.
_PACKAGES = ("python3-minimal", "libpython3-stdlib")
#: Packages for the emulated Python, from wheels.
_WHEELS = ("pytest>=8", "hypothesis>=6", "capstone>=5")
_EMULATORS = ("qemu-aarch64-static", "qemu-aarch64")
#: Names the setup inside the cache folder: one that is made in another way needs another name.
_SETUP = "setup-4"


class CannotEmulate(Exception):
    """What is missing here, as a message."""


def cache() -> Path:
    """The cache folder."""
    named = os.environ.get("VIBEWASM_ARM64")
    if named:
        return Path(named).absolute()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "vibewasm" / "arm64"


def is_set_up() -> bool:
    """Whether the first run has been here, so that nothing is fetched any more."""
    return (cache() / _SETUP).exists()


def missing() -> str:
    """What keeps the setup or the emulation from working here, or an empty string."""
    if is_set_up():
        return ""
    if sys.platform != "linux":
        return f"an emulated Linux program needs Linux, and this is {sys.platform!r}"
    absent = [tool for tool in ("apt-get", "dpkg-deb") if shutil.which(tool) is None]
    if absent:
        return (
            f"the emulated Python comes from Debian or Ubuntu packages, and there is no {' and no '.join(absent)} here"
        )
    return ""


def _run(command: list[str], purpose: str) -> None:
    """Run a command quietly; its output is shown if it fails."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        raise CannotEmulate(f"{purpose}: {shlex.join(command)} ended with {done.returncode}:\n{done.stdout}")


class _Packages:
    """apt for one architecture, with state in a folder of its own."""

    def __init__(self, folder: Path, architecture: str | None) -> None:
        self._archives = folder / "cache" / "archives"
        for place in (folder / "state" / "lists" / "partial", self._archives / "partial"):
            place.mkdir(parents=True, exist_ok=True)
        # Nothing counts as installed, so that all dependencies are fetched.
        status = folder / "state" / "status"
        status.touch()
        options = {
            "Dir::State": folder / "state",
            "Dir::State::status": status,
            "Dir::Cache": folder / "cache",
            "APT::Sandbox::User": "",
            "Acquire::Languages": "none",
        }
        if architecture:
            options["APT::Architecture"] = options["APT::Architectures"] = architecture
        self._apt = ["apt-get"]
        for name, value in options.items():
            self._apt += ["-o", f"{name}={value}"]
        _run([*self._apt, "update"], "reading the package lists")

    def unpack(self, names: tuple[str, ...], target: Path) -> None:
        """Fetch packages and all that they depend on, and unpack them into ``target``."""
        fetch = [*self._apt, "install", "--download-only", "--yes", "--no-install-recommends", *names]
        _run(fetch, "fetching packages")
        for archive in sorted(self._archives.glob("*.deb")):
            _run(["dpkg-deb", "--extract", str(archive), str(target)], "unpacking")


def emulator(folder: Path) -> str:
    """The emulator's path, or an empty string."""
    for name in _EMULATORS:
        for path in (shutil.which(name), shutil.which(name, path=str(folder / "qemu" / "usr" / "bin"))):
            if path:
                return path
    return ""


def _set_up(final: Path) -> None:
    reason = missing()
    if reason:
        raise CannotEmulate(reason)
    print(f"setting up Python for arm64 in {final}", file=sys.stderr)
    # Nobody sees it before it is complete, and several may make one at once.
    final.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f"{final.name}.", dir=final.parent))
    try:
        _fill(folder, final)
        folder.chmod(0o755)
        try:
            folder.rename(final)
        except OSError:
            # Another process may have been faster: a folder that holds something is not replaced.
            if not is_set_up():
                raise
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _fill(folder: Path, final: Path) -> None:
    """Put everything into ``folder``, which is to be moved to ``final``."""
    if not emulator(folder):
        # The package holds emulators of thirty processors.
        _Packages(folder / "native", None).unpack(("qemu-user-static",), folder / "native" / "all")
        place = folder / "qemu" / "usr" / "bin"
        place.mkdir(parents=True)
        shutil.move(folder / "native" / "all" / "usr" / "bin" / _EMULATORS[0], place)
    _Packages(folder / "apt", "arm64").unpack(_PACKAGES, folder / "root")
    for used_up in ("native", "apt"):
        shutil.rmtree(folder / used_up, ignore_errors=True)
    site = folder / "site"
    python = _interpreter(folder)
    wheels = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--target", str(site)]
    wheels += ["--only-binary", ":all:", "--implementation", "cp", "--python-version", python.name[len("python") :]]
    for platform in ("any", "manylinux_2_17_aarch64", "manylinux2014_aarch64"):
        wheels += ["--platform", platform]
    _run([*wheels, *_WHEELS], "installing pytest")
    # The kernel here cannot start an arm64 program, but a script that starts the emulator: sys.executable is that.
    wrapper = folder / "python"
    moved = [part.replace(str(folder), str(final)) for part in (emulator(folder), str(folder / "root"), str(python))]
    command = shlex.join([moved[0], "-L", *moved[1:]])
    wrapper.write_text(f'#!/bin/sh\nexec {command} "$@"\n')
    wrapper.chmod(0o755)
    (site / "sitecustomize.py").write_text(f"import sys\n\nsys.executable = {str(final / wrapper.name)!r}\n")


def _interpreter(folder: Path) -> Path:
    """The emulated interpreter, a file whose name tells its version."""
    return (folder / "root" / "usr" / "bin" / "python3").resolve()


def command(arguments: list[str]) -> tuple[list[str], dict[str, str]]:
    """The command and the environment that run the emulated Python; sets it up if that has not been done.

    Raises:
        CannotEmulate: that is not possible here; the message says why.
    """
    folder = cache() / _SETUP
    if not is_set_up():
        _set_up(folder)
    if not emulator(folder):
        raise CannotEmulate(
            f"there is neither {' nor '.join(_EMULATORS)} any more; --remove makes a new setup possible"
        )
    environment = dict(os.environ)
    paths = [str(folder / "site"), *filter(None, [environment.get("PYTHONPATH")])]
    environment["PYTHONPATH"] = os.pathsep.join(paths)
    environment["VIBEWASM_EMULATED"] = "1"
    environment.pop("PYTHONHOME", None)
    further = shlex.split(environment.get("VIBEWASM_QEMU", ""))
    line = [emulator(folder), *further, "-L", str(folder / "root"), str(_interpreter(folder))]
    return [*line, *arguments], environment


def main() -> int:
    arguments = sys.argv[1:]
    if arguments == ["--missing"]:
        reason = missing()
        print(reason, end="\n" if reason else "")
        return 1 if reason else 0
    if arguments == ["--set-up"]:
        arguments = ["-c", ""]
    if arguments == ["--remove"]:
        shutil.rmtree(cache(), ignore_errors=True)
        return 0
    try:
        line, environment = command(arguments)
    except CannotEmulate as reason:
        print(f"tools/arm64.py: {reason}", file=sys.stderr)
        return 125
    return os.execve(line[0], line, environment)


if __name__ == "__main__":
    sys.exit(main())
