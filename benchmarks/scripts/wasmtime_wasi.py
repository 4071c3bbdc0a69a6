"""What a user of wasmtime-py writes to run a WASI program; the ``first``, ``warm`` and ``memory`` benchmarks run it.

``wasmtime_wasi.py [--strategy N] [--precompiled] [--sightglass] FILE [ARGUMENT...]``; with ``--save TARGET`` the
compiled module is written and not run. It imports nothing else, so that it starts as fast as it can.
"""

import sys

import wasmtime


def main(words: list[str]) -> int:
    """Run the program; its exit code."""
    strategy, precompiled, sightglass, target = 0, False, False, ""
    while words[0].startswith("--"):
        option = words.pop(0)
        if option == "--strategy":
            strategy = int(words.pop(0))
        elif option == "--save":
            target = words.pop(0)
        elif option == "--precompiled":
            precompiled = True
        else:
            sightglass = True
    file = words[0]

    config = wasmtime.Config()
    if strategy:
        from wasmtime._bindings import wasmtime_config_strategy_set

        wasmtime_config_strategy_set(config.ptr(), strategy)
    engine = wasmtime.Engine(config)
    load = wasmtime.Module.deserialize_file if precompiled else wasmtime.Module.from_file
    module = load(engine, file)
    if target:
        with open(target, "wb") as output:
            output.write(module.serialize())
        return 0

    wasi = wasmtime.WasiConfig()
    wasi.argv = words
    wasi.inherit_stdin()
    wasi.inherit_stdout()
    wasi.inherit_stderr()
    linker = wasmtime.Linker(engine)
    linker.define_wasi()
    if sightglass:
        # These programs read their input from their own folder, and mark what is timed.
        wasi.preopen_dir(".", ".")
        for mark in ("start", "end"):
            linker.define_func("bench", mark, wasmtime.FuncType([], []), lambda: None)
    store = wasmtime.Store(engine)
    store.set_wasi(wasi)
    start = linker.instantiate(store, module).exports(store)["_start"]
    assert isinstance(start, wasmtime.Func)
    try:
        start(store)
    except wasmtime.ExitTrap as exit:
        return exit.code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
