"""Staff stop money and let it move again, and everybody is told calmly, in a real browser."""

from collections.abc import Iterator

import pytest
from django.db import transaction
from playwright.sync_api import Page, expect

from credits import audit, switch
from marketplace.foundation import clock
from marketplace.ops import books
from marketplace.ops.management.commands.add_staff import add_staff
from tests.browser.conftest import Open
from tests.browser.test_journeys import PASSWORD, assert_fits
from tests.builders.people import a_handle
from tests.builders.work import a_task

pytestmark = [pytest.mark.browser, pytest.mark.django_db]
NOTICE = "Credits do not move just now"


@pytest.fixture(autouse=True)
def _ledger_only(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Leave the market's invariants out, as tests of the ledger leave escrows without tasks."""
    monkeypatch.setattr(books, "INVARIANTS", (audit.INVARIANTS,))
    yield
    with transaction.atomic():
        if switch.resume_writing(reason="The test has ended.", actor="test"):
            clock.go_on()


def signed_in(page: Page, handle: str) -> Page:
    page.goto("/accounts/login/")
    page.get_by_label("Handle").fill(handle)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    return page


def test_staff_stop_money_everybody_is_told_and_staff_let_it_move_again(new_browser: Open) -> None:
    staff, visitor = add_staff(a_handle("staff"), PASSWORD), new_browser()
    task = a_task(title=a_handle("Sort these"))
    page = signed_in(new_browser(), staff.handle)

    page.get_by_role("link", name="Books", exact=True).click()
    page.get_by_text("Stop money").click()
    page.get_by_role("button", name="Make money read-only").click()
    expect(page.get_by_text("This field is required.").first).to_be_visible()
    page.get_by_label("Reason").fill("Somebody changed a balance by hand.")
    page.get_by_role("button", name="Make money read-only").click()
    expect(page.get_by_text("Somebody changed a balance by hand.").first).to_be_visible()
    assert_fits(page)

    visitor.goto(f"/tasks/{task.public_id}")
    expect(visitor.get_by_text(NOTICE)).to_be_visible()
    assert_fits(visitor)
    visitor.get_by_role("link", name="What this means").click()
    expect(visitor.get_by_role("heading", level=1)).to_contain_text("Credits do not move")

    page.get_by_role("button", name="Audit everything now").click()
    expect(page.get_by_text("A full audit was asked for.")).to_be_visible()
    page.get_by_label("Reason").fill("It was a drill.")
    page.get_by_role("button", name="Let credits move again").click()
    expect(page.get_by_text("Credits move.").first).to_be_visible()
    visitor.goto("/")
    expect(visitor.get_by_text(NOTICE)).not_to_be_visible()
