"""A real browser without a window: Debian's chromium and chromium-driver, driven by selenium."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

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


class NoBrowserError(Exception):
    """What there is no browser for want of, and what to do."""


@contextmanager
def chromium(folder: Path) -> Iterator[WebDriver]:
    """A running browser that keeps its data in the empty ``folder``.

    Raises:
        NoBrowserError: Chromium, its driver or selenium is not installed.
    """
    binary = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    driver = shutil.which("chromedriver")
    if binary is None or driver is None:
        raise NoBrowserError("no chromium and chromedriver: install chromium and chromium-driver")
    try:
        from selenium import webdriver
    except ImportError:
        raise NoBrowserError("selenium is not installed: pip install 'vibewasm[test]'") from None
    options = webdriver.ChromeOptions()
    options.binary_location = binary
    for option in (*_OPTIONS, f"--user-data-dir={folder}"):
        options.add_argument(option)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    started = webdriver.Chrome(options=options, service=webdriver.ChromeService(executable_path=driver))
    started.set_script_timeout(30)
    try:
        yield started
    finally:
        started.quit()
