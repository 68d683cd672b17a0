"""A browser that hears what a person would never see: policy violations and script errors."""

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page

Open = Callable[[], Page]


@pytest.fixture
def new_browser(browser: Browser, base_url: str) -> Iterator[Open]:
    """Give somebody a browser of their own; at the end no page may have complained.

    Where a page breaks the Content-Security-Policy, Chromium says so on the console.
    """
    complaints: list[str] = []
    contexts = []

    def hear(message: ConsoleMessage) -> None:
        # A page that refuses a form is a 400, of which Chromium tells as well.
        is_refusal = message.text.endswith("status of 400 (Bad Request)")
        if message.type in ("error", "warning") and not is_refusal:
            complaints.append(f"{message.location.get('url')}: {message.text}")

    def open_one() -> Page:
        context = browser.new_context(base_url=base_url)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(10_000)
        page.on("console", hear)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        return page

    yield open_one
    for context in contexts:
        context.close()
    assert complaints == []
