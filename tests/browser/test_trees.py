"""A tree, as it is seen and reached with a keyboard, in a real browser."""

import pytest
from playwright.sync_api import Page, expect

from credits import amounts
from marketplace.tasks.models import Task
from tests.browser.conftest import Open
from tests.browser.test_journeys import NARROW, assert_fits
from tests.builders.trees import ALL, a_task_to_split, an_entry, held, split

MICRO = amounts.MICRO

pytestmark = [pytest.mark.browser, pytest.mark.django_db]


def a_tree() -> Task:
    task = a_task_to_split(title="Price list")
    first, *_ = split(
        task,
        an_entry("scan", title="Read the scans", bounty=3 * MICRO, delegation_bps=ALL),
        an_entry("sum", title="Check the totals", depends_on=("scan",)),
        an_entry("aside", title="Draw a chart"),
    )
    split(held(first), an_entry("half", title="The first half of the scans"))
    return task


def painted(page: Page, selector: str, name: str) -> str:
    """Return what a browser makes of a property of the first element there."""
    said: str = page.eval_on_selector(selector, "(one, name) => getComputedStyle(one)[name]", name)
    return said


def test_the_drawing_is_painted_by_the_sheet_and_scrolls_where_it_is_narrow(
    new_browser: Open,
) -> None:
    page = new_browser()

    page.goto(f"/tasks/{a_tree().public_id}/tree")

    expect(page.get_by_role("heading", name="Price list: the tree")).to_be_visible()
    assert painted(page, "figure.tree path.waits", "strokeDasharray") != "none"
    assert painted(page, "figure.tree path.part", "strokeDasharray") == "none"
    thick, thin = (
        float(painted(page, f"figure.tree {one} rect", "strokeWidth").removesuffix("px"))
        for one in ("svg.critical", "svg.task:not(.critical)")
    )
    assert thick > thin
    drawing = page.get_by_role("region", name="Drawing of the tree")
    assert_fits(page)
    page.set_viewport_size(NARROW)
    assert drawing.evaluate("one => one.scrollWidth > one.clientWidth")


def test_a_task_in_the_drawing_is_reached_with_the_keyboard(new_browser: Open) -> None:
    page = new_browser()
    page.goto(f"/tasks/{a_tree().public_id}/tree")
    part = page.get_by_role("link", name="The first half of the scans: open, 1 credit")

    before = painted(page, "figure.tree a:nth-of-type(3) rect", "strokeWidth")
    page.get_by_role("region", name="Drawing of the tree").focus()
    for _ in range(3):
        page.keyboard.press("Tab")

    expect(part).to_be_focused()
    assert painted(page, "figure.tree a:nth-of-type(3) rect", "strokeWidth") != before
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="The first half of the scans")).to_be_visible()
