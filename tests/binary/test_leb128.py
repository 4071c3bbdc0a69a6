"""LEB128 integers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.binary import encode
from vibewasm.binary.leb128 import signed, u32, u64
from vibewasm.errors import DecodeError


@given(value=st.integers(0, 2**32 - 1), length=st.integers(0, 5), before=st.binary(max_size=3))
def test_u32_reads_every_encoding_of_at_most_five_bytes(value: int, length: int, before: bytes) -> None:
    encoded = encode.unsigned(value, length)
    assert u32(before + encoded + b"\xff", len(before)) == (value, len(before) + len(encoded))


@given(value=st.integers(0, 2**64 - 1), length=st.integers(0, 10))
def test_u64_reads_every_encoding_of_at_most_ten_bytes(value: int, length: int) -> None:
    encoded = encode.unsigned(value, length)
    assert u64(encoded + b"\xff", 0) == (value, len(encoded))


@pytest.mark.parametrize("bits", [7, 32, 33, 64])
@given(data=st.data())
def test_signed_reads_what_was_written(bits: int, data: st.DataObject) -> None:
    value = data.draw(st.integers(-(1 << bits - 1), (1 << bits - 1) - 1))
    encoded = encode.signed(value)
    assert signed(encoded + b"\xff", 0, bits) == (value, len(encoded))


@pytest.mark.parametrize("bits", [7, 32, 33, 64])
@given(data=st.data())
def test_signed_agrees_with_the_definition_on_any_bytes(bits: int, data: st.DataObject) -> None:
    raw = data.draw(st.lists(st.integers(0, 255), min_size=11, max_size=11).map(bytes))
    most = (bits + 6) // 7
    length = next((i + 1 for i, byte in enumerate(raw) if byte < 0x80), 99)
    value = sum((byte & 0x7F) << 7 * i for i, byte in enumerate(raw[:length]))
    if length <= most and raw[length - 1] & 0x40:
        value -= 1 << 7 * length
    if length <= most and -(1 << bits - 1) <= value < 1 << bits - 1:
        assert signed(raw, 0, bits) == (value, length)
    else:
        with pytest.raises(DecodeError) as caught:
            signed(raw, 0, bits)
        expected = "integer too large" if length == most else "integer representation too long"
        assert caught.value.message.startswith(expected)


@pytest.mark.parametrize(
    ("encoded", "message", "offset"),
    [
        ("8080808010", "integer too large", 4),
        ("ffffffff4f", "integer too large", 4),
        ("808080808000", "integer representation too long", 4),
        ("ffffffffff7f", "integer representation too long", 4),
    ],
)
def test_u32_rejects_with_the_place_of_the_fifth_byte(encoded: str, message: str, offset: int) -> None:
    with pytest.raises(DecodeError, match=message) as caught:
        u32(bytes.fromhex(encoded), 0)
    assert caught.value.offset == offset


@pytest.mark.parametrize(
    ("encoded", "message"),
    [
        ("80808080808080808002", "integer too large"),
        ("8080808080808080808000", "integer representation too long"),
    ],
)
def test_u64_rejects_with_the_place_of_the_tenth_byte(encoded: str, message: str) -> None:
    with pytest.raises(DecodeError, match=message) as caught:
        u64(bytes.fromhex(encoded), 0)
    assert caught.value.offset == 9


@given(value=st.integers(0, 2**32 - 1), length=st.integers(0, 5), cut=st.integers(1, 5))
def test_running_off_the_end_is_an_index_error_for_the_decoder_to_turn_into_its_own(
    value: int, length: int, cut: int
) -> None:
    encoded = encode.unsigned(value, length)[:-cut]
    for read in (u32, u64, lambda data, pos: signed(data, pos, 32)):
        with pytest.raises(IndexError):
            read(encoded, 0)
