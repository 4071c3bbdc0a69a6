"""Runs scripts of the official suite from the command line: `python -m tests.spec [SUBSTRING ...] [--mode MODE]`.

Without `--suite` these are the prepared scripts of the folder beside the project, whose manifest says what each one
needs and how much it asserts, and those of proposals that are built. With it they are those of a checkout of
WebAssembly/spec, or of any folder, as they were written; what needs a proposal that is not built is found by the
engine's own refusal, and counted apart.
"""

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
    modes = list(engine.MODES) if options.mode == ["all"] else options.mode or ["eager"]
    try:
        run = _plain(options) if options.suite else _prepared(options)
    except suite.BadScript as error:
        print(error, file=sys.stderr)
        return 2
    if not run:
        print(f"no script's name contains {' or '.join(options.scripts)}", file=sys.stderr)
        return 2
    return max(_run_mode(mode, run, options) for mode in modes)


def _chosen(script: suite.Script, options: argparse.Namespace) -> bool:
    return not options.scripts or any(part in script.name for part in options.scripts)


def _plain(options: argparse.Namespace) -> list[suite.Script]:
    return [script.counted() for script in suite.plain_scripts(options.suite) if _chosen(script, options)]


def _prepared(options: argparse.Namespace) -> list[suite.Script]:
    if why := suite.missing():
        raise suite.BadScript(why)
    chosen = [script for script in (*suite.scripts(), *suite.of_proposals()) if _chosen(script, options)]
    run = [script for script in chosen if options.all or not script.waits_for]
    if len(run) < len(chosen):
        waiting = Counter(p for s in chosen if s not in run for p in s.waits_for)
        counts = ", ".join(f"{name} {number}" for name, number in waiting.items())
        print(f"{len(chosen) - len(run)} scripts wait for proposals ({counts}); --all runs them")
    return [script.original() for script in run] if options.text else run


def _run_mode(mode: str, scripts: list[suite.Script], options: argparse.Namespace) -> int:
    make_adapter = engine.VibewasmAdapter
    if options.adapter:
        module, _, name = options.adapter.partition(":")
        make_adapter = getattr(importlib.import_module(module), name)
    folders: dict[str, Outcome] = {}
    needing: Counter[str] = Counter()
    messages: Counter[str] = Counter()
    failing = complete = 0
    start = time.perf_counter()
    for script in scripts:
        if options.in_process:
            outcome = run_script(script.text(), make_adapter(mode))
        else:
            outcome = run_isolated(script, lambda: make_adapter(mode), options.timeout)
        miscounted = outcome.assertions != script.assertions
        if miscounted:
            print(f"{script.name}: {outcome.assertions} assertions counted, {script.assertions} expected")
        folders.setdefault(script.name.rpartition("/")[0] or ".", Outcome()).add(outcome)
        needing.update(outcome.proposals)
        complete += not outcome.failures and not miscounted and not outcome.proposals
        messages.update(re.sub(r"0x[0-9a-f]+|\d+", "N", failure.got) for failure in outcome.failures)
        if options.save:
            _save(script, outcome, Path(options.save))
        if outcome.failures or miscounted:
            failing += 1
            print(f"{script.name} [{mode}]: {outcome.passed} passed, {outcome.failed} failed, {outcome.broken} broken")
            for failure in outcome.failures[: options.show]:
                print(f"  {failure}")
    if messages:
        print("most frequent:")
        for message, count in messages.most_common(options.show + 5):
            print(f"  {count:6}  {message[:150]}")
    total = Outcome()
    for name, outcome in folders.items():
        total.add(outcome)
        if options.suite and len(folders) > 1:
            print(f"  {name + ':':20} {_counts(outcome)}")
    for feature, number in needing.most_common():
        print(
            f"  needs {feature}: {total.needs[feature]} assertions and {total.waiting[feature]} other commands "
            f"in {number} scripts"
        )
    if total.refused:
        print(
            f"  {total.refused.total()} of the assertions passed say that a module is invalid, and a proposal that is "
            "not built is why it was refused"
        )
    needs = f", {len(scripts) - failing - complete} need what is not built, {failing} fail" if needing else ""
    print(
        f"[{mode}] {complete} of {len(scripts)} scripts pass{needs}; assertions: {_counts(total)}; "
        f"{total.broken} other commands broken; {time.perf_counter() - start:.1f} s"
    )
    return 1 if failing else 0


def _counts(outcome: Outcome) -> str:
    needs = f"{outcome.needs.total()} need what is not built, " if outcome.proposals else ""
    return f"{outcome.passed} passed, {needs}{outcome.failed} failed"


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
    parser.add_argument(
        "--suite",
        type=Path,
        metavar="PATH",
        help="a checkout of WebAssembly/spec, a folder of .wast files, or one file",
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
            parser.error(f"no mode {mode}; there are {', '.join(engine.MODES)} and all")
    return options


if __name__ == "__main__":
    sys.exit(main())
