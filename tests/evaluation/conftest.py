"""The browser that all tests of pages share."""

import os
import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, sync_playwright

SLOWLY = """{
    const begin = HTMLMediaElement.prototype.play;
    HTMLMediaElement.prototype.play = function () { this.playbackRate = 0.1; return begin.call(this); };
}"""
"""JavaScript that plays every sound ten times as slowly, so that a sound of two seconds has not ended before a busy
machine looks at its position.
"""


@pytest.fixture(scope="session")
def browser() -> Iterator[Page]:
    """Yield a page of the installed Chromium. Without Chromium the tests are skipped; in CI that is an error.

    All tests share this page, because opening a new one takes longer than most tests. It plays sounds ten times as
    slowly, see `SLOWLY`.
    """
    path = shutil.which("chromium")
    if path is None:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(
            "there is no chromium here: apt install chromium"
        )
    flags = [
        "--no-sandbox",
        "--disable-gpu",
        "--disable-background-networking",
        "--autoplay-policy=no-user-gesture-required",
    ]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=flags)
        page = browser.new_page()
        page.add_init_script(SLOWLY)
        yield page
        browser.close()
