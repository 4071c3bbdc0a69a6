"""Modules with what wasmtime does: written for other machines, looked at one by one, made small, and kept."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path

from tests.differential import cases
from tests.differential.judge import Finding, Judge
from tests.differential.make import Made, make
from tests.differential.ours import mode_of
from tests.differential.report import show
from tests.fuzz.instructions import read_uleb
from tests.fuzz.parts import EXPORT, read_parts
from tests.fuzz.reduce import reduce
from tests.fuzz.workers import Asked
from vibewasm.wat import wasm2wat

SAVED = Path(__file__).parent / "saved"
# Seconds that one module may take.
_SECONDS = 20.0


def record(path: Path, seed: int, indices: range, simd: bool = False, control: bool = False) -> int:
    """Writes the modules `indices` of the campaign `seed` as cases; returns the exit code."""
    judge = Judge(simd=simd, control=control)

    def recorded() -> Iterator[cases.Case]:
        for index in indices:
            yield judge.recordable(seed, index)
            if (index - indices.start) % 1000 == 999:
                print(f"  {index - indices.start + 1} modules", flush=True)

    print(f"{cases.save_all(path, recorded())} modules of seed {seed} recorded in {path}")
    return 0


class Asker:
    """Judges modules in a child process, which may die of them."""

    def __init__(self, simd: bool = False, control: bool = False) -> None:
        self._asked = Asked[tuple[int, Made, str], Finding](
            lambda: lambda question: _judge(simd=simd, control=control).judge(*question)
        )

    def find(self, index: int, made: Made, mode: str, seconds: float = _SECONDS) -> Finding:
        """What comes of the module; a crash or a hang is a problem of it."""
        found = self._asked.ask((index, made, mode), seconds)
        return found if isinstance(found, Finding) else Finding(index, mode, made.source, problem=found)

    def close(self) -> None:
        """Ends the child."""
        self._asked.close()


@cache
def _judge(*, simd: bool, control: bool) -> Judge:
    return Judge(simd=simd, control=control)


def only(
    seed: int,
    index: int,
    mode: str | None,
    smaller: bool,
    keep: str | None,
    simd: bool = False,
    control: bool = False,
) -> int:
    """Judges one module and shows it; returns the exit code."""
    mode = mode or mode_of(index, simd)
    made = make(seed, index, simd, control)
    asker = Asker(simd, control)
    finding = asker.find(index, made, mode)
    if finding.nan_bits:
        made = made.with_canonical_nans()
        finding = asker.find(index, made, mode)
    if smaller and finding.wrong:
        made = reduced(index, made, mode, asker)
        finding = asker.find(index, made, mode)
    asker.close()
    print(wasm2wat(made.data))
    print(show(finding))
    if keep:
        SAVED.mkdir(exist_ok=True)
        path = SAVED / f"{keep}.wat"
        note = f"Module {index} of seed {seed}{', rich in vectors' * simd}{', about control' * control}."
        path.write_text(cases.to_wat(_judge(simd=simd, control=control).case(index, made, mode), [note]))
        print(f"saved as {path}")
    return 1 if finding.wrong else 0


def reduced(index: int, made: Made, mode: str, asker: Asker) -> Made:
    """A smaller module with fewer calls that shows the same kind of thing."""
    wanted = _essence(asker.find(index, made, mode))
    for step in reversed(made.steps):
        fewer = made._replace(steps=[other for other in made.steps if other is not step])
        if _essence(asker.find(index, fewer, mode)) == wanted:
            made = fewer

    def smaller(data: bytes) -> Made:
        # What makes NaNs canonical may be taken away, so differences in the bits of NaNs have to be put aside again.
        names = _exports(data)
        return made._replace(data=data, canonical=False, steps=[step for step in made.steps if step.export in names])

    return smaller(reduce(made.data, lambda data: _essence(asker.find(index, smaller(data), mode)) == wanted))


def _essence(finding: Finding) -> str:
    """What must stay the same while a module is reduced; a difference of frames is not one of results."""
    if finding.difference is not None:
        return finding.difference.kind
    return (finding.problem or "")[:20]


def _exports(data: bytes) -> set[str]:
    names: set[str] = set()
    for item in read_parts(data).items(EXPORT):
        size, start = read_uleb(item, 0)
        names.add(item[start : start + size].decode())
    return names
