"""What people come for, in a real browser."""

import json
import shutil
from pathlib import Path

import pytest
from playwright.sync_api import Page, ViewportSize, expect

from marketplace.ops.management.commands.add_staff import add_staff
from tests.browser.conftest import Open
from tests.builders.assets import an_asset_name, skill_md
from tests.builders.people import a_handle, a_person
from tests.builders.work import an_accepted_delivery, everything_handled

pytestmark = [pytest.mark.browser, pytest.mark.django_db]

PASSWORD = "correct horse battery"
NARROW: ViewportSize = {"width": 375, "height": 700}
CHECK = {
    "name": "shape",
    "type": "json_schema",
    "config": {
        "schema": {
            "type": "object",
            "required": ["rows"],
            "properties": {"rows": {"type": "integer"}},
        }
    },
}


def sign_up(page: Page, handle: str) -> None:
    page.goto("/")
    page.get_by_role("link", name="Sign up").first.click()
    page.get_by_label("Handle").fill(handle)
    page.get_by_label("Password", exact=False).first.fill(PASSWORD)
    page.get_by_label("Password (again)").fill(PASSWORD)
    page.get_by_role("button", name="Sign up").click()
    expect(page.get_by_role("link", name=handle)).to_be_visible()


def assert_fits(page: Page) -> None:
    """Say that nothing runs out of a narrow window sideways."""
    page.set_viewport_size(NARROW)
    assert page.evaluate("document.documentElement.scrollWidth") <= NARROW["width"]
    page.set_viewport_size({"width": 1200, "height": 800})


def test_ada_posts_bo_delivers_and_both_wallets_show_it(new_browser: Open, tmp_path: Path) -> None:
    ada, bo, title = new_browser(), new_browser(), f"Count the rows {a_handle()}"
    sign_up(ada, a_handle("ada"))
    sign_up(bo, a_handle("bo"))
    (tmp_path / "rows.csv").write_text("a;b\n1;2\n")

    ada.get_by_role("link", name="Post a task").click()
    ada.get_by_label("Title").fill(title)
    ada.get_by_label("Description").fill("Count the **rows** of the file.")
    ada.get_by_label("Bounty in credits").fill("5")
    ada.get_by_label("Requirements").fill("Every row counts")
    ada.get_by_label("Checks (JSON)").fill(json.dumps([CHECK]))
    ada.get_by_label("Attachments").set_input_files(tmp_path / "rows.csv")
    assert_fits(ada)
    ada.get_by_role("button", name="Post the task").click()
    expect(ada.get_by_role("status")).to_have_text("Your task is posted; its bounty is in escrow.")
    expect(ada.get_by_role("link", name="95 credits")).to_be_visible()

    bo.goto("/tasks")
    bo.get_by_label("Words").fill(title)
    bo.get_by_role("button", name="Search").click()
    bo.get_by_role("link", name=title).click()
    with bo.expect_download() as download:
        bo.get_by_role("link", name="rows.csv").click()
    assert Path(download.value.path()).read_text() == "a;b\n1;2\n"
    bo.get_by_role("button", name="Claim").click()
    bo.get_by_label("Summary").fill("There is *one* row.")
    bo.get_by_label("Result (JSON)").fill('{"rows": 1}')
    deliver = bo.get_by_role("form", name="Deliver")
    deliver.get_by_label("Files").set_input_files(tmp_path / "rows.csv")
    assert_fits(bo)
    bo.get_by_role("button", name="Deliver").click()
    expect(bo.get_by_role("cell", name="pending")).to_be_visible()
    everything_handled()
    bo.reload()
    expect(bo.get_by_role("cell", name="passed", exact=True)).to_be_visible()

    ada.get_by_role("link", name="Notifications").click()
    ada.get_by_role("link", name=title).first.click()
    ada.get_by_label("Rating").select_option("5 of 5")
    ada.get_by_label("Comment").fill("Thank you.")
    assert_fits(ada)
    ada.get_by_role("button", name="Accept and pay").click()
    expect(ada.get_by_role("status")).to_have_text("Accepted. The escrow is settled.")
    expect(ada.get_by_role("row", name="Fee of the market")).to_contain_text("0.25")

    ada.get_by_role("link", name="95 credits").click()
    expect(ada.get_by_role("row", name=f"Bounty: {title}")).to_contain_text("-5")
    assert_fits(ada)
    bo.goto("/wallet")
    expect(bo.get_by_role("row", name=f"Accepted: {title}")).to_contain_text("4.75")
    expect(bo.get_by_role("link", name="104.75 credits")).to_be_visible()


def test_cy_publishes_a_skill_that_dee_buys_and_reads(new_browser: Open, tmp_path: Path) -> None:
    cy, dee, name = new_browser(), new_browser(), an_asset_name()
    author = a_handle("cy")
    sign_up(cy, author)
    sign_up(dee, a_handle("dee"))
    folder = tmp_path / "skill"
    folder.mkdir()
    (folder / "SKILL.md").write_text(skill_md(name) + "\nRead the *header* first.\n")
    bundle = _zip(folder)

    cy.goto("/assets/new")
    cy.get_by_label("Bundle").set_input_files(bundle)
    cy.get_by_label("Price in credits").fill("free")
    cy.get_by_role("button", name="Publish").click()
    expect(cy.get_by_role("alert")).to_contain_text("Write an amount")
    cy.get_by_label("Bundle").set_input_files(bundle)
    cy.get_by_label("Price in credits").fill("0.5")
    assert_fits(cy)
    cy.get_by_role("button", name="Publish").click()
    expect(cy.get_by_role("heading", name=f"{author}/{name}")).to_be_visible()

    dee.goto(f"/assets?q={author}/{name}")
    dee.get_by_role("link", name=f"{author}/{name}").click()
    expect(dee.get_by_text("The files are for those who use this version.")).to_be_visible()
    dee.get_by_role("button", name="Use it for 0.5 credits").click()
    expect(dee.get_by_role("status")).to_have_text("Yours to use; 0.5 credits were charged.")
    expect(dee.get_by_text("Read the header first.")).to_be_visible()
    expect(dee.get_by_role("link", name="99.5 credits")).to_be_visible()
    with dee.expect_download() as download:
        dee.get_by_role("link", name="Download as zip").click()
    assert download.value.suggested_filename.endswith(".zip")
    assert_fits(dee)


def test_the_documentation_and_the_admin_work_under_the_same_policy(new_browser: Open) -> None:
    page, handle = new_browser(), a_handle("keeper")
    add_staff(handle, PASSWORD)
    delivery = an_accepted_delivery(a_person())

    page.goto("/api/docs")
    page.locator("#operations-tasks-get_Tasks .opblock-summary-control").click()
    page.get_by_role("button", name="Try it out").click()
    page.get_by_role("button", name="Execute").click()
    expect(page.locator(".live-responses-table .response-col_status").last).to_contain_text("200")

    page.goto("/admin/")
    page.get_by_label("Handle").fill(handle)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("link", name="Postings").click()
    page.get_by_role("textbox").first.fill(f"end:{delivery.task.public_id}")
    page.keyboard.press("Enter")
    page.locator("#result_list tbody a").first.click()
    expect(page.get_by_role("cell", name="-10", exact=True)).to_be_visible()
    expect(page.get_by_role("button", name="Save")).to_have_count(0)


def _zip(folder: Path) -> Path:
    return Path(shutil.make_archive(str(folder), "zip", folder))
