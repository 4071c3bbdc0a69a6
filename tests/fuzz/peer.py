"""wasmtime as the judge: what it accepts, and what calls give in it."""

from __future__ import annotations

import wasmtime as wt

from tests.fuzz.peer_run import PeerRun
from tests.fuzz.steps import MEMORY_BYTES, TABLE_ELEMENTS, Result, Step, Trace
from tests.fuzz.surface import read_surface
from tests.spec.engine import References

FUEL_PER_CALL = 300_000

# Newer than what vibewasm has. Extended constant expressions cannot be turned off; vibewasm has them.
NEWER_FEATURES = (
    "threads",
    "multi_memory",
    "memory64",
    "gc",
    "wide_arithmetic",
    "custom_page_sizes",
    "stack_switching",
    "component_model",
)
# What changed the encoding of 2.0's instructions in 3.0: memory indices became LEB128 numbers (multi-memory), and
# offsets may have 64 bits (memory64).
ENCODING_FEATURES = ("multi_memory", "memory64")
#: Groups and subtypes of function types are of this proposal; vibewasm has these of it.
TYPE_FEATURES = ("gc",)


def config(
    *,
    features: tuple[str, ...] = (),
    deterministic: bool = False,
    canonical_nans: bool = False,
    stack: int | None = None,
) -> wt.Config:
    """The features that vibewasm has, and `features`."""
    result = wt.Config()
    for feature in NEWER_FEATURES:
        setattr(result, f"wasm_{feature}", feature in features)
    for feature in ("tail_call", "exceptions", "function_references"):
        setattr(result, f"wasm_{feature}", True)
    result.wasm_relaxed_simd_deterministic = deterministic
    result.cranelift_nan_canonicalization = canonical_nans
    result.consume_fuel = True
    if stack is not None:
        result.max_wasm_stack = stack
    result.cranelift_opt_level = "none"
    result.parallel_compilation = False
    return result


class Peer:
    """A wasmtime engine with the features that vibewasm has, and `features`; a call may take so much fuel, and so many
    bytes of stack.

    With `deterministic` relaxed vector instructions are those of any processor, without it they are those of this one.
    With `canonical_nans` no instruction makes other ones.
    """

    def __init__(
        self,
        *,
        features: tuple[str, ...] = (),
        fuel: int = FUEL_PER_CALL,
        deterministic: bool = False,
        canonical_nans: bool = False,
        stack: int | None = None,
    ) -> None:
        self._fuel = fuel
        self._engine = wt.Engine(
            config(features=features, deterministic=deterministic, canonical_nans=canonical_nans, stack=stack)
        )
        self._references = References()

    def rejects(self, data: bytes) -> str | None:
        """Why the module is not accepted, or None when it is."""
        if data[:4] != b"\0asm":
            return "no wasm module"  # its Module.validate would take text
        try:
            wt.Module.validate(self._engine, data)
        except wt.WasmtimeError as error:
            return str(error).rsplit("Caused by:", maxsplit=1)[-1].strip()
        return None

    def run(self, data: bytes, planned: list[Step]) -> Trace:
        """Instantiates the module with stub imports and takes the steps; stops at the first that does not end.

        Raises `NotParsed` where a type is of no kind that the campaigns know.
        """
        going = PeerRun(self._engine, wt.Module(self._engine, data), read_surface(data), self._references)
        going.store.set_limits(memory_size=MEMORY_BYTES, table_elements=TABLE_ELEMENTS)
        going.store.set_fuel(self._fuel)
        results: list[Result] = [going.instantiate()]
        if results[0].kind != "values":
            return Trace(results, None)
        for step in planned:
            going.store.set_fuel(self._fuel)
            results.append(going.take(step))
            if results[-1].kind == "stopped":
                return Trace(results, None)
        return Trace(results, going.state())
