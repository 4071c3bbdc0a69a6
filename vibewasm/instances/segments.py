"""What happens at instantiation with the first values of globals and tables, and with segments (core specification,
"Instantiation").
"""

from __future__ import annotations

from ..abi import TRAP_MEMORY_OUT_OF_BOUNDS
from ..constant_opcodes import REF_FUNC, REF_NULL
from ..traps import TRAPS, Trap
from .bulk import copy_data, table_init
from .constants import evaluate, is_constant
from .context import Pointers, set_global

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..api.instance import Instance
    from ..api.module import Module
    from ..binary.module_info import ConstExpr, Data, Element, ModuleInfo
    from .data_copies import DataCopies

#: Of a segment with more items than this, cells are not prepared.
_MOST_PREPARED = 1 << 16
#: Bytes of data from which on a view is faster than a copy.
_LARGE = 1 << 12
#: So many data segments are copied by machine code.
_MANY = 64


class Segments:
    """First values and segments of a module, made ready for its instances.

    Args:
        module: the module.
        cells: those of the template of its instances. What globals are the same in all of them is written here.
    """

    __slots__ = ("_copies", "_dropped_datas", "_dropped_elements", "_globals", "_info", "_prepared")

    def __init__(self, module: Module, cells: memoryview) -> None:
        self._info = info = module.info
        #: Cell, type and first value of the globals that are not the same in all instances.
        self._globals: list[tuple[int, int, ConstExpr]] = []
        for index, expr in enumerate(info.global_inits, info.imported_globals):
            at, code = module.layout.global_(index) >> 3, info.globals[index].content.code
            if is_constant(expr):
                set_global(cells, at, code, evaluate(None, expr))
            else:
                self._globals.append((at, code, expr))
        #: Table, first element and cells of the active element segments, where that is known of all of them.
        self._prepared = _prepare_elements(info)
        #: By element segment, 1 where no instance has it any more when its code begins to run.
        self._dropped_elements = bytes(len(info.elements))
        if self._prepared is not None:
            self._dropped_elements = bytes([element.mode != "passive" for element in info.elements])
        self._dropped_datas = info.datas.active
        self._copies: DataCopies | None = None
        if len(info.datas) >= _MANY and len(info.data) < 1 << 32:
            from .data_copies import DataCopies

            self._copies = DataCopies(info.data, info.datas)

    def begin(self, instance: Instance) -> None:
        """Give the instance its segments, and globals and elements of tables their first values."""
        instance._dropped_elements = bytearray(self._dropped_elements)
        instance._dropped_datas = bytearray(self._dropped_datas)
        for at, code, expr in self._globals:
            set_global(instance._cells, at, code, evaluate(instance, expr))
        for index, expr in self._info.table_inits.items():
            cell = evaluate(instance, expr)
            if cell:
                table = instance._tables[index]
                table._fill(0, len(table), cell)

    def apply(self, instance: Instance) -> None:
        """Copy active segments to tables and memories. Elements come before data, and each segment is checked when its
        turn comes.

        Raises:
            Trap: one does not fit.
        """
        if self._prepared is None:
            for index, element in enumerate(self._info.elements):
                _apply_element(instance, index, element)
        else:
            for table, at, pointers in self._prepared:
                pointers.write(instance, instance._tables[table]._cells, at)
        if self._dropped_datas:
            _apply_datas(instance, self._copies)


def _prepare_elements(info: ModuleInfo) -> list[tuple[int, int, Pointers]] | None:
    """What is written to tables, if it is known to fit, and if nobody could see it before all of it is there: active
    segments at constant places of tables that the module defines.
    """
    prepared = []
    for element in info.elements:
        if element.mode != "active":
            continue
        assert element.offset is not None
        items: list[int | None] | Sequence[int] | None = element.funcs
        if items is None:
            items = _functions(element)
        if (
            items is None
            or len(items) > _MOST_PREPARED
            or element.table < info.imported_tables
            or not is_constant(element.offset)
        ):
            return None
        at = evaluate(None, element.offset)
        if at + len(items) > info.tables[element.table].limits.minimum:
            return None
        if items:
            prepared.append((element.table, at, Pointers(info, items)))
    return prepared


def _functions(element: Element) -> list[int | None] | None:
    """The functions that a segment of expressions names, ``None`` for null; nothing where it reads globals."""
    functions: list[int | None] = []
    for expr in element.exprs or ():
        opcode, immediate = expr.ops[0]
        if opcode == REF_NULL:
            functions.append(None)
        elif opcode == REF_FUNC:
            functions.append(immediate)
        else:
            return None
    return functions


def _apply_element(instance: Instance, index: int, element: Element) -> None:
    """Copy an active element segment to its table, and drop it; a declarative one is dropped only."""
    if element.mode == "passive":
        return
    if element.mode == "active":
        assert element.offset is not None
        offset = evaluate(instance, element.offset)
        count = len(element.items)
        number = table_init(instance, element.table, index, offset, 0, count)
        if number:
            from ..counting import counted

            size = len(instance._tables[element.table])
            elements = counted(size, "element")
            where = f"element segment {index} ({offset} to {offset + count} in a table of {elements})"
            raise _trap(number, where)
    instance._dropped_elements[index] = 1


def _apply_datas(instance: Instance, copies: DataCopies | None) -> None:
    """Copy the active data segments to their memories. All of them are marked as dropped already, since no code runs
    meanwhile; where one does not fit, the mark is taken from it and from those after it.
    """
    info = instance._module.info
    data = info.data
    index = -1
    try:
        memory = instance._memories[0]._current() if instance._memories else memoryview(b"")
        size = len(memory)
        datas = info.datas
        usual = datas.OTHER
        segments = enumerate(zip(datas.offsets, datas.starts, datas.ends, strict=True))
        for index, (offset, start, end) in segments if copies is None else copies.copy(memory):
            if offset < usual:
                after = offset + end - start
                if after > size:
                    raise _does_not_fit(index, offset, after, size)
                if end - start < _LARGE:
                    memory[offset:after] = data[start:end]
                else:
                    copy_data(instance, start, end, memory, offset)
            elif datas.active[index]:
                _apply_data(instance, index, datas[index])
    except BaseException as error:
        dropped = instance._dropped_datas
        for later in range(max(0, index), len(dropped)):
            dropped[later] = 0
        if isinstance(error, (ValueError, Trap)):
            # Another thread may have closed the store meanwhile, and then nothing fits.
            instance._store._check_open()
        raise


def _apply_data(instance: Instance, index: int, data: Data) -> None:
    """Copy an active data segment whose place has to be computed."""
    assert data.offset is not None
    offset = evaluate(instance, data.offset)
    memory = instance._memories[data.memory]._current()
    after = offset + data.end - data.start
    if after > len(memory):
        raise _does_not_fit(index, offset, after, len(memory))
    copy_data(instance, data.start, data.end, memory, offset)


def _does_not_fit(index: int, offset: int, end: int, size: int) -> Trap:
    return _trap(TRAP_MEMORY_OUT_OF_BOUNDS, f"data segment {index} ({offset} to {end} in a memory of {size} bytes)")


def _trap(number: int, where: str) -> Trap:
    code, message = TRAPS[number]
    return Trap(f"{message}: {where}", code)
