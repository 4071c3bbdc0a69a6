"""The browser that the pages are opened in."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.chromium import NoBrowserError, chromium

if TYPE_CHECKING:
    from selenium.webdriver.chrome.webdriver import WebDriver


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebDriver]:
    """One browser for all tests."""
    try:
        with chromium(tmp_path_factory.mktemp("browser")) as started:
            yield started
    except NoBrowserError as missing:
        pytest.skip(str(missing))


def logged(browser: WebDriver) -> list[str]:
    """Errors that pages have reported since this was last asked."""
    entries = browser.get_log("browser")  # type: ignore[no-untyped-call]  # selenium has left it out
    return [entry["message"] for entry in entries if entry["level"] == "SEVERE"]


@pytest.fixture
def page(browser: WebDriver) -> Iterator[WebDriver]:
    """The browser, for one test, which fails if the page reports an error."""
    logged(browser)
    yield browser
    assert not logged(browser)
