"""``python -m benchmarks run|compile|cross|start|calls|instantiate|explore``, from the project's root."""

from __future__ import annotations

import argparse
import json
import sys

from . import calls, compile, cross, explore, instantiate, run, start

#: Each benchmark and how many rounds it takes by default.
BENCHMARKS = {
    "run": (run.measure, 5),
    "compile": (compile.measure, 9),
    "cross": (cross.measure, 9),
    "start": (start.measure, 60),
    "calls": (calls.measure, 9),
    "instantiate": (instantiate.measure, 25),
    "explore": (explore.measure, 40),
}


def main() -> int:
    """Print the chosen benchmarks' ratios; exit code 1 with ``--check`` where a bar is not met."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("benchmark", nargs="+", choices=[*BENCHMARKS, "all"])
    parser.add_argument("--rounds", type=int, help="measure so often, instead of the benchmark's own number")
    parser.add_argument("--peers", action="store_true", help="show further engines, for reference")
    parser.add_argument("--json", action="store_true", help="print JSON, one line a benchmark")
    parser.add_argument("--check", action="store_true", help="exit with 1 where a bar is not met")
    options = parser.parse_args()
    met = True
    for name in BENCHMARKS if "all" in options.benchmark else options.benchmark:
        measure, rounds = BENCHMARKS[name]
        report = measure(options.rounds or rounds, options.peers)
        print(json.dumps(report.as_json()) if options.json else report.as_text() + "\n", flush=True)
        met = met and all(figure.met is not False for figure in report.figures)
    return 0 if met or not options.check else 1


if __name__ == "__main__":
    sys.exit(main())
