"""Tags in Python: made, imported, exported, compared and linked."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest

import vibewasm as vw

TAGGED = """(module
  (import "env" "given" (tag $given (param i32)))
  (tag $own (export "own") (param i64 f32))
  (tag $hidden (export "hidden"))
  (export "again" (tag $given)))"""


def tagged(tag: vw.Tag) -> vw.Instance:
    return vw.instantiate(TAGGED, {"env": {"given": tag}})


def test_two_objects_of_one_tag_are_the_same_object() -> None:
    store = vw.Store()
    tag = vw.Tag(store, vw.TagType(["i32"]))
    exports = tagged(tag).exports
    assert exports.again is tag
    assert exports.own is exports["own"]
    assert isinstance(exports.own, vw.Tag)
    other = tagged(tag).exports
    assert other.own is not exports.own
    assert other.again is tag
    assert vw.Tag(store, vw.TagType(["i32"])) is not tag
    linked = vw.instantiate(
        '(module (import "a" "b" (tag (param i64 f32))) (export "c" (tag 0)))', {"a": {"b": other.own}}
    )
    assert linked.exports.c is other.own


def test_a_tag_knows_its_store_and_its_type() -> None:
    store = vw.Store()
    tag = vw.Tag(store, vw.TagType(["i32"]))
    own = tagged(tag).exports.own
    assert own.store is store
    assert tag.type == vw.TagType(["i32"])
    assert own.type == vw.TagType(["i64", "f32"])
    module = vw.Module(TAGGED)
    assert [item.type for item in module.imports] == [vw.TagType(["i32"])]
    assert {item.name: item.type for item in module.exports}["own"] == own.type


def test_the_name_of_a_tag_is_from_exports_imports_or_the_name_section() -> None:
    store = vw.Store()
    given = vw.Tag(store, vw.TagType(["i32"]))
    assert given.name is None
    assert vw.Tag(store, vw.TagType(), name="mine").name == "mine"
    assert tagged(given).exports.own.name == "own"
    assert given.name == "again"
    imported = vw.Tag(store, vw.TagType())
    vw.instantiate('(module (import "env" "__cpp_exception" (tag)))', {"env": {"__cpp_exception": imported}})
    assert imported.name == "__cpp_exception"
    assert repr(imported) == "<vibewasm.Tag __cpp_exception()>"


def test_a_tag_of_another_type_is_no_tag_for_an_import() -> None:
    store = vw.Store()
    tag = vw.Tag(store, vw.TagType(["i64"]))
    with pytest.raises(vw.LinkError, match=r"env\.given: it is a tag \(i64\), not a tag \(i32\)$"):
        tagged(tag)
    with pytest.raises(vw.LinkError, match=r"env\.given: it is a function, not a tag$"):
        vw.instantiate(TAGGED, {"env": {"given": vw.Func(store, vw.FuncType(), print)}})
    with pytest.raises(vw.LinkError, match=r"it is a Python function, not a tag \(i32\)"):
        vw.instantiate(TAGGED, {"env": {"given": print}})
    with pytest.raises(vw.LinkError, match=r"it is the number 5, not a tag \(i32\)"):
        vw.instantiate(TAGGED, {"env": {"given": 5}})
    with pytest.raises(vw.LinkError, match=r"it is a tag, not a function"):
        vw.instantiate('(module (import "a" "b" (func)))', {"a": {"b": tag}})
    with pytest.raises(vw.LinkError, match=r"unknown import: env\.given \(tag \(i32\)\)") as caught:
        vw.instantiate(TAGGED)
    assert [item.type for item in caught.value.missing] == [vw.TagType(["i32"])]
    with pytest.raises(vw.LinkError, match="belongs to another store"):
        vw.instantiate(TAGGED, {"env": {"given": vw.Tag(vw.Store(), vw.TagType(["i32"]))}}, store=store)


def test_a_linker_takes_tags() -> None:
    store = vw.Store()
    linker = vw.Linker()
    tag = vw.Tag(store, vw.TagType(["i32"]))
    linker.define("env", "given", tag)
    module = vw.Module(TAGGED)
    instance = linker.instantiate(store, module)
    assert instance.exports.again is tag
    assert linker.get(store, "env", "given") is tag
    linker.define_instance("lib", instance)
    assert linker.get(store, "lib", "own") is instance.exports.own


def test_wrong_arguments_are_named() -> None:
    store = vw.Store()
    anything: Any = vw.Tag
    with pytest.raises(TypeError, match=r"Tag: store is missing: write Tag\(store, TagType"):
        anything()
    with pytest.raises(TypeError, match=r"Tag: type has to be a TagType, not list \(TagType\(\['i32'\]\) makes one\)"):
        anything(store, ["i32"])
    with pytest.raises(TypeError, match="Tag: name has to be a str or None, not int 5"):
        anything(store, vw.TagType(), name=5)
    with pytest.raises(ValueError, match="a tag has no results"):
        vw.TagType(vw.FuncType([], ["i32"]))
    store.close()
    with pytest.raises(vw.WasmError, match="closed"):
        vw.Tag(store, vw.TagType())


def test_tags_are_not_copied() -> None:
    tag = vw.Tag(vw.Store(), vw.TagType())
    for operation in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError, match="Tag"):
            operation(tag)
    assert pickle.loads(pickle.dumps(vw.TagType(["i32"]))) == vw.TagType(["i32"])
