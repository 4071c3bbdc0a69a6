"""Functions of a module by size, as a table. It takes no capstone, since no machine code is read."""

from __future__ import annotations

from dataclasses import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from vibewasm.api.module import Module

_NAME_WIDTH = 48


@dataclass(frozen=True, slots=True)
class Size:
    """The size of one function.

    Attributes:
        index: in the module's function index space.
        name: how listings call it.
        wasm, machine: bytes of its body, and of its machine code.
        frame: bytes of its frame.
    """

    index: int
    name: str
    wasm: int
    machine: int
    frame: int

    @property
    def expansion(self) -> float:
        """Bytes of machine code per byte of wasm."""
        return self.machine / self.wasm


def sizes(module: Module, indices: Iterable[int]) -> list[Size]:
    """The sizes of functions, the largest machine code first.

    Raises:
        ValidationError: the body of one is invalid.
    """
    from .symbols import Symbols

    names = Symbols(module.info, module.layout)
    imported = module.info.imported_funcs
    found = []
    for index in indices:
        start, end = module.info.bodies[index - imported]
        record = module.compiler.record(index - imported)
        found.append(Size(index, names.name("func", index), end - start, len(record.code), record.frame_size))
    return sorted(found, key=lambda size: (-size.machine, size.index))


def table(rows: list[Size]) -> str:
    """The table as text, with a line of totals."""
    width = min(max([len(row.name) for row in rows] + [8]), _NAME_WIDTH)
    lines = [f"{'index':>6}  {'function':<{width}}  {'wasm':>9}  {'machine':>9}  {'times':>6}  {'frame':>7}"]
    for row in rows:
        name = row.name if len(row.name) <= width else row.name[: width - 1] + "…"
        lines.append(
            f"{row.index:>6}  {name:<{width}}  {row.wasm:>9}  {row.machine:>9}  {row.expansion:>6.1f}  {row.frame:>7}"
        )
    wasm, machine = sum(row.wasm for row in rows), sum(row.machine for row in rows)
    count = f"{len(rows)} function" if len(rows) == 1 else f"{len(rows)} functions"
    lines.append(f"{'':>6}  {count:<{width}}  {wasm:>9}  {machine:>9}  {machine / max(wasm, 1):>6.1f}")
    return "\n".join(lines) + "\n"
