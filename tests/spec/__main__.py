"""Runs scripts of the official suite from the command line: `python -m tests.spec [SUBSTRING ...] [--mode MODE]`."""

from __future__ import annotations

import argparse
import importlib
import re
import sys
import time
from collections import Counter
from pathlib import Path

from tests.spec import engine, suite
from tests.spec.isolate import run_isolated
from tests.spec.runner import Outcome, run_script


def main() -> int:
    """Prints a line for each script that fails and a summary; returns the exit code."""
    options = _options()
    if why := suite.missing():
        print(why, file=sys.stderr)
        return 2
    modes = list(engine.MODES) if options.mode == ["all"] else options.mode or ["eager"]
    chosen = [s for s in suite.scripts() if not options.scripts or any(part in s.name for part in options.scripts)]
    if not chosen:
        print(f"no script's name contains {' or '.join(options.scripts)}", file=sys.stderr)
        return 2
    run = [s for s in chosen if options.all or not s.waits_for]
    if len(run) < len(chosen):
        waiting = Counter(p for s in chosen if s not in run for p in s.waits_for)
        counts = ", ".join(f"{name} {number}" for name, number in waiting.items())
        print(f"{len(chosen) - len(run)} scripts wait for proposals ({counts}); --all runs them")
    if options.text:
        run = [script.original() for script in run]
    return max(_run_mode(mode, run, options) for mode in modes)


def _run_mode(mode: str, scripts: list[suite.Script], options: argparse.Namespace) -> int:
    make_adapter = engine.VibewasmAdapter
    if options.adapter:
        module, _, name = options.adapter.partition(":")
        make_adapter = getattr(importlib.import_module(module), name)
    total = Outcome()
    messages: Counter[str] = Counter()
    failing = 0
    start = time.perf_counter()
    for script in scripts:
        if options.in_process:
            outcome = run_script(script.text(), make_adapter(mode))
        else:
            outcome = run_isolated(script, lambda: make_adapter(mode), options.timeout)
        if outcome.assertions != script.assertions:
            print(f"{script.name}: {outcome.assertions} assertions counted, the manifest says {script.assertions}")
            failing += 1
        total.passed += outcome.passed
        total.failed += outcome.failed
        total.broken += outcome.broken
        messages.update(re.sub(r"0x[0-9a-f]+|\d+", "N", failure.got) for failure in outcome.failures)
        if options.save:
            _save(script, outcome, Path(options.save))
        if outcome.failures:
            failing += 1
            print(f"{script.name} [{mode}]: {outcome.passed} passed, {outcome.failed} failed, {outcome.broken} broken")
            for failure in outcome.failures[: options.show]:
                print(f"  {failure}")
    if messages:
        print("most frequent:")
        for message, count in messages.most_common(options.show + 5):
            print(f"  {count:6}  {message[:150]}")
    print(
        f"[{mode}] {len(scripts) - failing} of {len(scripts)} scripts pass; assertions: {total.passed} passed, "
        f"{total.failed} failed; {total.broken} other commands broken; "
        f"{time.perf_counter() - start:.1f} s"
    )
    return 1 if failing else 0


def _save(script: suite.Script, outcome: Outcome, folder: Path) -> None:
    """Writes the module of each failure to `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    for failure in outcome.failures:
        if failure.module:
            (folder / f"{script.path.name.removesuffix('.bin.wast')}-{failure.line}.wasm").write_bytes(failure.module)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.spec", description=__doc__)
    parser.add_argument("scripts", nargs="*", metavar="SUBSTRING", help="run scripts whose name contains it")
    parser.add_argument(
        "--mode", action="append", default=[], help=f"{', '.join(engine.MODES)} or all (default: eager)"
    )
    parser.add_argument("--show", type=int, default=5, metavar="N", help="failures to print of each script")
    parser.add_argument("--timeout", type=float, default=60, metavar="S", help="seconds that a script may take")
    parser.add_argument("--text", action="store_true", help="the scripts as written, with modules in text")
    parser.add_argument("--all", action="store_true", help="also scripts that need proposals not implemented yet")
    parser.add_argument("--in-process", action="store_true", help="no child process for each script (for debuggers)")
    parser.add_argument("--save", metavar="FOLDER", help="save the module of each failure as SCRIPT-LINE.wasm")
    parser.add_argument("--adapter", metavar="MODULE:CLASS", help="another engine's adapter, called with the mode")
    options = parser.parse_args()
    for mode in options.mode:
        if mode != "all" and mode not in engine.MODES:
            parser.error(f"no mode {mode}; there are {', '.join(engine.MODES)}")
    return options


if __name__ == "__main__":
    sys.exit(main())
