"""The files that commands make: whole or not at all, with the mode they had, and never in place of what is read."""

from __future__ import annotations

import errno
import io
import os
import resource
import signal
import stat
import subprocess
import threading
import time
from pathlib import Path

import pytest

from vibewasm.cli import main, output
from vibewasm.wat import wasm2wat, wat2wasm

from .command import command, prepared

TEXT = '(module (func $f (export "f") (result i32) (i32.const 42)))'
BINARY = wat2wasm(TEXT)
#: Each command that makes a file: its words, the file it reads, and the bytes with which the result begins.
WRITERS = {
    "wat2wasm": (["wat2wasm"], "in.wat", BINARY),
    "wasm2wat": (["wasm2wat"], "in.wasm", wasm2wat(BINARY).encode()),
    "disasm": (["disasm"], "in.wasm", b"func "),
    "disasm html": (["disasm", "--format", "html"], "in.wasm", b"<!doctype html>"),
    "disasm json": (["disasm", "--format", "json"], "in.wasm", b'{"format":'),
    "disasm summary": (["disasm", "--summary"], "in.wasm", b" index"),
    "disasm diff": (["disasm", "--diff", "x86_64", "aarch64"], "in.wasm", b"func "),
}
pytestmark = pytest.mark.parametrize("writer", WRITERS)
OLD = b"what was there"


@pytest.fixture
def folder(tmp_path: Path, writer: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    if writer.startswith("disasm"):
        pytest.importorskip("capstone")
    (tmp_path / "in.wat").write_text(TEXT)
    (tmp_path / "in.wasm").write_bytes(BINARY)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def line(writer: str, target: str | Path, source: str | None = None) -> list[str]:
    words, file, _ = WRITERS[writer]
    return [*words, source or file, "--output", str(target)]


def only(folder: Path, *others: str) -> bool:
    """Whether nothing is in the folder but the inputs and these."""
    return sorted(os.listdir(folder)) == sorted({"in.wat", "in.wasm", *others})


def test_a_new_file_has_the_mode_that_the_umask_leaves(writer: str, folder: Path) -> None:
    before = os.umask(0o027)
    try:
        assert main(line(writer, "out")) == 0
    finally:
        os.umask(before)
    assert (folder / "out").read_bytes().startswith(WRITERS[writer][2])
    assert stat.S_IMODE(os.stat("out").st_mode) == 0o640
    assert only(folder, "out")


def test_a_file_that_is_there_keeps_its_mode(writer: str, folder: Path) -> None:
    Path("out").write_bytes(OLD * 100_000)
    os.chmod("out", 0o751)
    assert main(line(writer, "out")) == 0
    assert (folder / "out").read_bytes().startswith(WRITERS[writer][2])
    assert OLD not in (folder / "out").read_bytes()
    assert stat.S_IMODE(os.stat("out").st_mode) == 0o751
    assert only(folder, "out")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
def test_a_file_that_is_there_keeps_its_owner(writer: str, folder: Path) -> None:
    Path("out").write_bytes(OLD)
    os.chown("out", 12345, 54321)
    os.chmod("out", 0o644)
    assert main(line(writer, "out")) == 0
    assert (os.stat("out").st_uid, os.stat("out").st_gid) == (12345, 54321)


@pytest.mark.parametrize("there", [True, False])
def test_a_link_stays_and_what_it_leads_to_is_written(writer: str, folder: Path, there: bool) -> None:
    (folder / "far").mkdir()
    if there:
        (folder / "far" / "out").write_bytes(OLD)
    os.symlink("far/out", "near")
    os.symlink("near", "nearer")
    assert main(line(writer, "nearer")) == 0
    assert os.path.islink("near")
    assert os.path.islink("nearer")
    assert (folder / "far" / "out").read_bytes().startswith(WRITERS[writer][2])
    assert os.listdir("far") == ["out"]
    assert only(folder, "far", "near", "nearer")


@pytest.mark.parametrize("way", ["name", "path", "symbolic link", "hard link", "link to a link"])
def test_what_is_read_is_not_written_over(
    writer: str, folder: Path, way: str, capsys: pytest.CaptureFixture[str]
) -> None:
    source = WRITERS[writer][1]
    content = Path(source).read_bytes()
    target = "alias"
    if way == "name":
        target = source
    elif way == "path":
        target = f"{folder}/../{folder.name}/./{source}"
    elif way == "hard link":
        os.link(source, target)
    elif way == "symbolic link":
        os.symlink(source, target)
    else:
        os.symlink("other", target)
        os.symlink(folder / source, "other")
    assert main(line(writer, target)) == 1
    err = capsys.readouterr().err
    also = "" if target == source else f" ({source})"
    assert f"{target} is the file that is read{also}; name another with --output FILE" in err
    assert Path(source).read_bytes() == content
    assert only(folder, *{"alias", "other"}.intersection(os.listdir()))


def test_standard_input_is_not_written_over_and_standard_output_not_onto_the_input(writer: str, folder: Path) -> None:
    source = WRITERS[writer][1]
    content = Path(source).read_bytes()
    words, variables = prepared(*line(writer, source, "-"))
    with open(source, "rb") as stdin:
        done = subprocess.run(words, stdin=stdin, capture_output=True, env=variables, timeout=300, check=False)
    assert done.returncode == 1
    assert b"is the file that is read (standard input)" in done.stderr
    words, variables = prepared(*line(writer, "-"))
    with open(source, "ab") as stdout:
        done = subprocess.run(words, stdout=stdout, stderr=-1, env=variables, timeout=300, check=False)
    assert done.returncode == 1
    assert f"standard output is the file that is read ({source})".encode() in done.stderr
    assert Path(source).read_bytes() == content


def test_devices_and_pipes_are_written_directly(writer: str, folder: Path) -> None:
    assert main(line(writer, "/dev/null")) == 0
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)
    os.mkfifo("pipe")
    found: list[bytes] = []
    reader = threading.Thread(target=lambda: found.append(Path("pipe").read_bytes()))
    reader.start()
    assert main(line(writer, "pipe")) == 0
    reader.join()
    assert found[0].startswith(WRITERS[writer][2])
    assert stat.S_ISFIFO(os.stat("pipe").st_mode)
    os.symlink("/dev/null", "nowhere")
    assert main(line(writer, "nowhere")) == 0
    assert os.path.islink("nowhere")
    assert only(folder, "pipe", "nowhere")


@pytest.mark.parametrize("target", ["-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1", "link"])
def test_standard_output_is_written_directly(writer: str, folder: Path, target: str) -> None:
    if target == "link":
        os.symlink("/dev/stdout", "link")
    expected = WRITERS[writer][2]
    done = command(*line(writer, target))
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.startswith(expected)
    # Where it is a file, what is in it already stays.
    words, variables = prepared(*line(writer, target))
    with open("log", "wb") as stdout:
        stdout.write(OLD)
        stdout.flush()
        assert subprocess.run(words, stdout=stdout, env=variables, timeout=300, check=False).returncode == 0
    assert (folder / "log").read_bytes().startswith(OLD + expected)


def test_an_error_while_writing_leaves_the_old_file_and_nothing_else(
    writer: str, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    for there in (False, True):
        if there:
            Path("out").write_bytes(OLD)

        def replace(*_: object) -> None:
            raise full

        monkeypatch.setattr(os, "replace", replace)
        assert main(line(writer, "out")) == 1
        assert capsys.readouterr().err == "vibewasm: cannot write out: No space left on device\n"
        assert only(folder, *(["out"] if there else []))
    assert (folder / "out").read_bytes() == OLD


def test_a_full_disk_is_told_of(writer: str, folder: Path) -> None:
    done = command(*line(writer, "/dev/full"))
    assert (done.returncode, done.stderr) == (1, b"vibewasm: cannot write /dev/full: No space left on device\n")
    # A file that may not grow is as good as a full disk.
    Path("out").write_bytes(OLD)
    words, variables = prepared(*line(writer, "out"))

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10))

    variables["PYTHONDONTWRITEBYTECODE"] = "1"
    done = subprocess.run(words, capture_output=True, env=variables, preexec_fn=limit, timeout=300, check=False)
    assert (done.returncode, done.stderr) == (1, b"vibewasm: cannot write out: File too large\n")
    assert (folder / "out").read_bytes() == OLD
    assert only(folder, "out")


@pytest.mark.parametrize("moment", ["open", "fchmod", "write", "close", "replace"])
def test_an_interruption_leaves_the_old_file_and_nothing_else(
    writer: str, folder: Path, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("out").write_bytes(OLD)

    class Interrupted(io.FileIO):
        def write(self, data: object) -> int:
            if moment == "write":
                raise KeyboardInterrupt
            return len(bytes(data))  # type: ignore[call-overload]

        def close(self) -> None:
            was = self.closed
            super().close()
            if moment == "close" and not was:
                raise KeyboardInterrupt

    real_open = os.open

    def opened(path: object, flags: int, mode: int = 0o777) -> int:
        descriptor = real_open(path, flags, mode)  # type: ignore[arg-type]
        if moment == "open" and ".vibewasm-" in str(path):
            os.close(descriptor)
            raise KeyboardInterrupt
        return descriptor

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "open", opened)
    if moment in ("fchmod", "replace"):
        monkeypatch.setattr(os, moment, stop)
    monkeypatch.setattr(output, "open", lambda file, mode: Interrupted(file, "w"), raising=False)
    assert main(line(writer, "out")) == 130
    assert (folder / "out").read_bytes() == OLD
    assert only(folder, "out")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_interruption_that_python_drops_leaves_the_old_file_and_nothing_else(
    writer: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("out").write_bytes(OLD)

    class Interrupted:
        def __del__(self) -> None:
            signal.raise_signal(signal.SIGINT)

    def interrupt(*_: object) -> None:
        Interrupted()

    monkeypatch.setattr(output, "_keep_mode", interrupt)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        assert main(line(writer, "out")) == 130
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)
    assert (folder / "out").read_bytes() == OLD
    assert only(folder, "out")


def test_a_second_interruption_leaves_nothing_either(
    writer: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unlink = os.unlink
    more = [KeyboardInterrupt]

    def interrupted(path: str) -> None:
        if more:
            raise more.pop()
        unlink(path)

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", stop)
    monkeypatch.setattr(os, "unlink", interrupted)
    assert main(line(writer, "out")) == 130
    assert only(folder)


def test_ctrl_c_leaves_the_old_file_and_nothing_else(writer: str, folder: Path) -> None:
    if writer in ("wat2wasm", "wasm2wat", "disasm summary"):
        pytest.skip("what it writes is there all at once; the other tests interrupt it at each step")
    functions = "".join(f'(func (export "f{number}") (result i32) i32.const {number})' for number in range(20_000))
    (folder / "in.wasm").write_bytes(wat2wasm(functions))
    Path("out").write_bytes(OLD)
    words, variables = prepared(*line(writer, "out"))
    # What runs the tests in the background may have it ignored, which children inherit.
    process = subprocess.Popen(words, env=variables, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
    try:
        until = time.monotonic() + 60
        while only(folder, "out") and process.poll() is None and time.monotonic() < until:
            time.sleep(0.01)
        # It is writing, aside.
        assert (folder / "out").read_bytes() == OLD
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
    finally:
        process.kill()
        process.wait()
    assert (folder / "out").read_bytes() == OLD
    assert only(folder, "out")


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("no/folder/out", "there is no folder no/folder"),
        ("in.wat/out", "there is no folder in.wat"),
        (".", "it is a folder"),
        ("out/", "it names a folder, not a file"),
        ("", "the name is empty"),
        ("loop", "Too many levels of symbolic links"),
        ("nul\0", "a path has no NUL character"),
        ("n" * 300, "File name too long"),
    ],
)
def test_what_cannot_be_written_is_said(
    writer: str, folder: Path, target: str, reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    os.symlink("loop", "loop")
    assert main(line(writer, target)) == 1
    shown = target.replace("\0", "\\x00")
    assert capsys.readouterr().err == f"vibewasm: cannot write {shown}: {reason}\n"
    assert only(folder, "loop")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_what_may_not_be_written_is_said(writer: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("out").write_bytes(OLD)
    os.chmod("out", 0o444)
    assert main(line(writer, "out")) == 1
    assert capsys.readouterr().err == "vibewasm: cannot write out: Permission denied\n"
    os.chmod("out", 0o644)
    os.chmod(folder, 0o555)
    try:
        assert main(line(writer, "out")) == 1
    finally:
        os.chmod(folder, 0o755)
    assert "its folder takes no new files; with --output - " in capsys.readouterr().err
    assert (folder / "out").read_bytes() == OLD


def test_without_a_standard_output_a_file_is_written_all_the_same(writer: str, folder: Path) -> None:
    words, variables = prepared(*line(writer, "out"))
    done = subprocess.run(["sh", "-c", '"$@" >&-', "sh", *words], env=variables, timeout=300, check=False)
    assert done.returncode == 0
    assert (folder / "out").read_bytes().startswith(WRITERS[writer][2])
    words, variables = prepared(*line(writer, "-"))
    done = subprocess.run(["sh", "-c", '"$@" >&-', "sh", *words], stderr=-1, env=variables, timeout=300, check=False)
    assert done.returncode == 1
    assert done.stderr == b"vibewasm: there is no standard output to write to; name a file with --output\n"
