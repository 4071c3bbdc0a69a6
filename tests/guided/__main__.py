"""Coverage-guided fuzzing: `python -m tests.guided [TARGET ...] --minutes 20`.

Each target takes any bytes: `module` is a module, which wasmtime judges as well; `text` is one in text; of the bytes of
`compiler`, `wasi` and `api` a valid module, a series of WASI calls and a series of calls of the Python API are drawn;
`image` is what the code cache keeps of a module. An input that reaches lines of the package that had not run before is
kept and changed further. `--once FILE` tries one input in this process. With `--keep` what was found is added to
tests/guided/kept, from which the next run begins.
"""

from __future__ import annotations

import argparse
import secrets
import sys
import tempfile
import time
from hashlib import sha256
from pathlib import Path
from random import Random

from tests.guided import kept, targets
from tests.guided.loop import Count, State, Wrong, fuzz
from tests.guided.target import Target


def main() -> int:
    """Does what the command line asks for; returns the exit code."""
    options = _parse()
    if options.once is not None:
        with tempfile.TemporaryDirectory(prefix="vibewasm-guided-") as folder:
            targets.named(options.targets[0]).start(Path(folder))(options.once.read_bytes())
        print("nothing is wrong")
        return 0
    return max([_fuzz(name, options) for name in options.targets])


def _fuzz(name: str, options: argparse.Namespace) -> int:
    target: Target = targets.named(name)
    inputs = kept.load(name)
    seeds = target.seeds()
    Random(options.seed).shuffle(seeds)
    state = State([*seeds, *inputs])
    print(f"{name}: seed {options.seed}, {len(seeds)} inputs to begin with, {len(inputs)} kept", flush=True)
    start = time.monotonic()
    wrong: dict[str, str] = {}
    curve: list[tuple[float, int, int]] = []
    step = options.minutes * 60 / 20
    for found in fuzz(target, state, options.minutes * 60, f"{options.seed} {name}"):
        if isinstance(found, Wrong):
            what = found.text.strip().splitlines()[-1]
            if what not in wrong:
                options.save.mkdir(parents=True, exist_ok=True)
                path = options.save / f"{name}-{sha256(found.data).hexdigest()[:12]}"
                path.write_bytes(found.data)
                wrong[what] = str(path)
                print(f"{found.text}  in {path}, of {len(found.data)} bytes", flush=True)
        elif isinstance(found, Count):
            seconds = time.monotonic() - start
            if seconds >= step * (len(curve) + 1):
                curve.append((seconds, state.tried, len(state.lines)))
    seconds = time.monotonic() - start
    print(f"  {'seconds':>8} {'inputs':>10} {'lines':>7}")
    for at, tried, lines in [*curve, (seconds, state.tried, len(state.lines))]:
        print(f"  {at:8.0f} {tried:10,} {lines:7,}")
    rate = state.tried / max(seconds, 0.001)
    print(
        f"{name}: {state.tried:,} inputs, {rate:.0f} a second, "
        f"{len(state.corpus)} reached new lines; {len(wrong)} wrong"
    )
    for what, place in wrong.items():
        print(f"  {what}: python -m tests.guided {name} --once {place}")
    if options.keep:
        known = {*seeds}
        size = kept.save(name, [one for one in state.corpus if one not in known])
        print(f"kept in {size:,} bytes")
    return 1 if wrong else 0


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.guided", description=__doc__)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"of {', '.join(targets.NAMES)} (default: all)")
    parser.add_argument("--minutes", type=float, default=1.0, help="for each target")
    parser.add_argument("--seed", type=int, help="an integer; drawn and printed if left out")
    parser.add_argument("--once", type=Path, metavar="FILE", help="try one input of the one target in this process")
    parser.add_argument("--keep", action="store_true", help="add what reached new lines to tests/guided/kept")
    parser.add_argument(
        "--save", type=Path, metavar="FOLDER", help="where what is wrong goes (default: in the temporary folder)"
    )
    options = parser.parse_args()
    if unknown := set(options.targets) - {*targets.NAMES}:
        parser.error(f"no target {', '.join(sorted(unknown))}; there are {', '.join(targets.NAMES)}")
    options.targets = options.targets or [*targets.NAMES]
    if options.once is not None and len(options.targets) != 1:
        parser.error("--once wants one target")
    if options.seed is None:
        options.seed = secrets.randbelow(1_000_000)
    if options.save is None:
        options.save = Path(tempfile.gettempdir()) / "vibewasm-guided"
    return options


if __name__ == "__main__":
    sys.exit(main())
