"""The pages in a real browser: the HTML listing, and the explorer."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest

from benchmarks.explore import MODULE
from tests.disasm import golden
from tests.disasm.conftest import logged
from vibewasm.backends import TARGETS
from vibewasm.cli import main
from vibewasm.disasm.server import ExploreServer

if TYPE_CHECKING:
    from selenium.webdriver.chrome.webdriver import WebDriver
    from selenium.webdriver.remote.webelement import WebElement

# A browser that starts once is most of the time.
pytestmark = pytest.mark.ci

CSS = "css selector"


def until(condition: Callable[[], object]) -> None:
    """Wait for something that a page does."""
    from selenium.common.exceptions import StaleElementReferenceException

    end = time.monotonic() + 20
    while True:
        try:
            if condition():
                return
        except StaleElementReferenceException:
            # The page has replaced what was looked at; the next look finds the new one.
            pass
        assert time.monotonic() < end, "the page did not get there within 20 seconds"
        time.sleep(0.02)


def find(page: WebDriver, selector: str) -> WebElement:
    return page.find_element(CSS, selector)


def all_of(page: WebDriver, selector: str) -> list[WebElement]:
    return page.find_elements(CSS, selector)


def hover(page: WebDriver, element: WebElement) -> None:
    from selenium.webdriver.common.action_chains import ActionChains

    ActionChains(page).move_to_element_with_offset(element, 0, 0).perform()


# -- the HTML listing


@pytest.fixture(scope="module")
def listing(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("html") / "listing.html"
    words = ["--target", "x86_64", "--format", "html", "--output", str(path)]
    assert main(["disasm", str(golden.SOURCE), *words]) == 0
    return path.as_uri()


def test_the_listing_shows_functions_and_their_sizes(page: WebDriver, listing: str) -> None:
    page.get(listing)
    names = [element.text for element in all_of(page, ".list .name")]
    assert names == ["$twice", "$sum", "$dispatch", "$switch", "$mean", "$factorial", "$divide"]
    assert all(element.text.isdigit() for element in all_of(page, ".list .size"))
    assert find(page, ".facts h2").text.startswith("func $twice")
    all_of(page, ".list button")[1].click()
    assert find(page, ".facts h2").text.startswith("func $sum")
    assert "$total r12d" in find(page, ".facts .locals").text


def test_hovering_lights_the_counterpart(page: WebDriver, listing: str) -> None:
    page.get(listing + "#2")
    page.refresh()
    loop = next(cell for cell in all_of(page, ".cell.wasm") if "loop" in cell.text)
    hover(page, loop)
    lit = all_of(page, ".cell.machine.hot")
    # The header of the loop, and its poll out of line.
    assert len(lit) == 2
    assert "interrupt word" in lit[0].text
    assert "poll" in lit[1].text
    load = next(cell for cell in all_of(page, ".cell.machine") if "out of bounds" in cell.text)
    hover(page, load)
    assert [cell.text.split()[-1] for cell in all_of(page, ".cell.wasm.hot")] == ["i32.load"]


def test_the_keyboard_does_what_the_mouse_does(page: WebDriver, listing: str) -> None:
    from selenium.webdriver.common.keys import Keys

    page.get(listing + "#2")
    page.refresh()
    page.execute_script("document.querySelector('.cell[tabindex=\"0\"]').focus()")
    focused = page.switch_to.active_element
    assert focused.text == "prologue"
    focused.send_keys(Keys.ARROW_DOWN)
    assert "loop" in page.switch_to.active_element.text
    assert len(all_of(page, ".cell.machine.hot")) == 2
    page.switch_to.active_element.send_keys(Keys.ARROW_RIGHT)
    assert "interrupt word" in page.switch_to.active_element.text


def test_functions_are_filtered_and_sorted(page: WebDriver, listing: str) -> None:
    page.get(listing)
    find(page, "#filter").send_keys("di")
    assert [element.text for element in all_of(page, ".list .name")] == ["$dispatch", "$divide"]
    find(page, "#filter").clear()
    find(page, "#filter").send_keys(" \b")
    page.execute_script("sort.value = 'size'; sort.dispatchEvent(new Event('change'))")
    sizes = [int(element.text) for element in all_of(page, ".list .size")]
    assert len(sizes) == 7
    assert sizes == sorted(sizes, reverse=True)


def test_text_is_found_in_a_listing(page: WebDriver, listing: str) -> None:
    from selenium.webdriver.common.keys import Keys

    page.get(listing + "#3")
    page.refresh()
    find(page, "#find").send_keys("$handlers")
    assert len(all_of(page, ".cell.found")) >= 1
    find(page, "#find").send_keys(Keys.ENTER)
    assert find(page, "#found").text.startswith("1 of ")


def test_labels_lead_to_their_places(page: WebDriver, listing: str) -> None:
    page.get(listing + "#4")
    page.refresh()
    find(page, 'a[data-to="L4"]').click()
    assert find(page, ".line.flashed").get_attribute("data-label") == "L4"


def test_the_graph_has_a_node_for_every_block(page: WebDriver, listing: str) -> None:
    page.get(listing + "#4")
    page.refresh()
    find(page, "#graph").click()
    blocks = all_of(page, ".graph .block")
    count = page.execute_script(
        "return JSON.parse(document.querySelector('[data-index=\"4\"]').textContent).blocks.length"
    )
    assert len(blocks) == count
    # Ends of edges: two ways of the table, two jumps to the end, a taken branch, a fall-through.
    assert len(all_of(page, ".graph path.head")) == 6
    # No block overlaps another.
    boxes = [block.find_element(CSS, "rect").rect for block in blocks]
    for place, one in enumerate(boxes):
        for other in boxes[:place]:
            apart = one["x"] >= other["x"] + other["width"] or other["x"] >= one["x"] + one["width"]
            assert apart or one["y"] >= other["y"] + other["height"] or other["y"] >= one["y"] + one["height"]
    blocks[-1].find_element(CSS, "text").click()
    assert len(all_of(page, ".line.flashed")) == 1


def test_bytes_and_the_theme_can_be_changed(page: WebDriver, listing: str) -> None:
    page.get(listing)
    assert not find(page, ".line .bytes").is_displayed()
    find(page, "#bytes").click()
    assert find(page, ".line .bytes").is_displayed()
    before = page.execute_script("return getComputedStyle(document.body).backgroundColor")
    find(page, "#theme").click()
    assert page.execute_script("return getComputedStyle(document.body).backgroundColor") != before


# -- the explorer


@pytest.fixture(scope="module")
def server() -> Iterator[ExploreServer]:
    with ExploreServer() as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield running
        running.shutdown()


@pytest.fixture
def explorer(page: WebDriver, server: ExploreServer) -> WebDriver:
    page.get("about:blank")
    page.get(server.url)
    until(lambda: all_of(page, ".target .facts"))
    return page


def put(page: WebDriver, text: str) -> None:
    """Replace what is in the editor, as typing does, and wait for what is shown of it."""
    before = int(page.execute_script("return document.body.dataset.shown"))
    page.execute_script("editor.value = arguments[0]; editor.dispatchEvent(new Event('input', {bubbles: true}))", text)
    until(lambda: int(page.execute_script("return document.body.dataset.shown")) > before)


def test_typing_updates_the_machine_code(explorer: WebDriver) -> None:
    page = explorer
    assert [element.get_attribute("id") for element in all_of(page, ".target")] == list(TARGETS)
    put(page, '(module (func (export "f") (param i32) (result i32) (i32.add (local.get 0) (i32.const 41))))')
    assert "0x29" in find(page, "#x86_64").text
    page.execute_script("const at = editor.value.indexOf('41') + 2; editor.focus(); editor.setSelectionRange(at, at)")
    find(page, "#editor").send_keys("7")
    until(lambda: "0x1a1" in find(page, "#x86_64").text)
    # The text is coloured as it stands.
    assert find(page, ".colours").get_attribute("textContent") == page.execute_script("return editor.value + '\\n'")


def test_typing_leaves_the_view_where_it_is(explorer: WebDriver) -> None:
    page = explorer
    put(page, MODULE)
    titles = "return [...document.querySelectorAll('#x86_64 .function h2')]"
    place = f"{titles}.find((title) => title.textContent.includes('sum6')).getBoundingClientRect().top"
    # Down to a function in passing all others, as with a wheel.
    for _ in range(150):
        if page.execute_script(place) < 300:
            break
        page.execute_script("x86_64.scrollTop += 90")
        page.execute_async_script("requestAnimationFrame(() => setTimeout(arguments[0], 0))")
    before = page.execute_script(place)
    assert 200 < before < 300
    for constant in ("(i32.const 147)", "(i32.const 14)"):
        put(page, MODULE.replace("(i32.const 14)", constant))
        assert abs(page.execute_script(place) - before) < 3
    # What is wider than its column can be scrolled to.
    put(page, f'(module (func $f (export "{"wide" * 40}") (call $f)))')
    assert page.execute_script("return x86_64.scrollWidth > x86_64.clientWidth")


def test_an_error_shows_under_its_line_and_goes(explorer: WebDriver) -> None:
    page = explorer
    put(page, "(module\n  (func (result i32)\n    (i32.cnst 1)))")
    error = find(page, "#error")
    assert error.is_displayed()
    assert "unknown operator i32.cnst" in error.text
    line = find(page, ".mark.bad")
    assert line.get_attribute("data-line") == "3"
    assert line.rect["y"] < error.rect["y"] < line.rect["y"] + 40
    assert find(page, "#status").text == "error in line 3"
    put(page, "(module\n  (func (result i32)\n    (i32.const 1)))")
    assert not find(page, "#error").is_displayed()
    assert not all_of(page, ".mark.bad")
    put(page, "(module\n  (func (result i32)\n    (i64.const 1)))")
    assert "type mismatch" in find(page, "#error").text
    assert find(page, ".mark.bad").get_attribute("data-line") == "3"


def test_hovering_lights_the_line_and_the_line_lights_the_code(explorer: WebDriver) -> None:
    page = explorer
    put(page, "(module\n  (func (param i32) (result i32)\n    (i32.mul\n      (local.get 0)\n      (local.get 0))))")
    multiply = next(cell for cell in all_of(page, "#x86_64 .cell.machine") if "imul" in cell.text)
    hover(page, multiply)
    assert [mark.get_attribute("data-line") for mark in all_of(page, ".mark")] == ["3"]
    # Every target's code for it is lit, too.
    assert len(all_of(page, ".cell.machine.hot")) == len(TARGETS)
    page.execute_script("const at = editor.value.indexOf('i32.mul'); editor.focus(); editor.setSelectionRange(at, at)")
    hover(page, find(page, "#status"))
    page.execute_script("editor.dispatchEvent(new Event('keyup'))")
    assert any("imul" in cell.text for cell in all_of(page, "#x86_64 .cell.machine.hot"))


def test_examples_can_be_chosen_and_settings_changed(explorer: WebDriver) -> None:
    page = explorer
    page.execute_script("examples.value = 'A switch'; examples.dispatchEvent(new Event('change'))")
    until(lambda: "$days" in find(page, "#x86_64").text)
    assert "jump table" in find(page, "#x86_64").text
    page.execute_script("syntax.value = 'att'; syntax.dispatchEvent(new Event('change'))")
    until(lambda: "%rbp" in find(page, "#x86_64").text)
    find(page, "#fuel").click()
    until(lambda: "fuel" in find(page, "#x86_64").text)


def test_the_address_holds_the_text(explorer: WebDriver, server: ExploreServer) -> None:
    page = explorer
    text = '(module (func $"häßlich" (export "🦀") (result i32) (i32.const 7)))'
    put(page, text)
    until(lambda: "#" in page.current_url)
    address = page.current_url
    page.get("about:blank")
    page.get(address)
    until(lambda: all_of(page, ".target .facts"))
    assert page.execute_script("return editor.value") == text
    assert "häßlich" in find(page, "#x86_64").text


def test_what_the_page_shows_is_text(explorer: WebDriver) -> None:
    page = explorer
    name = "<img src=x onerror=alert(1)>"
    put(page, f'(module (func (export "{name}")))')
    assert name in find(page, "#x86_64").text
    assert not all_of(page, "#x86_64 img")


def test_a_request_that_another_site_could_make_is_refused(explorer: WebDriver, server: ExploreServer) -> None:
    page = explorer
    # The page itself may ask this server only.
    blocked = page.execute_async_script(
        "const done = arguments[0]; fetch('http://example.invalid/').then(() => done('asked'), (e) => done(e.name))"
    )
    assert blocked == "TypeError"
    logged(page)
    # Another name that leads here, as with DNS rebinding.
    page.get(f"http://foo.localhost:{server.server_port}/")
    assert "own name" in page.page_source
    status = page.execute_async_script(
        "const done = arguments[0];"
        "fetch('/compile', {method: 'POST', headers: {'Content-Type': 'application/json'}, body: '{\"source\": \"\"}'})"
        ".then((answer) => done(answer.status), (error) => done(error.name))"
    )
    # The refusal has a policy, too, which lets it ask itself only.
    assert status == 403
    logged(page)
