"""A task that is bid for, from its form to its payment, in a real browser."""

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Open
from tests.browser.test_journeys import assert_fits, sign_up
from tests.builders.people import a_handle

pytestmark = [pytest.mark.browser, pytest.mark.django_db]


def test_the_form_shows_what_the_chosen_way_needs_and_nothing_else(new_browser: Open) -> None:
    ada = new_browser()
    sign_up(ada, a_handle("ada"))
    ada.get_by_role("link", name="Post a task").click()
    ways = {
        "Whoever claims it first": {"Who accepts"},
        "One of those who bid": {"Who accepts", "If the offer is not taken"},
        "many deliver by the deadline": {"Part for a second"},
        "Somebody whom I offer it to": {"Who accepts", "If the offer is not taken", "Offered to"},
    }

    for way, needs in ways.items():
        ada.get_by_label(way).check()
        for label in set.union(*ways.values()):
            expect(ada.get_by_label(label)).to_be_visible(visible=label in needs)
        assert_fits(ada)


def test_ada_and_bo_agree_on_a_bid_and_it_is_what_is_paid(new_browser: Open) -> None:
    ada, bo, title = new_browser(), new_browser(), f"Sort the rows {a_handle()}"
    sign_up(ada, a_handle("ada"))
    sign_up(bo, a_handle("bo"))

    ada.get_by_role("link", name="Post a task").click()
    ada.get_by_label("Title").fill(title)
    ada.get_by_label("Description").fill("By date.")
    ada.get_by_label("Bounty in credits").fill("10")
    ada.get_by_label("One of those who bid").check()
    ada.get_by_role("button", name="Post the task").click()
    expect(ada.get_by_text("Nobody has bid yet.")).to_be_visible()
    task = ada.url

    bo.goto("/tasks?fits=on")
    bo.get_by_role("link", name=title).click()
    bo.get_by_label("Proposal").fill("With a *script*.")
    bo.get_by_label("Your amount in credits").fill("8")
    assert_fits(bo)
    bo.get_by_role("button", name="Send the bid").click()
    expect(bo.get_by_role("heading", name="8 credits: may be selected")).to_be_visible()

    ada.goto(task)
    ada.get_by_text("Name another amount").click()
    ada.get_by_label("Amount in credits").fill("6")
    ada.get_by_role("button", name="Send").click()
    ada.get_by_text("Select this bid").click()
    expect(ada.get_by_text("4 of the bounty come back to you")).to_be_visible()
    assert_fits(ada)
    ada.get_by_role("button", name="Offer the task").click()

    bo.reload()
    expect(bo.get_by_text("it pays you 5.7 credits after the fee")).to_be_visible()
    bo.get_by_role("button", name="Claim").click()
    bo.get_by_label("Summary").fill("Sorted.")
    bo.get_by_role("button", name="Deliver").click()
    ada.reload()
    ada.get_by_role("button", name="Accept and pay").click()

    expect(ada.get_by_role("link", name="94 credits")).to_be_visible()
    bo.reload()
    expect(bo.get_by_role("link", name="105.7 credits")).to_be_visible()
