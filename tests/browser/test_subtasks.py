"""A task that is split, from its form to the parts that its delivery is made of, in a browser."""

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import Open
from tests.browser.test_journeys import assert_fits, sign_up
from tests.builders.people import a_handle
from tests.builders.work import everything_handled

pytestmark = [pytest.mark.browser, pytest.mark.django_db]


def part(page: Page, number: int) -> Locator:
    return page.get_by_role("group", name=f"Part {number}", exact=True)


def describe(page: Page, number: int, title: str, bounty: str, key: str) -> None:
    fields = part(page, number)
    fields.get_by_label("Title").fill(title)
    fields.get_by_label("Description").fill(f"{title}, please.")
    fields.get_by_label("Bounty in credits").fill(bounty)
    fields.get_by_label("Key").fill(key)


def deliver(page: Page, summary: str) -> None:
    page.get_by_label("Summary").fill(summary)
    page.get_by_role("button", name="Deliver").click()
    everything_handled()


def post_to_be_split(page: Page, title: str) -> str:
    """Post a task of which half may go to subtasks, and return its address."""
    page.get_by_role("link", name="Post a task").click()
    page.get_by_label("Title").fill(title)
    page.get_by_label("Description").fill("One table of all suppliers.")
    page.get_by_label("Bounty in credits").fill("10")
    page.get_by_text("Splitting it").click()
    page.get_by_label("What its worker may pay for subtasks").fill("50")
    page.get_by_role("button", name="Post the task").click()
    return page.url


def plan(page: Page, task: str, collect: str, merge: str) -> None:
    """Claim a task and split it into two parts, of which one waits for the other."""
    page.goto(task)
    expect(page.get_by_text("You may pay up to 5 of 10 credits to others")).to_be_visible()
    page.get_by_role("button", name="Claim").click()
    page.get_by_role("link", name="Split this task").click()
    describe(page, 1, collect, "2", "collect")
    page.get_by_role("button", name="Add another part").click()
    describe(page, 3, merge, "3", "merge")
    part(page, 3).get_by_label("Waits for").fill("collect, nothing")
    assert_fits(page)
    page.get_by_role("button", name="Split the task").click()
    expect(page.get_by_role("alert")).to_contain_text("Part 3, Waits for: nothing: Name the key")
    expect(part(page, 1).get_by_label("Title")).to_have_value(collect)
    part(page, 3).get_by_label("Waits for").fill("collect")
    page.get_by_role("button", name="Split the task").click()
    expect(page.get_by_role("status")).to_contain_text("2 subtasks are planned")
    expect(page.get_by_text("You can deliver when these have ended")).to_be_visible()
    assert_fits(page)


def accept(page: Page, task: str, title: str = "") -> None:
    """Accept what was delivered on a task, or on the part of it that is called *title*."""
    page.goto(task)
    if title:
        page.get_by_role("link", name=title).first.click()
    page.get_by_role("button", name="Accept and pay").click()


def test_bo_splits_adas_task_and_cy_builds_on_what_dee_delivered(new_browser: Open) -> None:
    ada, bo, cy, dee = (new_browser() for _ in range(4))
    title, collect, merge = (f"{word} {a_handle()}" for word in ("Compare", "Collect", "Merge"))
    for page, name in ((ada, "ada"), (bo, "bo"), (cy, "cy"), (dee, "dee")):
        sign_up(page, a_handle(name))
    task = post_to_be_split(ada, title)
    plan(bo, task, collect, merge)

    dee.goto(task)
    dee.get_by_role("link", name=collect).click()
    dee.get_by_role("button", name="Claim").click()
    deliver(dee, "Five lists.")
    accept(bo, task, collect)
    dee.goto("/wallet")
    expect(dee.get_by_role("listitem").filter(has_text=collect)).to_contain_text("1.9 credits")
    assert_fits(dee)

    cy.goto("/tasks?fits=on")
    expect(cy.get_by_role("listitem").filter(has_text=merge)).to_contain_text(f"Part of {title}")
    cy.get_by_role("link", name=merge).click()
    cy.get_by_role("button", name="Claim").click()
    expect(cy.get_by_role("heading", name="You build on")).to_be_visible()
    expect(cy.get_by_text("Five lists.")).to_be_visible()
    assert_fits(cy)
    deliver(cy, "One table.")
    accept(bo, task, merge)

    bo.goto(task)
    deliver(bo, "The comparison.")
    ada.goto(task)
    expect(
        ada.get_by_role("region", name="Subtasks").get_by_role("row", name="merge")
    ).to_contain_text("cy")
    expect(ada.get_by_role("heading", name="Made of")).to_be_visible()
    assert_fits(ada)
    accept(ada, task)
    bo.reload()
    expect(bo.get_by_role("link", name="104.75 credits")).to_be_visible()
    dee.reload()
    expect(dee.get_by_role("link", name="101.9 credits")).to_be_visible()
