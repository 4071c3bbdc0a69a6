"""What the parent tells the process of a run."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from ..api.config import Config
    from ..wasi import WasiConfig


class Job:
    """All that the process of a run has to know.

    Attributes:
        source: the module: bytes, or text.
        config: of the engine.
        fuel: what the store is given; ``None`` for nothing.
        invoke: the function to call, with ``values``; ``None`` for a program.
        wasi: of the program.
        seconds: how long the run may take, as it was asked for.
        until: when the run is to end, in seconds of ``time.monotonic``, which all processes share.
        folders: those of the host, and whether something may be changed there.
        system_limits: by name, as for ``setrlimit``.
        allow_precompiled: whether the source may be machine code that this package has compiled.
        stub_imports: whether imports that are not WASI's are given functions that return zeros.
        required: mechanisms without which nothing is run.
        modules: what is to be loaded besides what any run needs.
        extra: for other ways to run.
    """

    __slots__ = (
        "allow_precompiled",
        "config",
        "extra",
        "folders",
        "fuel",
        "invoke",
        "modules",
        "required",
        "seconds",
        "source",
        "stub_imports",
        "system_limits",
        "until",
        "values",
        "wasi",
    )

    def __init__(
        self,
        *,
        source: bytes | str = b"",
        config: Config | None = None,
        fuel: int | None = None,
        invoke: str | None = None,
        values: Sequence[object] = (),
        wasi: WasiConfig | None = None,
        seconds: float | None = None,
        until: float | None = None,
        folders: Sequence[tuple[str | bytes, bool]] = (),
        system_limits: dict[str, int],
        allow_precompiled: bool = False,
        stub_imports: bool = False,
        required: frozenset[str] = frozenset(),
        modules: Sequence[str] = (),
        extra: Any = None,
    ) -> None:
        self.source = source
        self.config = config
        self.fuel = fuel
        self.invoke = invoke
        self.values = tuple(values)
        self.wasi = wasi
        self.seconds = seconds
        self.until = until
        self.folders = tuple(folders)
        self.system_limits = system_limits
        self.allow_precompiled = allow_precompiled
        self.stub_imports = stub_imports
        self.required = required
        self.modules = tuple(modules)
        self.extra = extra
