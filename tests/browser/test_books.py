"""From a line of a statement to its proof, and the books that everybody sees, in a real browser."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from playwright.sync_api import Download, Page, expect

from marketplace.participants.usecases.transfer_credits import transfer_credits
from tests.browser.conftest import Open
from tests.browser.test_journeys import PASSWORD, assert_fits
from tests.builders.people import a_handle, a_person
from tests.credits.books import seal_everything

pytestmark = [pytest.mark.browser, pytest.mark.django_db]


def saved(download: Download, folder: Path) -> Path:
    """Keep a download under the name that a browser would give it."""
    path = folder / download.suggested_filename
    download.save_as(path)
    return path


def downloaded(page: Page, link: str, folder: Path) -> Path:
    with page.expect_download() as download:
        page.get_by_role("link", name=link).click()
    return saved(download.value, folder)


def verified(folder: Path, *arguments: str) -> str:
    """Run the verifier that was downloaded, with files that were downloaded."""
    ran = subprocess.run(
        [sys.executable, "-I", "verifier.py", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def test_ada_proves_a_line_with_a_hash_that_a_visitor_noted(
    new_browser: Open, tmp_path: Path
) -> None:
    ada = a_person(a_handle("ada"), password=PASSWORD)
    transfer_credits(actor=ada, to=a_person().handle, amount=1_500_000, memo="Lunch")
    seal_everything()
    a_person()
    seal_everything()

    # A visitor without an account notes the newest hash.
    visitor = new_browser()
    visitor.goto("/")
    visitor.get_by_role("link", name="Sealed books").click()
    noted = visitor.locator("#main li code.digest").first.inner_text()
    newest = noted.partition(":")[0]
    expect(visitor.get_by_role("heading", name=f"Block {newest}", exact=True)).to_be_visible()
    assert_fits(visitor)

    # Ada opens the proof of her line.
    page = new_browser()
    page.goto("/wallet")
    page.get_by_label("Handle").fill(ada.handle)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_label("Kind").select_option("transfer")
    page.get_by_role("button", name="Show").click()
    expect(page.get_by_role("row")).to_have_count(2)
    assert_fits(page)
    page.get_by_role("row", name="Lunch").get_by_role("link", name="block").click()
    expect(page.get_by_role("heading", name="Proof of a line")).to_be_visible()
    expect(page.get_by_text("-1.5 credits")).to_be_visible()
    assert_fits(page)
    proof = downloaded(page, "Download the proof", tmp_path)
    downloaded(page, "Download the verifier", tmp_path)
    seal = json.loads(proof.read_text())["seal"]
    said = verified(tmp_path, proof.name, "--seal", f"{seal['number']}:{seal['hash']}")
    assert "'-1500000'" in said

    # The hash that was noted is of a later block: the blocks between lead to it.
    page.get_by_role("main").get_by_role("link", name="sealed books").click()
    page.get_by_label("From block").fill(str(seal["number"]))
    page.get_by_label("To block").fill(newest)
    page.get_by_role("button", name="Show").click()
    blocks = downloaded(page, "These blocks as lines of JSON", tmp_path)
    said = verified(tmp_path, proof.name, "--blocks", blocks.name, "--seal", noted)
    assert f"The hash of block {newest}, which you trust, vouches for it." in said


def test_the_statement_is_usable_by_keyboard_alone(new_browser: Open) -> None:
    ada = a_person(a_handle("ada"), password=PASSWORD)
    transfer_credits(actor=ada, to=a_person().handle, amount=10_000, memo="Lunch")
    seal_everything()
    page = new_browser()
    page.goto("/wallet")
    page.get_by_label("Handle").fill(ada.handle)
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")

    page.get_by_label("Kind").focus()
    page.keyboard.type("transfer")
    page.get_by_label("From").press("Enter")
    expect(page.get_by_role("row")).to_have_count(2)
    # The region that scrolls sideways in a narrow window can be reached, and so what is in it.
    page.get_by_role("region", name="Statement").focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="the proof of the line")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Proof of a line")).to_be_visible()
