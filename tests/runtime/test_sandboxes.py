"""Sandboxes that refuse system calls, full file systems, and limits: a precise error, or another way, and no crash."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest

from tests.native import not_emulated

from .filters import FILTERS
from .machine import ROOT, python

pytestmark = not_emulated("filters of system calls and limits are for the emulator there")

SETUP = f"""
import errno, os, resource, sys
import vibewasm as vw
{FILTERS}
TEXT = '''(module (import "h" "f" (func $h (param i32) (result i32))) (memory 1)
  (func $count (export "count") (param i32) (result i32)
    local.get 0 i32.eqz if (result i32) i32.const 0
    else local.get 0 i32.const 1 i32.sub call $count i32.const 1 i32.add end)
  (func $forever (export "forever") call $forever)
  (func (export "host") (param i32) (result i32) local.get 0 call $h)
  (func (export "grow") (result i32) i32.const 1 memory.grow)
  (func (export "out") i32.const -1 i32.load drop))'''
def use(config=None):
    exports = vw.instantiate(TEXT, {{"h": {{"f": lambda x: x + 1}}}}, config=config).exports
    assert exports.count(100) == 100
    assert exports.host(3) == 4
    for f in (exports.forever, exports.out):
        try: f()
        except vw.Trap: pass
        else: raise AssertionError
    assert exports.grow() == 1
    return exports
def outcome(config=None):
    try: use(config)
    except vw.WasmError as error: print(error)
    else: print("works")
# Everything that it takes is loaded, as the limit is about the code.
import vibewasm.runtime.code_files, vibewasm.api.linker
vw.Module(vw.Engine(), TEXT)
"""
USED = "use()\n"
NO_FILES = """
def no_file(folder): raise OSError(errno.EMFILE, "Too many open files")
vw.runtime.code_files._file = no_file
"""


def output(source: str) -> str:
    """What ``source`` prints."""
    done = python(SETUP + source)
    assert (done.returncode, done.stderr) == (0, ""), (done.returncode, done.stdout + done.stderr)
    if done.stdout == "no filters\n":
        pytest.skip("this system takes no filters of system calls")
    return done.stdout


#: What is refused, in words of the message where nothing can be done.
EXECUTE = "no executable memory can be had"
FILTERED: dict[str, tuple[str, tuple[str, ...]]] = {
    "memory mapped twice": ("('mremap', errno.EPERM)", ()),
    "no room for it twice": ("('mremap', errno.ENOMEM)", ()),
    "memory made executable": ("('mprotect', errno.EACCES, 2, EXECUTE)", ()),
    "memfd": ("('memfd_create', errno.ENOSYS), ('mremap', errno.EPERM)", ()),
    "memfd, descriptors": ("('memfd_create', errno.EMFILE), ('mprotect', errno.EPERM, 2, EXECUTE)", ()),
    "all that is executable": (
        "('mprotect', errno.EPERM, 2, EXECUTE), ('mmap', errno.EPERM, 2, EXECUTE)",
        (EXECUTE, "sandbox", "anonymous memory: Operation not permitted", "memfd: Operation not permitted", "/tmp"),
    ),
    "files and twice": (
        "('mremap', errno.EPERM), ('memfd_create', errno.ENOSYS)",
        (EXECUTE, "memfd: Function not implemented", "a file in /tmp: Too many open files"),
    ),
    "room in files": (
        "('mremap', errno.EPERM), ('fallocate', errno.ENOSPC)",
        ("there is no room for 65536 bytes of machine code", "control group", "memfd: No space left on device"),
    ),
    "mprotect": ("('mprotect', errno.EPERM)", ("bytes of address space", "Operation not permitted", "seccomp")),
    "mmap": ("('mmap', errno.ENOMEM)", ("no room", "ulimit -v")),
    "limits": ("('prlimit64', errno.EPERM), ('getrlimit', errno.EPERM)", ()),
    "threads": ("('clone', errno.EAGAIN), ('clone3', errno.EAGAIN)", ()),
    "madvise": ("('madvise', errno.EPERM)", ()),
    "msync": ("('msync', errno.ENOSYS)", ()),
    "membarrier": ("('membarrier', errno.ENOSYS)", ()),
    "userfaultfd, getrandom, gettid": (
        "('userfaultfd', errno.EPERM), ('getrandom', errno.ENOSYS), ('gettid', errno.ENOSYS)",
        (),
    ),
    "sigaltstack": ("('sigaltstack', errno.EPERM)", ()),
}
_FEW = ("memfd", "all that is executable", "room in files", "mprotect", "limits")


@pytest.mark.parametrize("what", [pytest.param(key, marks=[pytest.mark.ci] * (key not in _FEW)) for key in FILTERED])
@pytest.mark.parametrize("when", ["at first", pytest.param("later", marks=pytest.mark.ci)])
def test_what_a_sandbox_refuses_is_done_otherwise_or_told(what: str, when: str) -> None:
    rules, words = FILTERED[what]
    # Not by a filter, since modules are opened as well.
    without_files = NO_FILES if what == "files and twice" else ""
    source = f"{USED if when == 'later' else ''}{without_files}refuse({rules})\noutcome()\noutcome()\n"
    lines = output(source).splitlines()
    assert len(lines) == 2
    for line in lines:
        if not words or (what == "mmap" and when == "later"):
            assert line == "works" or what == "mmap"
        else:
            for word in words:
                assert word in line


def test_what_was_refused_is_remembered_without_what_it_was_for() -> None:
    source = """
import weakref
class Held: pass
def first(held): use()
held = Held()
gone = weakref.ref(held)
refuse(('mprotect', errno.EACCES, 2, EXECUTE))
first(held)
del held
assert vw.runtime.os_linux._needs_file
print(gone() is None)
"""
    assert output(source) == "True\n"


def test_callbacks_for_which_there_is_no_executable_memory_are_an_error() -> None:
    """Memory of libffi's own, which it maps as executable."""
    found = output("refuse(('mmap', errno.EPERM, 2, EXECUTE))\noutcome()\n")
    assert found == "works\n" or "no executable memory for a callback" in found


def test_a_program_that_only_looks_at_modules_needs_no_executable_memory() -> None:
    source = """
refuse(('mprotect', errno.EPERM, 2, EXECUTE), ('mmap', errno.EPERM, 2, EXECUTE))
module = vw.Module(vw.Engine(), TEXT)
print([export.name for export in module.exports])
"""
    assert "'count'" in output(source)


@pytest.mark.parametrize("file", ["/dev/shm", pytest.param("TMPDIR", marks=pytest.mark.ci)])
def test_a_full_file_system_is_an_error_and_no_signal(file: str, tmp_path: object) -> None:
    """A page that there is no room for when it is written to is a SIGBUS."""
    folder = file if file != "TMPDIR" else str(tmp_path)
    unshare = shutil.which("unshare")
    source = f"""{SETUP}
if os.system("mount -t tmpfs -o size=16k tmpfs {folder}"): print("no mounts"); sys.exit()
from vibewasm.runtime import code_files
sources = [source for source in code_files._sources() if source[0] == "a file in {folder}"]
assert len(sources) == 1
code_files._sources = lambda: iter(sources)
refuse(('mremap', errno.EPERM))
outcome()
"""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "TMPDIR": folder}
    line = [*([unshare, "-m"] if unshare else []), sys.executable, "-c", source]
    if unshare is None or os.geteuid():
        pytest.skip("mounting takes root and unshare")
    done = subprocess.run(line, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False)
    if done.stdout in ("no mounts\n", "no filters\n", ""):
        assert done.returncode == 0 or "unshare" in done.stderr, done.stderr
        pytest.skip(f"nothing can be mounted here: {done.stdout}{done.stderr}")
    assert (done.returncode, done.stderr) == (0, "")
    assert f"a file in {folder}: No space left on device" in done.stdout


def test_files_of_code_have_no_name_and_leave_none(tmp_path: object) -> None:
    source = f"""
from vibewasm.runtime import code_files
code_files._sources = lambda: iter([("there", lambda: code_files._file({str(tmp_path)!r}))])
real = os.open
def without_tmpfile(path, flags, *mode):
    if flags & os.O_TMPFILE == os.O_TMPFILE: raise OSError(errno.EOPNOTSUPP, "Operation not supported")
    return real(path, flags, *mode)
os.open = without_tmpfile
refuse(('mremap', errno.EPERM))
outcome()
print(os.listdir({str(tmp_path)!r}))
"""
    assert output(source) == "works\n[]\n"


@pytest.mark.parametrize("handler", ["SIG_IGN", "SIG_DFL"])
def test_a_limit_of_files_sizes_does_not_matter_and_kills_nobody(handler: str) -> None:
    source = f"""
import signal
signal.signal(signal.SIGXFSZ, signal.{handler})
resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
outcome()
refuse(('mremap', errno.EPERM))
# What is there lasts for small modules.
vw.calls.process._shared_memory._arena = None
outcome()
"""
    first, *rest = output(source).splitlines()
    assert first == "works"
    assert len(rest) == 1
    assert "File too large" in rest[0]


@pytest.mark.parametrize("when", ["first", "later"])
def test_no_descriptors_are_needed_for_code(when: str) -> None:
    source = "use()\nresource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))\nuse()\nprint('end')\n"
    if when == "first":
        source = source.replace("use()\n", "use()\nvw.calls.process._shared_memory._arena = None\n", 1)
    assert output(source) == "end\n"


# -- how much there may be ---------------------------------------------------------------------------------------------

#: Limits that stand for an account of memory that is promised (vm.overcommit_memory=2), which cannot be set for one
#: process: RLIMIT_DATA counts what can be written to when it is mapped or made so, as the account does.


@pytest.mark.parametrize("explicit", [False, True])
def test_only_memory_that_is_used_counts_where_promises_are_counted(explicit: bool) -> None:
    source = f"""
use()
resource.setrlimit(resource.RLIMIT_DATA, (400 << 20, 400 << 20))
memory = vw.instantiate('(module (memory (export "m") 1))', config=vw.Config(explicit_bounds={explicit})).exports.m
# Each could become 4 GiB.
others = [vw.instantiate('(module (memory (export "m") 1))', config=vw.Config(explicit_bounds={explicit})).exports.m
          for _ in range(10)]
print(memory.grow(16 * 100))
print(memory.grow(16 * 1000))
others[0].grow(16)
others[0][1 << 20] = 1
memory[100 << 20] = 1
print(len(memory) >> 20)
try: vw.instantiate('(module (memory 10000))', config=vw.Config(explicit_bounds={explicit}))
except vw.WasmError as error: print(error)
use()
"""
    lines = output(source.replace("print(memory.grow(16 * 1000))", GROW)).splitlines()
    assert lines[0] == "1"
    assert "-1" in lines[1] or "cannot" in lines[1]
    assert lines[2] == "100"
    assert "ulimit" in lines[3]
    assert len(lines) == 4


GROW = """
try: print(memory.grow(16 * 1000))
except (vw.WasmError, MemoryError, ValueError) as error: print("cannot:", error)
"""


@pytest.mark.parametrize("call", ["mmap", "mprotect"])
@pytest.mark.parametrize("explicit", [False, True])
def test_where_no_memory_can_be_had_growing_says_so_and_what_is_there_works(call: str, explicit: bool) -> None:
    source = f"""
exports = vw.instantiate('''(module (memory (export "m") 1) (func (export "grow") (param i32) (result i32)
  local.get 0 memory.grow) (func (export "get") (param i32) (result i32) local.get 0 i32.load8_u))''',
  config=vw.Config(explicit_bounds={explicit})).exports
print(exports.grow(1), exports.get(5))
refuse(({call!r}, errno.ENOMEM, 2, 2))
print(exports.grow(1000), exports.get(131071))
try: exports.get(131072)
except vw.Trap as trap: print(trap.code)
"""
    grown = "2" if call == "mmap" else "-1"
    lines = output(source).splitlines()
    assert lines[:2] == ["1 0", f"{grown} 0"]
    assert lines[2:] == ([] if call == "mmap" else ["memory_out_of_bounds"])
