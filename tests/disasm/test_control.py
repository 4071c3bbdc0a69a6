"""Listings of tail calls, typed references and exceptions: what is out of line belongs to its instruction."""

from __future__ import annotations

import pytest

from vibewasm import abi
from vibewasm.backends import TARGETS
from vibewasm.binary.decoder import decode
from vibewasm.disasm.model import FunctionListing
from vibewasm.disasm.symbols import Symbols, field
from vibewasm.instances.context import ContextLayout
from vibewasm.wat import wat2wasm

from .test_listing import bytes_of, module_of

SOURCE = """(module
  (type $c (sub (func (param i32) (result i32))))
  (type $d (sub final $c (func (param i32) (result i32))))
  (import "m" "f" (func $imported (param i32) (result i32)))
  (table $t 3 (ref null $c))
  (func $direct (type $c) (return_call $indirect (local.get 0) (i64.const 1)))
  (func $indirect (param $x i32) (param i64) (result i32)
    (return_call_indirect $t (type $c) (local.get $x) (i32.const 1)))
  (func $away (param $x i32) (result i32)
    (if (i32.eqz (local.get $x)) (then (return_call $imported (i32.const 7))))
    (return_call $imported (local.get $x)))
  (func $self (param $x i32) (result i32) (return_call $self (local.get $x)))
  (func $tail (param $r (ref null $c)) (result i32) (return_call_ref $c (i32.const 1) (local.get $r)))
  (func $call (param $r (ref null $c)) (result i32) (call_ref $c (i32.const 1) (local.get $r)))
  (func $more (param $r (ref null $c)) (result i32)
    (i32.const 7)
    (block $n (param i32) (result i32 (ref $c)) (return (br_on_non_null $n (local.get $r))))
    (call_ref $c))
  (func $element (result (ref $c)) (ref.as_non_null (table.get $t (i32.const 1)))))"""


@pytest.fixture(params=TARGETS)
def listings(request: pytest.FixtureRequest) -> dict[str, FunctionListing]:
    module = module_of(SOURCE, target=request.param)
    return {listing.symbol: listing for listing in module.disassemble()}


def symbols_of(listing: FunctionListing, wasm: str, kind: str = "") -> set[str]:
    """The names of what the machine code of a wasm instruction touches."""
    return {
        symbol
        for group in listing.groups
        if group.wasm.startswith(wasm) and kind in ("", group.kind)
        for item in group.machine
        for symbol in item.symbols
    }


def traps_of(listing: FunctionListing, wasm: str) -> list[str]:
    return [
        trap for group in listing.groups if group.wasm.startswith(wasm) for item in group.machine for trap in item.traps
    ]


def test_every_byte_is_shown(listings: dict[str, FunctionListing]) -> None:
    assert len(listings) == 8
    for listing in listings.values():
        assert bytes_of(listing) == listing.code
        assert all(item.flow != "bad" for item in listing)


def test_what_takes_the_frame_down_belongs_to_the_tail_call(listings: dict[str, FunctionListing]) -> None:
    for name in ("$direct", "$indirect", "$away", "$self", "$tail"):
        cold = [
            group for group in listings[name].groups if group.kind == "cold" and group.wasm.startswith("return_call")
        ]
        assert cold, name
        # It ends with a jump out of the function, or to its beginning.
        assert cold[-1].machine[-1].flow == "jump", name


def test_what_tail_calls_go_to_has_its_name(listings: dict[str, FunctionListing]) -> None:
    assert "$indirect" in symbols_of(listings["$direct"], "return_call", "cold")
    assert "$imported" in symbols_of(listings["$away"], "return_call", "body")
    for name in ("$indirect", "$away", "$tail"):
        assert {"callee", "context of callee", "tail call out"} <= symbols_of(listings[name], "return_call", "cold")
    assert {"supertypes", "number of supertypes", "$t", "$c"} <= symbols_of(listings["$indirect"], "return_call")


def test_a_call_by_reference_names_the_callee_and_what_null_does(listings: dict[str, FunctionListing]) -> None:
    assert {"callee", "context of callee"} <= symbols_of(listings["$call"], "call_ref")
    # The first read faults, and no other.
    assert traps_of(listings["$call"], "call_ref") == ["null function reference"]
    assert traps_of(listings["$more"], "call_ref") == ["null function reference"]
    assert traps_of(listings["$tail"], "return_call_ref") == ["null function reference"]
    assert "null reference" in traps_of(listings["$element"], "ref.as_non_null")
    assert "uninitialized element" in traps_of(listings["$indirect"], "return_call_indirect")


THROWS = """(module
  (tag $e (param i32 f64))
  (func $new (param $x i32) (result i32)
    (local $r exnref)
    (block $caught (result i32 f64 exnref)
      (try_table (result i32) (catch_ref $e $caught)
        (if (local.get $x) (then (throw $e (local.get $x) (f64.const 5))))
        (i32.const 1))
      return)
    (local.set $r)
    (drop)
    (drop)
    (throw_ref (local.get $r)))
  (func $outside (param $x i32) (throw $e (local.get $x) (f64.const 1)))
  (func $old (result i32)
    (try (result i32)
      (do (call $new (i32.const 1)))
      (catch $e (drop))
      (catch_all (rethrow 0)))))"""


@pytest.mark.parametrize("target", TARGETS)
def test_throwing_and_catching_name_the_tag_and_the_stubs(target: str) -> None:
    found = {listing.symbol: listing for listing in module_of(THROWS, target=target).disassemble()}
    for listing in found.values():
        assert bytes_of(listing) == listing.code
        assert all(item.flow != "bad" for item in listing)
    assert {"$e", "throw", "thrown tag", "result cell 0", "result cell 1"} <= symbols_of(found["$outside"], "throw")
    assert {"$e", "thrown tag", "make exception"} <= symbols_of(found["$new"], "throw $e")
    assert traps_of(found["$new"], "throw_ref") == ["null exception reference"]
    assert {"tag of exception", "throw_ref"} <= symbols_of(found["$new"], "throw_ref")
    # What catches for a clause stands out of line.
    assert {"result cell 0", "make exception"} <= symbols_of(found["$new"], "try_table", "cold")
    assert {"make exception", "result cell 0"} <= symbols_of(found["$old"], "catch $e")
    assert {"tag of exception", "throw_ref"} <= symbols_of(found["$old"], "rethrow")
    assert not traps_of(found["$old"], "rethrow")


@pytest.mark.parametrize("target", TARGETS)
def test_landing_pads_have_labels_and_say_what_they_catch(target: str) -> None:
    text = THROWS.replace("(catch_all (rethrow 0)", "(catch $f (i32.const 2)) (catch_all (rethrow 0)")
    text = text.replace("(tag $e ", "(tag $f) (tag $e ")
    found = {listing.symbol: listing for listing in module_of(text, target=target).disassemble()}
    assert list(found["$new"].pads.values()) == ["catches $e"]
    assert list(found["$old"].pads.values()) == ["catches $e", "catches $f", "catches any exception"]
    assert not found["$outside"].pads
    for listing in found.values():
        first = {item.address: item for item in listing}
        blocks = {block.start for block in listing.blocks}
        for address, said in listing.pads.items():
            assert first[address].symbols[0] == said
            assert address in listing.labels
            assert address in blocks
    shown = str(found["$old"])
    for said in found["$old"].pads.values():
        assert f"; {said}" in shown
    place = str(found["$new"]).index("; catches $e")
    assert "out of line:" in str(found["$new"])[:place].splitlines()[-3]


@pytest.mark.parametrize("target", TARGETS)
def test_a_delegate_has_no_landing_pad(target: str) -> None:
    text = "(module (func $f (try $out (do (try (do (call $f)) (delegate $out))) (catch_all))))"
    (listing,) = module_of(text, target=target).disassemble()
    assert list(listing.pads.values()) == ["catches any exception"]


def test_tags_have_names_in_the_context() -> None:
    info = decode(wat2wasm('(import "m" "x" (tag (param i32))) (tag $e) (tag (export "out")) (tag)', names=True))
    layout = ContextLayout(info)
    symbols = Symbols(info, layout)
    assert [symbols.context[layout.tag(index)] for index in range(4)] == [
        ("$m.x", None), ("$e", None), ("$out", None), ("tag 3", None),
    ]  # fmt: skip


def test_cells_of_the_store_for_exceptions_and_tails_have_names() -> None:
    store = ("store", "")
    for offset, name in (
        (abi.STORE_THROW, "throw"),
        (abi.STORE_THROW_REF, "throw_ref"),
        (abi.STORE_MAKE_EXCEPTION, "make exception"),
        (abi.STORE_RETURN, "return of a tail call"),
        (abi.STORE_TAIL_OUT, "tail call out"),
        (abi.STORE_THROWN_TAG, "thrown tag"),
        (abi.STORE_THROWN_COUNT, "number of thrown values"),
    ):
        cell = field(store, offset)
        assert cell is not None
        assert cell[0] == name
    thrown = field(store, abi.STORE_THROWN)
    assert thrown == ("thrown exception", ("exception", "thrown exception"))
    assert field(("exception", "thrown exception"), abi.EXCEPTION_TAG) == ("tag of thrown exception", None)
    assert field(("exception", "thrown exception"), abi.EXCEPTION_VALUES + 32) == ("value 2 of thrown exception", None)


def test_immediates_are_shown_with_names() -> None:
    info = decode(
        wat2wasm(
            """(tag $e (param i32)) (func $f (block $l (result i32) (try_table (catch $e $l) (throw $e (i32.const 1)))
            i32.const 2) drop)""",
            names=True,
        )
    )
    writer = Symbols(info, ContextLayout(info)).writer(0)
    writer.position = info.bodies[0][0] + 1
    assert [text for _, _, text in writer.instructions()] == [
        "block (result i32)  ;; label = @1",
        "try_table (catch $e 0 (;@1;))  ;; label = @2",
        "i32.const 1",
        "throw $e",
        "end",
        "i32.const 2",
        "end",
        "drop",
        "end",
    ]
