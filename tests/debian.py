"""Debian's packages for a test, in a folder of the test's own: nothing on this machine is changed."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path


def unpacked(names: list[str], folder: Path) -> str:
    """Fetch packages, with those that they depend on and this machine does not have, and unpack them into a folder.

    Returns:
        Why that is not possible here, or an empty string.
    """
    absent = [tool for tool in ("apt-get", "dpkg-deb") if shutil.which(tool) is None]
    if absent:
        return f"there is no {' and no '.join(absent)}"
    state, cache = folder / "apt" / "state", folder / "apt" / "cache"
    (state / "lists" / "partial").mkdir(parents=True)
    (cache / "archives" / "partial").mkdir(parents=True)
    apt = ["apt-get", "-q"]
    for option in (
        f"Dir::State={state}",
        # What is installed need not be fetched.
        "Dir::State::status=/var/lib/dpkg/status",
        f"Dir::Cache={cache}",
        "APT::Sandbox::User=",
        "Acquire::Languages=none",
        "Acquire::Retries=1",
    ):
        apt += ["-o", option]
    install = ["install", "--download-only", "--yes", "--no-install-recommends", "--reinstall", *names]
    for command in (["update"], install):
        done = subprocess.run([*apt, *command], capture_output=True, text=True, timeout=300)
        if done.returncode:
            return f"apt-get {command[0]} says {done.stderr.strip()[-300:]}"
    for archive in sorted((cache / "archives").glob("*.deb")):
        subprocess.run(["dpkg-deb", "--extract", str(archive), str(folder)], check=True, timeout=120)
    return ""


def rustc(target: str, folder: Path) -> list[str] | str:
    """The beginning of a command: a Rust compiler that has the standard library for a target, the first in PATH, that
    of the distribution, or its package unpacked into a folder.

    Returns:
        Why there is none here, where that is so.
    """
    for name in ("rustc", "/usr/bin/rustc"):
        if shutil.which(name) is not None and _has_library([name, "--target", target]):
            return [name, "--target", target]
    compiler = folder / "usr" / "bin" / "rustc"
    if not folder.exists():
        problem = unpacked(["rustc", "libstd-rust-dev", "libstd-rust-dev-wasm32"], folder)
        if problem:
            return f"no rustc with the target {target} here, and none to be had from Debian: {problem}"
    libraries = ":".join(map(str, (folder / "usr" / "lib").glob("*-linux-gnu")))
    line = ["env", f"LD_LIBRARY_PATH={libraries}", str(compiler), "--sysroot", str(folder / "usr"), "--target", target]
    return line if _has_library(line) else f"Debian's rustc does not have the target {target}"


def _has_library(line: list[str]) -> bool:
    found = subprocess.run([*line, "--print", "target-libdir"], capture_output=True, text=True, timeout=60)
    return found.returncode == 0 and Path(found.stdout.strip()).is_dir()


def clang_for_wasi(folder: Path) -> list[str] | str:
    """The beginning of a command: clang with a C library for WASI, the distribution's, or its packages unpacked into a
    folder.

    Returns:
        Why there is none here, where that is so.
    """
    if not (shutil.which("clang") and shutil.which("wasm-ld")):
        return "no clang or no wasm-ld here"
    shown = subprocess.run(["clang", "-print-resource-dir"], capture_output=True, text=True, check=True, timeout=60)
    resources = Path(shown.stdout.strip())
    builtins = Path("lib", "wasi", "libclang_rt.builtins-wasm32.a")
    if Path("/usr/include/wasm32-wasi").is_dir() and (resources / builtins).exists():
        return ["clang"]
    version = resources.name.partition(".")[0]
    if not folder.exists():
        problem = unpacked(["wasi-libc", f"libclang-rt-{version}-dev-wasm32"], folder)
        if problem:
            return f"no C library for WASI here, and none to be had from Debian: {problem}"
    # Clang looks for its own headers and for this library in one folder.
    found = [*folder.glob(f"usr/lib/llvm-*/lib/clang/*/{builtins}")]
    if not found:
        return f"Debian has no library of clang {version} for WASI"
    own = found[0].parents[2]
    if not (own / "include").exists():
        (own / "include").symlink_to(resources / "include")
    return ["clang", "-resource-dir", str(own), "--sysroot", str(folder / "usr")]
