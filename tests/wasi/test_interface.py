"""What `vibewasm.wasi` offers to the rest of the engine."""

from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path

import pytest

from tests.wasi.program import ROOT, Program
from vibewasm.traps import ExitTrap
from vibewasm.wasi import MODULES, PREVIEW0, PREVIEW1, WasiConfig, bind, names, start
from vibewasm.wasi.errnos import ENOSYS, SUCCESS, from_host
from vibewasm.wasi.preview0 import DIFFERENCES
from vibewasm.wasi.preview1 import FUNCTIONS, find

# The functions of wasi_snapshot_preview1, from its specification.
NAMES = """
args_get args_sizes_get clock_res_get clock_time_get environ_get environ_sizes_get fd_advise fd_allocate fd_close
fd_datasync fd_fdstat_get fd_fdstat_set_flags fd_fdstat_set_rights fd_filestat_get fd_filestat_set_size
fd_filestat_set_times fd_pread fd_prestat_dir_name fd_prestat_get fd_pwrite fd_read fd_readdir fd_renumber fd_seek
fd_sync fd_tell fd_write path_create_directory path_filestat_get path_filestat_set_times path_link path_open
path_readlink path_remove_directory path_rename path_symlink path_unlink_file poll_oneoff proc_exit proc_raise
random_get sched_yield sock_accept sock_recv sock_send sock_shutdown
""".split()


def test_all_46_functions_are_there_and_no_others() -> None:
    assert sorted(names(PREVIEW1)) == NAMES
    assert len(NAMES) == 46
    process = start(WasiConfig(stdin=b""))
    for module in MODULES:
        for name in names(module):
            assert bind(process, module, name) is not None
        assert bind(process, module, "fd_reed") is None


def test_preview_0_has_the_same_functions_but_for_accepting_sockets() -> None:
    assert sorted(names(PREVIEW0)) == [name for name in NAMES if name != "sock_accept"]
    assert bind(start(WasiConfig(stdin=b"")), PREVIEW0, "sock_accept") is None


@pytest.mark.parametrize("name", NAMES)
def test_a_signature_says_how_many_arguments_the_function_takes(name: str) -> None:
    signature, function = FUNCTIONS[name][0], find(name)
    params, _, results = signature.partition(":")
    assert set(params) <= set("iI")
    assert results == ("" if name == "proc_exit" else "i")
    taken = inspect.signature(function).parameters.values()
    assert sum(parameter.kind is not parameter.KEYWORD_ONLY for parameter in taken) == 2 + len(params)
    # What is not the program's to say is what preview 0 has otherwise.
    own = {parameter.name for parameter in taken if parameter.kind is parameter.KEYWORD_ONLY}
    assert own == set(DIFFERENCES.get(name, ()))
    assert function.__name__ == name


def test_importing_the_package_loads_no_expensive_module() -> None:
    code = (
        "import sys; before = set(sys.modules)\n"
        "from vibewasm.wasi import MODULES, WasiConfig, bind, start\n"
        "process = start(WasiConfig(stdin=b'', stdout='/dev/null', stderr='/dev/null'))\n"
        "for module in MODULES: bind(process, module, 'fd_write')\n"
        "print(*sorted(set(sys.modules) - before))"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    dear = {"argparse", "dataclasses", "enum", "functools", "inspect", "pathlib", "re", "select", "tempfile", "typing"}
    assert not dear & set(loaded)


def test_proc_exit_raises_exit_trap_with_the_code() -> None:
    program = Program(WasiConfig(stdin=b""))
    with pytest.raises(ExitTrap) as raised:
        program.raw("proc_exit", 42)
    assert raised.value.code == 42


def test_signals_are_not_there() -> None:
    assert Program(WasiConfig(stdin=b"")).raw("proc_raise", 9) == ENOSYS


def test_sched_yield_succeeds() -> None:
    assert Program(WasiConfig(stdin=b"")).raw("sched_yield") == SUCCESS


def test_each_call_of_functions_makes_a_program_with_files_of_its_own(tmp_path: Path) -> None:
    config = WasiConfig(preopens={"/": tmp_path}, stdin=b"")
    one, other = Program(config), Program(config)
    one.close(ROOT)
    assert other.fdstat(ROOT).type == 3


def test_a_directory_that_does_not_exist_is_reported_by_its_name(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nowhere"):
        start(WasiConfig(preopens={"/": tmp_path / "nowhere"}, stdin=b""))


def test_host_descriptors_are_closed_with_the_program(tmp_path: Path) -> None:
    descriptors = Path("/proc/self/fd")
    if not descriptors.exists():
        pytest.skip("needs /proc/self/fd to count descriptors")
    (tmp_path / "file").touch()
    before = len(list(descriptors.iterdir()))
    program = Program(WasiConfig(preopens={"/": tmp_path}, stdin=b"", stdout="/dev/null"))
    program.open("file")
    program.close(program.open("file"))
    assert len(list(descriptors.iterdir())) == before + 3
    del program
    assert len(list(descriptors.iterdir())) == before


def test_host_errors_keep_their_names() -> None:
    import errno

    from vibewasm.wasi import errnos

    for name in ("EPERM", "ENOENT", "EACCES", "EEXIST", "ENOTEMPTY", "EXDEV", "ELOOP", "ENOSPC", "EPIPE", "EAGAIN"):
        assert from_host(getattr(errno, name)) == getattr(errnos, name)


def test_a_host_error_that_wasi_does_not_have_becomes_an_input_output_error() -> None:
    from vibewasm.wasi.errnos import EIO

    assert from_host(9999) == EIO
