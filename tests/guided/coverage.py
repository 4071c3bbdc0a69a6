"""Which lines of the package have run.

From Python 3.12 on ``sys.monitoring`` tells of each line once, and lines cost nothing afterwards. Before, functions of
which all lines have run are not traced any more, so that what remains is a look at each call.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from types import CodeType, FrameType
from typing import Any

#: A file, and a line in it.
Line = tuple[str, int]


class Coverage:
    """Notes lines of files in ``folders`` that run while it is on, once each, but for those that were ``seen`` before.

    Attributes:
        fresh: lines that have been noted; whoever looks may empty it.
    """

    def __init__(self, folders: Iterable[str], seen: Iterable[Line] = ()) -> None:
        self.fresh: list[Line] = []
        self._folders = tuple(folders)
        self._seen = set(seen)
        self._unseen: dict[int, tuple[CodeType, set[int]]] = {}

    def on(self) -> None:
        """Begin."""
        if sys.version_info >= (3, 12):
            monitoring = sys.monitoring
            monitoring.use_tool_id(monitoring.COVERAGE_ID, "vibewasm")
            monitoring.register_callback(monitoring.COVERAGE_ID, monitoring.events.LINE, self._met)
            monitoring.set_events(monitoring.COVERAGE_ID, monitoring.events.LINE)
        else:
            sys.settrace(self._called)

    def off(self) -> None:
        """End."""
        if sys.version_info >= (3, 12):
            sys.monitoring.set_events(sys.monitoring.COVERAGE_ID, 0)
            sys.monitoring.free_tool_id(sys.monitoring.COVERAGE_ID)
        else:
            sys.settrace(None)

    def _note(self, line: Line) -> None:
        if line not in self._seen:
            self._seen.add(line)
            self.fresh.append(line)

    if sys.version_info >= (3, 12):

        def _met(self, code: CodeType, number: int) -> Any:
            if code.co_filename.startswith(self._folders):
                self._note((code.co_filename, number))
            return sys.monitoring.DISABLE

    def _called(self, frame: FrameType, event: str, argument: object) -> Any:
        code = frame.f_code
        # By identity: equality of code compares what it does.
        known = self._unseen.get(id(code))
        if known is None:
            lines = set()
            if code.co_filename.startswith(self._folders):
                lines = {line for _, _, line in code.co_lines() if line} - {
                    line for file, line in self._seen if file == code.co_filename
                }
            known = self._unseen[id(code)] = code, lines
        return self._ran if known[1] else None

    def _ran(self, frame: FrameType, event: str, argument: object) -> Any:
        if event == "line":
            code = frame.f_code
            unseen = self._unseen[id(code)][1]
            if frame.f_lineno in unseen:
                unseen.discard(frame.f_lineno)
                self._note((code.co_filename, frame.f_lineno))
        return self._ran
