"""Arrows in the margin."""

from __future__ import annotations

from vibewasm.disasm.arrows import MOST_LANES, margins


def test_without_jumps_there_is_no_margin() -> None:
    assert margins(3, {}) == ["", "", ""]


def test_a_jump_forwards_and_one_backwards() -> None:
    assert margins(3, {2: [0]}) == ["┌──", "│  ", "└─►"]
    assert margins(3, {0: [2]}) == ["┌─►", "│  ", "└──"]


def test_jumps_to_one_target_share_a_line() -> None:
    assert margins(4, {1: [0, 3]}, ascii_only=True) == [",--", "+->", "|  ", "'--"]


def test_lines_that_cross_are_drawn_so() -> None:
    assert margins(4, {0: [2], 3: [1]}) == ["  ┌─►", "┌─┼──", "│ └──", "└───►"]


def test_jumps_that_find_no_lane_are_not_drawn() -> None:
    count = 40
    drawn = margins(count, {count - 1 - row: [row] for row in range(MOST_LANES + 5)})
    assert {len(margin) for margin in drawn} == {2 * MOST_LANES + 1}
    assert drawn[0].strip() == ""
    assert drawn[MOST_LANES + 4].strip() != ""
