"""A real browser without a window: Debian's chromium and chromium-driver, driven by selenium."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from selenium.webdriver.chrome.webdriver import WebDriver

_OPTIONS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1500,900",
)


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebDriver]:
    """One browser for all tests."""
    binary = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    driver = shutil.which("chromedriver")
    if binary is None or driver is None:
        pytest.skip("no chromium and chromedriver: install chromium and chromium-driver")
    selenium = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    options = selenium.ChromeOptions()
    options.binary_location = binary
    folder: Path = tmp_path_factory.mktemp("browser")
    for option in (*_OPTIONS, f"--user-data-dir={folder}"):
        options.add_argument(option)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    started = selenium.Chrome(options=options, service=selenium.ChromeService(executable_path=driver))
    started.set_script_timeout(30)
    try:
        yield started
    finally:
        started.quit()


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
