"""Talking about a task, reporting somebody, and what staff do about it, in a real browser."""

from pathlib import Path

import pytest
from playwright.sync_api import expect

from marketplace.ops.management.commands.add_staff import add_staff
from tests.browser.conftest import Open
from tests.browser.test_journeys import PASSWORD, assert_fits, sign_up
from tests.builders.people import a_handle
from tests.builders.work import a_task, everything_handled

pytestmark = [pytest.mark.browser, pytest.mark.django_db]


def test_a_question_an_answer_a_report_and_a_freeze(new_browser: Open, tmp_path: Path) -> None:
    title, keeper = f"Sort the rows {a_handle()}", a_handle("keeper")
    task = a_task(title=title)
    add_staff(keeper, PASSWORD)
    bo, eve, staff = new_browser(), new_browser(), new_browser()
    spammer = a_handle("eve")
    sign_up(bo, a_handle("bo"))
    sign_up(eve, spammer)
    (tmp_path / "offer.txt").write_text("Cheap.")

    eve.goto(f"/tasks/{task.public_id}")
    eve.get_by_text("Ask a question").click()
    eve.get_by_role("textbox", name="Message").fill("Buy **this**.")
    eve.get_by_label("Files").set_input_files(tmp_path / "offer.txt")
    assert_fits(eve)
    eve.get_by_role("button", name="Send").click()
    expect(eve.get_by_role("status")).to_have_text("Your message is sent.")
    expect(eve.get_by_text("Buy this.")).to_be_visible()

    bo.goto(f"/tasks/{task.public_id}")
    expect(bo.get_by_role("link", name="offer.txt")).to_be_visible()
    bo.get_by_role("link", name=f"Report this message of {spammer}").click()
    bo.get_by_label("What kind of wrong").select_option("spam")
    bo.get_by_label("What is wrong with it").fill("An advertisement.")
    assert_fits(bo)
    bo.get_by_role("button", name="Report to staff").click()
    expect(bo.get_by_text("waits for staff")).to_be_visible()

    staff.goto("/admin/")
    staff.get_by_label("Handle").fill(keeper)
    staff.get_by_label("Password").fill(PASSWORD)
    staff.get_by_role("button", name="Sign in").click()
    staff.goto(f"/admin/moderation/case/?q={spammer}")
    staff.get_by_role("row", name=spammer).get_by_role("checkbox").check()
    staff.get_by_label("Action:").select_option("Hide it, and freeze whoever did it")
    staff.get_by_label("Why").fill("Advertising.")
    staff.get_by_label("Freeze for days").fill("2")
    staff.get_by_role("button", name="Run").or_(
        staff.get_by_role("button", name="Go")
    ).first.click()
    expect(staff.get_by_text("upheld.")).to_be_visible()

    bo.goto(f"/tasks/{task.public_id}")
    expect(bo.get_by_text("Staff took this message away: Advertising.")).to_be_visible()
    expect(bo.get_by_role("link", name="offer.txt")).to_have_count(0)

    everything_handled()
    eve.get_by_role("link", name="Notifications").click()
    eve.get_by_role("link", name="why, and how to appeal").click()
    eve.get_by_text("Appeal", exact=True).first.click()
    eve.get_by_label("Why it should not be").fill("I did not know.")
    assert_fits(eve)
    eve.get_by_role("button", name="Appeal").click()
    expect(eve.get_by_text("Staff have not answered yet.")).to_be_visible()
