"""What the explorer shows of a text: machine code for every target, and which line each part comes from.

It compiles and never runs. A text that is no module gives a message with a place, and so does one that is too large.
"""

from __future__ import annotations

import time

from vibewasm.backends import TARGETS
from vibewasm.config import Config
from vibewasm.engine import Engine
from vibewasm.errors import DecodeError, ValidationError, WasmError
from vibewasm.module import Module
from vibewasm.names import escaped
from vibewasm.wat.errors import WatError
from vibewasm.wat.source_map import wat2wasm_with_lines

from .build import Builder
from .html import page_data
from .machine import Reader

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vibewasm.binary.module_info import ModuleInfo

#: Characters of a text, bytes of function bodies, functions, and seconds that one answer may take.
MOST_TEXT = 128 * 1024
MOST_CODE = 32 * 1024
MOST_FUNCTIONS = 400
MOST_SECONDS = 4.0


class TooMuchError(Exception):
    """The module is more than the explorer shows."""


class Explorer:
    """Answers for texts; engines and what has been read of machine code are kept between them.

    One thread at a time may use it.
    """

    def __init__(self) -> None:
        self._engines: dict[tuple[str, bool, bool], Engine] = {}
        self._readers: dict[tuple[str, str], Reader] = {}

    def answer(
        self, source: str, *, syntax: str = "intel", fuel: bool = False, explicit_bounds: bool = False
    ) -> dict[str, object]:
        """The listings of a text, or what is wrong with it.

        Returns:
            ``targets``: of each its ``name``, ``title`` and ``functions`` (see :func:`.html.page_data`);
            ``lines``: by an instruction's offset in the module, the line of the text;
            ``error``: ``None``, or ``message``, ``line`` and ``column`` (both counted from 1, or ``None``).
        """
        lines: dict[int, int] = {}
        try:
            if len(source) > MOST_TEXT:
                raise TooMuchError(f"the text has {len(source)} characters; up to {MOST_TEXT} are compiled here")
            binary, distances = wat2wasm_with_lines(source)
            return self._listings(binary, distances, lines, syntax, fuel, explicit_bounds)
        except WatError as error:
            return _failure(error.message, error.line, error.column)
        except DecodeError as error:
            return _failure(error.message, _line_of(lines, error.offset))
        except ValidationError as error:
            where = (
                f" in {escaped(error.func_name or f'function {error.func_index}')}"
                if error.func_index is not None
                else ""
            )
            return _failure(error.message + where, _line_of(lines, error.offset))
        except (WasmError, TooMuchError) as error:
            return _failure(str(error))
        except (RecursionError, MemoryError):
            return _failure("this module takes more memory than the explorer has for it")

    def _listings(
        self,
        binary: bytes,
        distances: list[list[tuple[int, int]]],
        lines: dict[int, int],
        syntax: str,
        fuel: bool,
        explicit_bounds: bool,
    ) -> dict[str, object]:
        end = time.monotonic() + MOST_SECONDS
        found = []
        for name in TARGETS:
            module = Module(self._engine(name, fuel, explicit_bounds), binary)
            if not lines:
                _fill(lines, module.info, distances)
                _check_size(module.info)
            reader = self._readers.get((name, syntax))
            if reader is None:
                reader = self._readers[name, syntax] = Reader(name, syntax)
            builder = Builder(module, reader=reader)
            functions = []
            first = module.info.imported_funcs
            for index in range(first, first + len(module.info.bodies)):
                if time.monotonic() > end:
                    raise TooMuchError(f"compiling took more than {MOST_SECONDS:.0f} seconds")
                functions.append(page_data(builder.function(index)))
            found.append({"name": name, "title": reader.target.TITLE, "functions": functions})
        return {"targets": found, "lines": lines, "error": None}

    def _engine(self, target: str, fuel: bool, explicit_bounds: bool) -> Engine:
        key = (target, fuel, explicit_bounds)
        engine = self._engines.get(key)
        if engine is None:
            config = Config(target=target, fuel=fuel, explicit_bounds=explicit_bounds)
            engine = self._engines[key] = Engine(config)
        return engine


def _fill(lines: dict[int, int], info: ModuleInfo, distances: list[list[tuple[int, int]]]) -> None:
    """Note the line of each instruction by its offset in the module."""
    for (_, end), of_function in zip(info.bodies, distances, strict=False):
        for distance, line in of_function:
            lines[end - distance] = line


def _check_size(info: ModuleInfo) -> None:
    size = sum(end - start for start, end in info.bodies)
    if size > MOST_CODE or len(info.bodies) > MOST_FUNCTIONS:
        raise TooMuchError(
            f"{len(info.bodies)} functions of {size} bytes are more than the explorer shows "
            f"({MOST_FUNCTIONS}, {MOST_CODE}); vibewasm disasm has no limit"
        )


def _line_of(lines: dict[int, int], offset: int | None) -> int | None:
    """The line of the instruction at or before an offset in the module."""
    if offset is None:
        return None
    before = [place for place in lines if place <= offset]
    return lines[max(before)] if before else None


def _failure(message: str, line: int | None = None, column: int | None = None) -> dict[str, object]:
    return {"targets": [], "lines": {}, "error": {"message": message, "line": line, "column": column}}
