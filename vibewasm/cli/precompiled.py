"""What ``vibewasm run`` says of a precompiled file that was made for something else, in terms of the command line."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vibewasm.errors import WasmError

#: What to do by setting, and by how the file has it: what comes after the file's name.
_ADVICE = {
    ("fuel", "0"): (
        "was compiled without --fuel, and cannot be run with it: "
        "compile it again with vibewasm compile --fuel, or leave --fuel out"
    ),
    ("fuel", "1"): (
        "was compiled with --fuel, and cannot be run without it: "
        "give vibewasm run --fuel N as well, or compile it again without --fuel"
    ),
    ("deterministic", "0"): (
        "was compiled without --deterministic, and cannot be run with it: "
        "compile it again with vibewasm compile --deterministic, or leave --deterministic out"
    ),
    ("deterministic", "1"): (
        "was compiled with --deterministic, and cannot be run without it: "
        "give vibewasm run --deterministic, or compile it again without --deterministic"
    ),
    ("legacy_exceptions", "1"): (
        "was compiled without --no-legacy-exceptions, and cannot be run with it: "
        "compile it again with vibewasm compile --no-legacy-exceptions, or leave --no-legacy-exceptions out"
    ),
    ("explicit_bounds", "0"): (
        "was compiled without --explicit-bounds, and needs more address space than this process may reserve "
        "(ulimit -v): compile it again with vibewasm compile --explicit-bounds, or raise the limit"
    ),
    ("checked", "1"): (
        "was made in Python with Config(checked=True), for which there is no option here: "
        "run it from Python with such a Config, or make another with vibewasm compile"
    ),
}


def misfit(error: WasmError) -> str:
    """What is wrong with a file and what to do, to be written after its name; ``error`` says which setting differs."""
    from vibewasm.api.precompiled import OtherSettings

    assert isinstance(error, OtherSettings)
    if error.setting == "target":
        return (
            f"was compiled for {error.made}, and this Python runs on {error.wanted}: "
            f"compile it again with vibewasm compile --target {error.wanted}"
        )
    if error.setting == "extensions":
        return (
            "was compiled for a processor with extensions that this one has not, or that VIBEWASM_CPU forbids: "
            "compile it again here, or for every processor with VIBEWASM_CPU=baseline vibewasm compile"
        )
    return _ADVICE[error.setting, error.made]
