"""The code cache from the outside: the second process begins with what the first has kept, and nothing else changes."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

import vibewasm as vw
from tests.native import EMULATED
from vibewasm.api import code_cache
from vibewasm.api.config import CODE_SETTINGS
from vibewasm.cache import image, packing
from vibewasm.cache.folder import Folder

TEXT = """(module
  (memory (export "memory") 1) (table (export "table") 2 funcref) (global (export "g") (mut i32) (i32.const 5))
  (elem (i32.const 0) $add $div) (data (i32.const 8) "kept")
  (func $add (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
  (func $div (export "div") (param i32 i32) (result i32) (i32.div_s (local.get 0) (local.get 1)))
  (func (export "ctz") (param i64) (result i64) (i64.ctz (local.get 0)))
  (func (export "unused") (result f64) (f64.const 1.5)))"""


def module_of(folder: Path, text: str = TEXT, **settings: Any) -> vw.Module:
    return vw.Module(vw.Engine(vw.Config(cache=folder, **settings)), text)


def files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.code"))


def kept(module: vw.Module) -> set[int]:
    """The functions that came from the cache."""
    assert module._kept is not None
    return {number for number, _, _ in module._kept.functions}


def use(module: vw.Module, *names: str) -> None:
    with vw.Store(module.engine) as store:
        exports = vw.Linker(module.engine).instantiate(store, module).exports
        for name in names:
            function = exports[name]
            function(*[6] * len(function.type.params))


def test_what_was_compiled_is_there_in_the_next_process(tmp_path: Path) -> None:
    first = module_of(tmp_path)
    assert kept(first) == set()
    use(first, "add", "ctz")
    second = module_of(tmp_path)
    assert kept(second) == {0, 2}
    use(second, "add", "div")
    assert kept(module_of(tmp_path)) == {0, 1, 2}


def test_code_from_the_cache_is_what_compiling_gives(tmp_path: Path) -> None:
    use(module_of(tmp_path), "add", "div", "ctz", "unused")
    module = module_of(tmp_path)
    assert module._kept is not None
    for number, _, size in module._kept.functions:
        assert module._code_of(number, size) == module.compiler.compile(number)
    assert len(module._kept.functions) == 4


def test_a_module_from_the_cache_is_the_same_module(tmp_path: Path) -> None:
    use(module_of(tmp_path), "add")
    module = module_of(tmp_path)
    exports = vw.instantiate(module).exports
    assert (exports.add(2, 3), exports.ctz(8), exports.g.value, bytes(exports.memory[8:12])) == (5, 3, 5, b"kept")
    assert exports.table[1](7, 2) == 3
    with pytest.raises(vw.Trap, match="divide by zero") as caught:
        exports.div(1, 0)
    assert [frame.func_name for frame in caught.value.frames] == ["div"]
    assert [str(item.type) for item in module.exports][3:] == [
        str(item.type) for item in vw.Module(vw.Engine(), TEXT).exports
    ][3:]


@pytest.mark.parametrize(
    "settings",
    [
        {"checked": True},
        {"fuel": True},
        {"explicit_bounds": True},
        {"deterministic": True},
        {"legacy_exceptions": False},
        {"cache": False},
        {"profile": "jitdump"},
    ],
)
def test_other_settings_have_code_of_their_own(
    tmp_path: Path, settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JITDUMPDIR", str(tmp_path))
    use(module_of(tmp_path / "cache"), "add")
    engine = vw.Engine(vw.Config(**{"cache": tmp_path / "cache"} | settings))
    module = vw.Module(engine, TEXT)
    assert module._kept is None or kept(module) == set()


def test_eager_and_lazy_engines_share_code(tmp_path: Path) -> None:
    use(module_of(tmp_path), "add")
    eager = module_of(tmp_path, compilation="eager")
    assert all(eager._addresses)
    code_cache.save(eager)
    again = module_of(tmp_path, compilation="eager")
    assert kept(again) == {0, 1, 2, 3}
    assert again._compiler is None
    assert kept(module_of(tmp_path)) == {0, 1, 2, 3}


def test_an_invalid_body_is_still_found(tmp_path: Path) -> None:
    broken = '(module (func (export "good") (result i32) (i32.const 1)) (func (export "bad") (result i32)))'
    module = module_of(tmp_path, broken)
    use(module, "good")
    again = module_of(tmp_path, broken)
    assert kept(again) == {0}
    with pytest.raises(vw.ValidationError):
        use(again, "bad")
    for mode in ("eager", "lazy-translation"):
        with pytest.raises(vw.ValidationError):
            module_of(tmp_path, broken, compilation=mode)


def test_modules_of_one_name_and_path_are_told_apart_by_their_bytes(tmp_path: Path) -> None:
    path = tmp_path / "module.wat"
    engine = vw.Engine(vw.Config(cache=tmp_path / "cache"))
    for number in (1, 2):
        path.write_text(f'(module (func (export "f") (result i32) (i32.const {number})))')
        module = vw.Module(engine, path)
        assert vw.instantiate(module).exports.f() == number
        code_cache.save(module)


@pytest.mark.parametrize("damage", ["cut", "flip", "empty", "other key", "other kind"])
def test_a_damaged_file_is_ignored_and_written_anew(tmp_path: Path, damage: str) -> None:
    use(module_of(tmp_path), "add")
    module = module_of(tmp_path)
    assert module._kept is not None
    name = module._kept.key.hex()
    folder = Folder(str(tmp_path))
    whole = folder.read(name)
    assert whole is not None
    middle = len(whole) // 2
    folder.write(
        name,
        [
            {
                "cut": whole[:-1],
                "flip": whole[:middle] + bytes([whole[middle] ^ 4]) + whole[middle + 1 :],
                "empty": b"",
                "other key": whole[:24] + bytes(32) + whole[56:],
                "other kind": whole[:8] + b"\2" + whole[9:],
            }[damage]
        ],
    )
    again = module_of(tmp_path)
    assert kept(again) == set()
    use(again, "add")
    assert folder.read(name) == whole


def test_more_modules_than_are_remembered_are_all_kept(tmp_path: Path) -> None:
    engine = vw.Engine(vw.Config(cache=tmp_path))
    texts = [f'(module (func (export "f") (result i32) (i32.const {number})))' for number in range(40)]
    modules = [vw.Module(engine, text) for text in texts]
    for number, module in enumerate(modules):
        assert vw.instantiate(module).exports.f() == number
    assert len(code_cache._unsaved) <= 16
    code_cache._save_all()
    assert [kept(vw.Module(engine, text)) for text in texts] == [{0}] * 40


#: Of each setting that code does not depend on, another value than the usual one.
OTHER_SETTINGS: dict[str, Any] = {
    "cache": None,
    "compilation": "eager",
    "debug": None,
    "limits": vw.ResourceLimits(max_functions=1000),
    "max_memory": 1 << 20,
    "max_references": 5,
    "max_table_elements": 9,
    "profile": None,
    "target": os.uname().machine,
}


def test_every_setting_is_said_to_change_code_or_does_not(tmp_path: Path) -> None:
    assert {*CODE_SETTINGS, *OTHER_SETTINGS} == {*vw.Config.__slots__}
    assert not set(CODE_SETTINGS) & set(OTHER_SETTINGS)
    use(module_of(tmp_path), "add")
    for setting in CODE_SETTINGS:
        other: dict[str, Any] = {setting: not getattr(vw.Config(), setting)}
        assert kept(module_of(tmp_path, **other)) == set(), setting
    for setting, value in OTHER_SETTINGS.items():
        if value is not None:
            assert kept(module_of(tmp_path, **{setting: value})) == {0}, setting


def test_runs_that_overlap_keep_what_both_compiled(tmp_path: Path) -> None:
    first, second = module_of(tmp_path), module_of(tmp_path)
    use(first, "add")
    use(second, "ctz")
    use(first, "div")
    assert kept(module_of(tmp_path)) == {0, 1, 2}
    third = module_of(tmp_path)
    use(third, "add", "ctz", "div")


def test_what_is_kept_already_is_not_written_again(tmp_path: Path) -> None:
    first, second = module_of(tmp_path), module_of(tmp_path)
    use(first, "add", "ctz")
    [before] = files(tmp_path)
    status = before.stat()
    use(second, "ctz")
    assert (before.stat().st_ino, before.stat().st_mtime_ns) == (status.st_ino, status.st_mtime_ns)


def test_a_damaged_file_of_another_run_is_not_taken_over(tmp_path: Path) -> None:
    first, second = module_of(tmp_path), module_of(tmp_path)
    use(first, "add")
    [file] = files(tmp_path)
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    use(second, "ctz")
    assert kept(module_of(tmp_path)) == {2}


PROGRAM = """
import sys, vibewasm
exports = vibewasm.instantiate({text!r}, config=vibewasm.Config(cache={folder!r})).exports
assert exports.add(2, 3) == 5
print(" ".join(name for name in sys.modules if name.startswith("vibewasm.")))
"""


def loaded(folder: Path, **environment: str) -> set[str]:
    """The modules of a process that uses the cache, which ends without closing anything."""
    engine = vw.Engine()
    program = PROGRAM.format(text=vw.Module(engine, TEXT).info.data, folder=str(folder))
    line = [sys.executable, "-c", program]
    done = subprocess.run(line, env=os.environ | environment, capture_output=True, text=True, check=True, timeout=60)
    assert done.stderr == ""
    return set(done.stdout.split())


def test_a_warm_start_loads_neither_compiler_nor_decoder_nor_backend(tmp_path: Path) -> None:
    loaded(tmp_path / "cache")
    names = loaded(tmp_path / "cache")
    rooms = {name.split(".")[1] for name in names}
    assert "compiler" not in rooms
    assert {name for name in names if name.startswith("vibewasm.backends.")} == {
        f"vibewasm.backends.{os.uname().machine}",
        f"vibewasm.backends.{os.uname().machine}.processor",
    }
    assert not names & {"vibewasm.binary.decoder", "vibewasm.binary.sections", "vibewasm.opcodes"}


def test_the_processors_extensions_are_part_of_the_key(tmp_path: Path) -> None:
    loaded(tmp_path / "cache")
    before = len(files(tmp_path / "cache"))
    names = loaded(tmp_path / "cache", VIBEWASM_CPU="baseline")
    if os.uname().machine == "x86_64":
        assert "vibewasm.compiler" in names
        assert len(files(tmp_path / "cache")) == before + 1


def test_true_is_the_folder_of_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIBEWASM_CACHE", str(tmp_path / "chosen"))
    module = vw.Module(vw.Engine(vw.Config(cache=True)), TEXT)
    use(module, "add")
    assert files(tmp_path / "chosen")
    for off in ("off", "OFF", "0"):
        monkeypatch.setenv("VIBEWASM_CACHE", off)
        for cache in (True, tmp_path / "chosen"):
            assert vw.Module(vw.Engine(vw.Config(cache=cache)), TEXT)._kept is None


def test_a_folder_that_cannot_be_used_does_not_matter(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "file" / "below", Path("/proc/nothing")):
        module = module_of(folder)
        use(module, "add")
        assert kept(module_of(folder)) == set()


def test_what_runs_on_is_kept_meanwhile(tmp_path: Path) -> None:
    """A service that is killed one day has kept what it compiled on the first."""
    text = '(module (func (export "f") (loop (br_if 0 (i32.const 0)))) (func (export "g")))'
    exports = vw.instantiate(module_of(tmp_path, text)).exports
    exports.f()
    exports.g()
    until = time.monotonic() + 10
    # Each may be kept in a write of its own, where this machine is slow.
    while kept(module_of(tmp_path, text)) != {0, 1} and time.monotonic() < until:
        time.sleep(0.1)
    assert kept(module_of(tmp_path, text)) == {0, 1}


@pytest.mark.parametrize("tenths", [2, 4, 6, 8])
def test_what_is_compiled_while_the_watcher_is_about_to_end_is_kept(tmp_path: Path, tenths: int) -> None:
    # It ends when nothing has run for a second, and what was compiled since then is not called any more.
    loop = '(module (func (export "f") (loop (br_if 0 (i32.const 0)))))'
    vw.instantiate(loop).exports.f()
    time.sleep(tenths / 10)
    vw.instantiate(module_of(tmp_path)).exports.add(1, 2)
    until = time.monotonic() + 10
    while kept(module_of(tmp_path)) != {0} and time.monotonic() < until:
        time.sleep(0.1)
    assert kept(module_of(tmp_path)) == {0}


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_processes_of_a_pool_keep_what_they_compile(method: str, project: Path, tmp_path: Path) -> None:
    if EMULATED and method != "fork":
        pytest.skip("multiprocessing starts the interpreter itself, without the emulator")
    program = tmp_path / "program.py"
    program.write_text(
        "import multiprocessing\n"
        "import vibewasm\n"
        "def call(module, number):\n"
        "    return vibewasm.instantiate(module).exports.add(number, 1), id(module)\n"
        "if __name__ == '__main__':\n"
        f"    module = vibewasm.Module(vibewasm.Engine(vibewasm.Config(cache={str(tmp_path)!r})), {TEXT!r})\n"
        f"    pool = multiprocessing.get_context({method!r}).Pool(1)\n"
        "    results = pool.starmap(call, [(module, number) for number in range(20)], chunksize=1)\n"
        "    assert [result for result, _ in results] == list(range(1, 21))\n"
        "    assert len({identity for _, identity in results}) == 1\n"
        "    pool.close()\n"
        "    pool.join()\n"
    )
    environment = os.environ | {"PYTHONPATH": str(project)}
    subprocess.run([sys.executable, str(program)], env=environment, check=True, timeout=60)
    assert kept(module_of(tmp_path)) == {0}


def test_threads_that_compile_do_not_wait_for_each_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each compiles one module, and would keep the other's, which is being compiled."""
    monkeypatch.setattr(code_cache, "_MOST_UNSAVED", 1)
    functions = "".join(f'(func (export "f{number}"))' for number in range(200))
    modules = [module_of(tmp_path, f"(module {functions} (global i32 (i32.const {number})))") for number in range(2)]
    begun = threading.Barrier(2)

    def compile_all(module: vw.Module) -> None:
        exports = vw.instantiate(module).exports
        begun.wait()
        for name in exports:
            exports[name]()

    threads = [threading.Thread(target=compile_all, args=(module,), daemon=True) for module in modules]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()


def test_too_little_memory_to_keep_code_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none_left(info: object) -> bytes:
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(image, "pack", none_left)
        module = module_of(tmp_path)
        use(module, "add")
        assert files(tmp_path) == []
    use(module, "ctz")
    assert kept(module_of(tmp_path)) == {0, 2}


def test_too_little_memory_for_what_is_kept_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use(module_of(tmp_path), "add")

    def none_left(*_: object) -> object:
        raise MemoryError

    monkeypatch.setattr(image, "unpack", none_left)
    module = module_of(tmp_path)
    assert kept(module) == set()
    use(module, "add")


def test_an_interrupt_while_code_is_kept_leaves_no_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = module_of(tmp_path)
    store = vw.Store(module.engine)
    exports = vw.Linker(module.engine).instantiate(store, module).exports
    exports.add(1, 2)

    def interrupt(info: object) -> bytes:
        raise KeyboardInterrupt

    monkeypatch.setattr(image, "pack", interrupt)
    with pytest.raises(KeyboardInterrupt):
        store.close()
    assert store._memories == []
    assert store._instances == []
    with pytest.raises(vw.WasmError, match="this store is closed"):
        exports.add(1, 2)


def test_no_room_for_all_the_code_that_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use(module_of(tmp_path), "add", "ctz")
    publish = vw.Module._publish

    def little(module: vw.Module, code: bytes | bytearray | memoryview) -> int:
        if isinstance(code, memoryview):
            raise vw.WasmError("there is no room for so much machine code")
        return publish(module, code)

    monkeypatch.setattr(vw.Module, "_publish", little)
    module = module_of(tmp_path)
    use(module, "add", "div")
    monkeypatch.undo()
    assert kept(module_of(tmp_path)) == {0, 1, 2}


def test_a_module_too_long_for_an_image_runs_and_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for part in (image, packing):
        monkeypatch.setattr(part, "TOO_LONG", 100)
    module = module_of(tmp_path)
    use(module, "add")
    assert files(tmp_path) == []
    with pytest.raises(vw.WasmError, match="a module of 100 bytes or more cannot be precompiled"):
        module.serialize()
