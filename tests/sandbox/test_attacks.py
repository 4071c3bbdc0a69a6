"""What code can do that has taken over the process of a run: nothing. Emulators have no seccomp and no landlock."""

from __future__ import annotations

import platform
import signal
from pathlib import Path

import pytest

from tests.native import not_emulated
from vibewasm.sandbox.numbers import CALLS

from .attacks import attack

#: What kills: the code prints, if it comes so far. Where nothing kills, none of it does harm.
KILLED = {
    "fork": "os.fork(); os.write(1, b'alive')",
    "a program": "os.execv('/bin/true', ['true'])",
    "a program from a descriptor": "call(322 if X86 else 281, os.memfd_create('x'), b'', 0, 0, 0x1000)",
    "a subprocess": "subprocess.run(['/bin/true'])",
    "socket": "socket.socket()",
    "socketpair": "socket.socketpair()",
    "ptrace": "libc.ptrace(0, 0, 0, 0)",
    "reading the parent": "call(310 if X86 else 270, os.getppid(), 0, 0, 0, 0, 0)",
    "a signal to the parent": "os.kill(os.getppid(), 0)",
    "a signal to everybody": "os.kill(-1, 0)",
    "a signal to a thread of the parent": "call(234 if X86 else 131, os.getppid(), os.getppid(), 0)",
    "a signal by descriptor": "call(424, -1, 0, 0, 0)",
    "namespaces": "libc.unshare(0x10000000)",
    "mounting": "libc.mount(b'', b'/no/such/folder', b'', 0, 0)",
    "chroot": "os.chroot('/')",
    "io_uring": "call(425, 8, 0)",
    "bpf": "call(321 if X86 else 280, 0, 0, 0)",
    "userfaultfd": "call(323 if X86 else 282, 0)",
    "keys": "call(250 if X86 else 219, 0, 0)",
    "a file handle": "call(304 if X86 else 265, 0, 0, 0)",
    "another filter": "call(317 if X86 else 277, 1, 0, 0)",
    "a new session": "os.setsid()",
    "another user": "os.setuid(65534)",
    "a call that does not exist": "call(1999)",
}


@pytest.fixture(scope="module", autouse=True)
def _real_kernel() -> None:
    if platform.machine() not in CALLS:
        pytest.skip(f"NOT RUN: there is no list of system calls for {platform.machine()}")


def test_what_no_run_does_kills_the_process() -> None:
    codes = [f"X86 = {platform.machine() == 'x86_64'}\n{code}\nos.write(1, b'alive')" for code in KILLED.values()]
    outcomes = attack(*codes, mechanism="seccomp")
    alive = {name: outcome for name, outcome in zip(KILLED, outcomes, strict=True) if not outcome.is_killed}
    assert not alive


@pytest.mark.skipif(platform.machine() != "x86_64", reason="calls by other numbers are x86-64's")
def test_calls_by_the_numbers_of_other_programs_kill_the_process() -> None:
    # getpid of x32, and of i386 by its own instruction, from code that is mapped twice as the engine's is.
    gate = """
fd = os.memfd_create("x")
os.ftruncate(fd, 4096)
os.pwrite(fd, bytes.fromhex("b814000000cd80c3"), 0)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
at = libc.mmap(None, 4096, 5, 1, fd, 0)
os.write(1, b"mapped")
ctypes.CFUNCTYPE(ctypes.c_int)(at)()
os.write(1, b"alive")
"""
    x32, i386 = attack("call(0x40000000 + 39); os.write(1, b'alive')", gate, mechanism="seccomp")
    assert x32.is_killed
    assert (i386.text, i386.is_killed) == ("mapped", True)


def test_memory_that_can_be_written_is_never_executed() -> None:
    code = """
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
libc.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
fd = os.memfd_create("x")
os.ftruncate(fd, 4096)
found = []
for protection, flags, source in ((7, 0x22, -1), (5, 0x22, -1), (7, 1, fd), (5, 2, fd), (3, 0x22, -1)):
    at = libc.mmap(None, 4096, protection, flags, source, 0)
    found.append("mapped" if at != ctypes.c_void_p(-1).value else errno.errorcode[ctypes.get_errno()])
found.append("protected" if libc.mprotect(at, 4096, 5) == 0 else errno.errorcode[ctypes.get_errno()])
os.write(1, " ".join(found).encode())
"""
    (outcome,) = attack(code, mechanism="seccomp")
    assert outcome.text == "EACCES EACCES EACCES EACCES mapped EACCES"


@pytest.mark.ci
def test_threads_are_there_and_are_filtered_too() -> None:
    working, breaking = attack(
        "threads = [threading.Thread(target=os.write, args=(1, b'x')) for _ in range(3)]\n"
        "[thread.start() for thread in threads]\n[thread.join() for thread in threads]",
        "threading.Thread(target=socket.socket).start(); time.sleep(10); os.write(1, b'alive')",
        mechanism="seccomp",
    )
    assert (working.status, working.text) == (0, "xxx")
    assert breaking.is_killed


#: What fails, without a folder.
REFUSED = [
    "open('/etc/passwd')",
    "open('/proc/self/mem', 'r+b')",
    "open('/dev/tty')",
    "os.listdir('/')",
    "os.stat('/etc/passwd')",
    "os.readlink('/proc/self/exe')",
    "os.open('/', os.O_PATH)",
    "os.mkdir('/tmp/made-by-an-attacker')",
    "os.symlink('/', '/tmp/made-by-an-attacker')",
    "os.unlink('/tmp/made-by-an-attacker')",
    "fcntl.ioctl(0, 0x5412, b'x')",
    "ctypes.CDLL('libresolv.so.2')",
    "resource.setrlimit(resource.RLIMIT_NOFILE, (10, 10))",
]


def test_without_a_folder_there_are_no_paths() -> None:
    code = "for text in %r:\n    os.write(1, (attempt(lambda: eval(text)) + '\\n').encode())"
    (outcome,) = attack(code % (REFUSED,), mechanism="seccomp")
    assert outcome.status == 0
    answers = dict(zip(REFUSED, outcome.text.splitlines(), strict=True))
    for text, answer in answers.items():
        expected = ("PermissionError EACCES", "PermissionError EPERM", "OSError ENOTTY", "OSError", "ValueError")
        assert answer in expected, (text, answer)


def test_with_folders_there_is_what_is_in_them(tmp_path: Path) -> None:
    free, fixed, outside = (tmp_path / name for name in ("free", "fixed", "outside"))
    for folder in (free, fixed, outside):
        folder.mkdir()
        (folder / "file").write_bytes(b"text")
    (free / "link").symlink_to(outside / "file")
    (free / "program").write_text("#!/bin/sh\n")
    (free / "program").chmod(0o755)
    tried = {
        f"open('{free}/file').read()": "'text'",
        f"open('{free}/new', 'w').write('x')": "1",
        f"open('{free}/new', 'r+').truncate(0)": "0",
        f"os.mkdir('{free}/made', dir_fd=0)": "None",
        f"os.rename('{free}/new', '{free}/made/moved', src_dir_fd=0)": "None",
        f"open('{fixed}/file').read()": "'text'",
        f"os.listdir('{fixed}')": "['file']",
        f"open('{fixed}/file', 'r+')": "PermissionError EACCES",
        f"open('{fixed}/new', 'w')": "PermissionError EACCES",
        f"os.truncate('{fixed}/file', 0)": "PermissionError EACCES",
        f"os.unlink('{fixed}/file', dir_fd=0)": "PermissionError EACCES",
        f"os.rename('{fixed}/file', '{free}/taken', src_dir_fd=0)": "OSError EXDEV",
        f"os.link('{fixed}/file', '{free}/taken', src_dir_fd=0)": "OSError EXDEV",
        f"open('{free}/link').read()": "PermissionError EACCES",
        f"open('{outside}/file').read()": "PermissionError EACCES",
        f"open('{outside}/new', 'w')": "PermissionError EACCES",
        f"os.unlink('{outside}/file', dir_fd=0)": "PermissionError EACCES",
        f"os.mkdir('{outside}/made', dir_fd=0)": "PermissionError EACCES",
        f"os.symlink('/', '{outside}/made', dir_fd=0)": "PermissionError EACCES",
        f"os.listdir('{tmp_path}')": "PermissionError EACCES",
        f"os.rename('{free}/file', '{outside}/taken', src_dir_fd=0)": "PermissionError EACCES",
        "open('/etc/passwd')": "PermissionError EACCES",
        "open('/proc/self/mem', 'r+b')": "PermissionError EACCES",
    }
    code = "for text in %r:\n    os.write(1, (attempt(lambda: eval(text)) + '\\n').encode())"
    (outcome,) = attack(code % ([*tried],), folders=[(free, True), (fixed, False)], mechanism="landlock")
    assert outcome.status == 0
    found = dict(zip(tried, outcome.text.splitlines(), strict=True))
    # Older versions of landlock refuse moving between folders in another way, and do not know truncation.
    for text, answer in tried.items():
        assert found[text].split()[0] == answer.split()[0] or "EXDEV" in answer, (text, found[text])
    assert (outside / "file").read_bytes() == b"text"
    assert sorted(path.name for path in outside.iterdir()) == ["file"]


@pytest.mark.ci
def test_fifos_devices_and_sockets_are_not_made_in_a_folder(tmp_path: Path) -> None:
    codes = [f"os.mkfifo('{tmp_path}/made'); os.write(1, b'alive')", f"os.mknod('{tmp_path}/made', 0o20600, 0x103)"]
    for outcome in attack(*codes, folders=[(tmp_path, True)], mechanism="seccomp"):
        assert outcome.is_killed
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_read_only_is_so_for_the_kernel_too_and_has_no_call_to_change_it(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    code = f"os.write(1, (attempt(os.unlink, '{tmp_path}/file') + attempt(os.open, '{tmp_path}/file', 1)).encode())"
    (outcome,) = attack(code, folders=[(tmp_path, False)], mechanism="landlock")
    assert outcome.text == "PermissionError EACCESPermissionError EACCES"


@pytest.mark.ci
@not_emulated("limits of memory and of processor time are the emulator's there")
def test_memory_processor_time_descriptors_and_files_are_limited(tmp_path: Path) -> None:
    memory, time, descriptors, file = attack(
        # Without limits, both come to an end.
        "kept = [bytearray(1 << 20) for _ in range(2000)]",
        "while time.process_time() < 20: pass",
        "os.write(1, attempt(lambda: [os.dup(1) for _ in range(1000)]).encode())",
        f"os.write(1, attempt(lambda: open('{tmp_path}/large', 'wb', 0).write(bytes(1 << 20))).encode())\n"
        f"os.write(1, attempt(lambda: os.ftruncate(os.memfd_create('x'), 1 << 20)).encode())",
        folders=[(tmp_path, True)],
        limits={"DATA": 256 << 20, "CPU": 1, "NOFILE": 64, "FSIZE": 1 << 16, "CORE": 0},
    )
    assert (memory.status, memory.text) == (0, "MemoryError")
    assert time.status == -signal.SIGXCPU
    assert (descriptors.status, descriptors.text) == (0, "OSError EMFILE")
    assert file.text == "65536OSError EFBIG"


def test_the_process_gives_up_privileges_and_hides_from_others() -> None:
    import subprocess
    import sys

    from tests.spec.suite import PROJECT_ROOT

    # After the first step only, since nobody may ask after the second.
    program = f"""
import ctypes, os, sys
sys.path[:0] = [{str(PROJECT_ROOT)!r}]
from vibewasm.sandbox.lockdown import limit
missing = limit({{"CORE": 0}}, os.getppid())
libc = ctypes.CDLL(None)
print(missing, libc.prctl(39, 0, 0, 0, 0), libc.prctl(3, 0, 0, 0, 0))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    # PR_GET_NO_NEW_PRIVS and PR_GET_DUMPABLE.
    assert done.stdout == "{} 1 0\n"


def test_a_process_whose_parent_ends_ends_too(tmp_path: Path) -> None:
    """The driver's child starts one more process before the lockdown, and dies."""
    import subprocess
    import sys
    import time

    from tests.spec.suite import PROJECT_ROOT

    program = f"""
import os, sys, time
sys.path[:0] = [{str(PROJECT_ROOT)!r}]
from vibewasm.sandbox.lockdown import limit
reading, writing = os.pipe()
parent = os.getpid()
if not os.fork():
    limit({{}}, parent)
    os.write(writing, b"ready")
    while True:
        time.sleep(1)
os.read(reading, 5)
os.kill(parent, 9)
"""
    reading = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
    assert reading.stdout is not None
    begun = time.monotonic()
    # The end of the pipe comes when the last process that has it is gone.
    assert reading.stdout.read() == b""
    reading.wait()
    assert time.monotonic() - begun < 200
