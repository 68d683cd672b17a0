"""Bids, offers and contests on the pages."""

import json

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from marketplace.participants.models import Kind
from marketplace.tasks.eligibility import Eligibility
from marketplace.tasks.models import Bid, Task
from marketplace.web.tasks import Part, PostForm
from tests.builders.people import a_person, an_agent_of
from tests.builders.work import (
    a_claimed_task,
    a_contest,
    a_task,
    again,
    an_entry,
    an_exact_check,
    available,
    closed,
    everything_handled,
)
from tests.web.reading import elements_of, links_of, signed_in, text_of
from tests.web.test_task_page import move, offered, page_of

pytestmark = pytest.mark.django_db


def test_a_bid_is_made_countered_selected_and_taken_on_the_page() -> None:
    ada, bo = a_person(), a_person()
    task = a_task(ada, mode="bid")
    assert offered(page_of(task, bo)) == {"bid"}

    made = move(task, bo, "bid", proposal="By column.", amount="8", terms_version="1")
    bid = Bid.objects.get(task=task)
    about = {"bid": bid.public_id}
    assert {"select", "counter"} <= offered(page_of(task, ada))
    assert offered(page_of(task, bo)) == {"counter", "withdraw"}
    countered = move(task, ada, "counter", amount="6", terms_version="1", **about)
    stale = move(task, ada, "select", amount="8", **about)
    selected = move(task, ada, "select", amount="6", **about)
    taking = page_of(task, bo)
    taken = move(task, bo, "claim")

    assert [one.status_code for one in (made, countered, selected, taken)] == [302] * 4
    assert stale.status_code == 409
    assert "The bid has another amount now" in text_of(stale)
    assert offered(taking) == {"claim", "decline"}
    assert (again(task).worker, again(task).priced) == (bo, 6_000_000)


def test_bids_are_shown_to_their_two_sides_only() -> None:
    ada, bo, cy = a_person(), a_person(), a_person()
    task = a_task(ada, mode="bid")
    move(task, bo, "bid", proposal="My secret plan.", amount="8", terms_version="1")

    assert "My secret plan." in text_of(page_of(task, ada))
    assert "My secret plan." in text_of(page_of(task, bo))
    for other in (cy, None):
        assert "My secret plan." not in text_of(page_of(task, other))


def test_a_direct_task_is_posted_and_declined_on_the_pages() -> None:
    ada, bo = a_person(), a_person()
    typed = {"title": "Sort", "description": "x", "bounty": "1", "acceptance": "manual"}

    refused = signed_in(ada).post("/tasks/new", typed | {"mode": "direct"})
    posted = signed_in(ada).post("/tasks/new", typed | {"mode": "direct", "assignee": bo.handle})

    assert (refused.status_code, posted.status_code) == (400, 302)
    task = Task.objects.get(poster=ada)
    assert f"Offered to {bo.handle}" in text_of(page_of(task))
    assert move(task, bo, "decline", reason="No.").status_code == 302
    assert again(task).state == "open"


TYPED = {"title": "Sort", "description": "x", "bounty": "1", "acceptance": "manual"}
OTHER_MODES = {
    "assignee": "nobody-has-this",
    "on_decline": "cancel",
    "runner_up_share": "20",
    "lease_seconds": "0.001",
}


def test_a_task_in_full_is_posted_on_the_page() -> None:
    ada = a_person()

    answer = signed_in(ada).post(
        "/tasks/new",
        TYPED
        | {
            "mode": "bid",
            "on_decline": "cancel",
            "kind": "agent",
            "min_standing": "0.5",
            "capabilities": "csv, prices",
            "lease_seconds": "1.5",
            "review_window_seconds": "48",
        },
    )

    assert answer.status_code == 302
    task = Task.objects.get(poster=ada)
    assert (task.mode, task.on_decline, task.eligible_kind) == ("bid", "cancel", "agent")
    assert (task.eligible_standing, task.eligible_capabilities) == (500_000, ["csv", "prices"])
    assert (task.lease_seconds, task.review_window_seconds) == (5_400, 172_800)
    said = text_of(page_of(task))
    for expected in ("agents only", "csv, prices", "standing of 0.5", "cancels the task"):
        assert expected in said.lower()


def test_what_only_other_modes_read_is_left_out_and_not_found_fault_with() -> None:
    ada = a_person()
    check = json.dumps([an_exact_check()])
    contest = {"mode": "contest", "verification": check, "assignee": "x", "lease_seconds": "soon"}

    for typed in (
        {"mode": "claim"} | OTHER_MODES | {"lease_seconds": "2"},
        contest | {"runner_up_share": "20", "acceptance": "automatic"},
    ):
        assert signed_in(ada).post("/tasks/new", TYPED | typed).status_code == 302

    second, first = Task.objects.filter(poster=ada).order_by("-id")
    assert (first.runner_up_bps, first.on_decline, first.offered_to) == (0, "open", None)
    assert (second.runner_up_bps, second.acceptance) == (2_000, "manual")


@pytest.mark.parametrize(
    ("typed", "field", "said"),
    [
        ({"mode": "direct"}, "assignee", "Say to whom"),
        ({"mode": "direct", "assignee": "nobody-has-this"}, "assignee", "Nobody has this handle"),
        ({"mode": "contest"}, "verification", "needs a required check"),
        ({"mode": "contest", "runner_up_share": "51"}, "runner_up_share", "50"),
        ({"min_standing": "much"}, "min_standing", "Write an amount"),
        ({"capabilities": "x" * 65}, "capabilities", "64"),
        ({"kind": "robots"}, "kind", "valid choice"),
        ({"lease_seconds": "0.01"}, "lease_seconds", "5 minutes"),
        ({"lease_seconds": "-1"}, "lease_seconds", "greater than"),
        ({"review_window_seconds": "337"}, "review_window_seconds", "14 days"),
        ({"review_window_seconds": "NaN"}, "review_window_seconds", "number"),
    ],
)
def test_what_is_wrong_in_a_mode_is_said_beside_its_field(
    typed: dict[str, str], field: str, said: str
) -> None:
    answer = signed_in(a_person()).post("/tasks/new", TYPED | typed)

    assert answer.status_code == 400
    (error,) = answer.context["form"].errors[field]
    assert said in error
    assert list(answer.context["form"].errors) == [field]
    parts = {name: part for part in answer.context["form"].parts for name in names_of(part)}
    assert not parts[field].is_folded


def names_of(part: Part) -> list[str]:
    return [field.name for field, _ in part.fields]


def test_every_field_of_the_form_stands_in_one_part() -> None:
    form = PostForm()

    placed = [name for part in form.parts for name in names_of(part)]

    assert sorted(placed) == sorted(field.name for field in form.visible_fields())


def test_a_contests_poster_names_the_second_beside_the_winner() -> None:
    ada, bo, cy, dee = a_person(), a_person(), a_person(), a_person()
    task = a_contest(ada, runner_up_bps=2_000)
    first, other, named = [an_entry(task, one) for one in (bo, cy, dee)]
    an_entry(task, a_person(), result={"totals": {"rows": 1}})  # fails, and is no choice
    closed(task)

    page = page_of(task, ada)
    typed = {"delivery": first.public_id, "runner_up": named.public_id}
    accepted = move(task, ada, "accept", **typed)

    choices = [one["value"] for one in elements_of(page).all("option")]
    assert [choices.count(one.public_id) for one in (first, other, named)] == [2, 2, 2]
    assert "The winner is paid 7.6 credits after the fee, and a second 1.9." in text_of(page)
    assert accepted.status_code == 302
    assert [available(one) - 100_000_000 for one in (bo, cy, dee)] == [7_600_000, 0, 1_900_000]


def test_each_move_says_what_it_costs_on_this_task() -> None:
    ada, bo = a_person(), a_person()
    task = a_task(ada, mode="bid")
    move(task, bo, "bid", proposal="By column.", amount="8", terms_version="1")
    bid = Bid.objects.get(task=task)

    to_poster = text_of(page_of(task, ada))
    move(task, ada, "select", amount="8", bid=bid.public_id)
    to_bidder = text_of(page_of(task, bo))

    assert "is paid 7.6 credits after the fee. 2 of the bounty come back to you" in to_poster
    assert "Once accepted it pays you 7.6 credits after the fee." in to_bidder


def test_who_cannot_take_a_task_is_told_why() -> None:
    ada, bo = a_person(), a_person()
    for_agents = a_task(ada, eligibility=Eligibility(kind=Kind.AGENT))
    for_known = a_task(ada, eligibility=Eligibility(min_standing=10**9))
    contest = a_contest(ada)
    an_entry(contest, bo)
    held_by_bo = [a_claimed_task(worker=bo) for _ in range(3)]

    assert "You cannot take it: this task is for agents only." in text_of(page_of(for_agents, bo))
    assert "a standing of 1000" in text_of(page_of(for_known, bo))
    assert "You have entered." in text_of(page_of(contest, bo))
    assert len(held_by_bo) == 3
    assert "holds 3 claimed tasks, the most it may" in text_of(page_of(a_task(ada), bo))
    assert "Nobody works for their own operator." in text_of(page_of(contest, an_agent_of(ada)))


def test_browsing_for_what_one_can_take_leaves_the_rest_out() -> None:
    ada, bo = a_person(), a_person()
    fits, not_for_people = a_task(ada), a_task(ada, eligibility=Eligibility(kind=Kind.AGENT))
    path = f"/tasks?poster={ada.handle}&fits=on"

    listed = links_of(signed_in(bo).get(path))
    to_a_visitor = Client().get(path)

    assert f"/tasks/{fits.public_id}" in listed
    assert f"/tasks/{not_for_people.public_id}" not in listed
    assert "Only what I can take now" not in text_of(to_a_visitor)
    assert f"/tasks/{not_for_people.public_id}" in links_of(to_a_visitor)


def test_a_poster_hears_that_nobody_has_bid_and_how_many_have_entered() -> None:
    ada = a_person()
    contest = a_contest(ada)
    an_entry(contest)

    assert "Nobody has bid yet." in text_of(page_of(a_task(ada, mode="bid"), ada))
    assert "1 entry so far." in text_of(page_of(contest, ada))
    assert "1 entry so far." not in text_of(page_of(contest, a_person()))


def test_a_contest_is_entered_and_won_on_the_page() -> None:
    ada, bo = a_person(), a_person()
    task = a_contest(ada)
    assert offered(page_of(task, bo)) == {"submit"}
    move(
        task,
        bo,
        "submit",
        summary="Mine.",
        result='{"totals": {"rows": 300}}',
        uploads=[SimpleUploadedFile("a.txt", b"a")],
    )
    everything_handled()
    assert "Mine." not in text_of(page_of(task, ada))
    closed(task)
    entry = task.deliveries.get()

    assert "Mine." in text_of(page_of(task, ada))
    assert move(task, ada, "accept", delivery=entry.public_id).status_code == 302
    assert available(bo) == 109_500_000


def test_a_bounty_is_raised_on_the_page() -> None:
    task = a_task()

    raised = move(task, task.poster, "raise", bounty="11")
    lowered = move(task, task.poster, "raise", bounty="10")

    assert (raised.status_code, lowered.status_code) == (302, 400)
    assert again(task).bounty == 11_000_000
