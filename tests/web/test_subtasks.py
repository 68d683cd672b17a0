"""Splitting a task on its page, and what pages say of the tree around a task."""

import json
from datetime import timedelta

import pytest
from django.test import Client

from credits import amounts
from marketplace.delegation.waiting import release_due
from marketplace.delivery.usecases.accept_delivery import accept_delivery
from marketplace.delivery.verification import runs
from marketplace.disputes.usecases.open_dispute import open_dispute
from marketplace.foundation import clock
from marketplace.participants.models import Participant
from marketplace.tasks.models import Source, Task
from marketplace.tasks.usecases.abandon_task import abandon_task
from marketplace.tasks.usecases.cancel_task import cancel_task
from tests.builders.assets import a_workflow
from tests.builders.disputes import a_settled_dispute, judges
from tests.builders.disputes import split as vote_split
from tests.builders.people import a_person, an_agent
from tests.builders.staff import hide
from tests.builders.talk import a_file
from tests.builders.trees import (
    a_task_to_split,
    accepted,
    an_entry,
    done,
    held,
    in_escrow,
    now,
    split,
)
from tests.builders.work import (
    Said,
    a_claimed_task,
    a_task,
    an_exact_check,
    available,
    deliver,
    everything_handled,
)
from tests.web.reading import (
    Answer,
    Typed,
    download,
    links_of,
    signed_in,
    text_of,
    value_of,
)
from tests.web.test_task_page import move, offered, page_of

pytestmark = pytest.mark.django_db

MICRO = amounts.MICRO
ROW = {
    "title": "Collect the lists",
    "description": "One *file* each.",
    "bounty": "1",
    "source": "escrow",
    "mode": "claim",
    "acceptance": "manual",
    "on_decline": "open",
}
CONTEST: dict[str, Typed] = {
    "mode": "contest",
    "verification": '[{"name": "a", "type": "exact", "config": {"expected": 1}}]',
}


def row(number: int, key: str, /, **typed: Typed) -> dict[str, Typed]:
    """Return one part of a plan as it is typed."""
    return {f"{number}-{name}": value for name, value in (ROW | {"key": key} | typed).items()}


def planned(task: Task, *rows: dict[str, Typed], **typed: Typed) -> Answer:
    """Send a plan as whoever holds the task."""
    assert task.worker is not None
    sent = {name: value for one in rows for name, value in one.items()} | typed
    return signed_in(task.worker).post(f"/tasks/{task.public_id}/split", sent)


def form_of(task: Task) -> Answer:
    assert task.worker is not None
    return signed_in(task.worker).get(f"/tasks/{task.public_id}/split")


def parts(task: Task) -> list[Task]:
    return list(Task.objects.filter(parent=task).order_by("pk"))


def typed_in(answer: Answer, name: str) -> str:
    """Return what the field of this name holds, of whatever kind it is."""
    return str(answer.context["form"][name].value() or "")


def a_person_leads(**wanted: Said) -> tuple[Task, Participant, Participant]:
    """Return a task to split, its poster and its lead, who are people."""
    poster, lead = a_person(), a_person()
    return a_task_to_split(poster, lead, **wanted), poster, lead


# --- Splitting a task -----------------------------------------------------------------------------


def test_a_plan_is_made_as_it_was_typed_and_paid_out_of_what_was_chosen() -> None:
    task, _, lead = a_person_leads()
    deadline = clock.now() + timedelta(days=1)

    answer = planned(
        task,
        row(1, "collect", bounty="2", deadline=f"{deadline:%Y-%m-%dT%H:%M}", tags="csv, prices"),
        row(
            2,
            "merge",
            title="Merge them",
            depends_on="collect",
            requirements="All rows\r\n\r\nIn euro",
            verification=json.dumps([{"name": "rows", "type": "exact", "config": {"expected": 3}}]),
            review_window_seconds="2",
            delegation_limit="25",
        ),
        row(3, "look", source="wallet", mode="direct", assignee=an_agent().handle),
    )

    by_key = {one.key: one for one in parts(task)}
    collect, merge, look = (by_key[key] for key in ("collect", "merge", "look"))
    assert answer["Location"] == f"/tasks/{task.public_id}#subtasks"
    assert [one.state for one in (collect, merge, look)] == ["open", "blocked", "offered"]
    assert (collect.description, collect.tags) == ("One *file* each.", ["csv", "prices"])
    assert collect.deadline == deadline.replace(second=0, microsecond=0)
    assert merge.requirements == ["All rows", "In euro"]
    assert (merge.review_window_seconds, merge.delegation_bps) == (7200, 2500)
    assert merge.verification[0]["config"]["expected"] == 3
    assert [in_escrow(one) for one in (task, collect, merge)] == [7 * MICRO, 2 * MICRO, MICRO]
    assert (look.source, available(lead)) == ("wallet", 99 * MICRO)


def test_the_page_says_what_is_available_of_each_and_what_stands() -> None:
    task, _, _ = a_person_leads(delegation_bps=5000)
    split(task, an_entry("a", bounty=2 * MICRO))

    said = text_of(form_of(now(task)))

    assert "3 credits now; its poster lets you pay up to 5 of 10 for subtasks" in said
    assert "the task's escrow: 3 available my wallet: 100 available" in said
    assert "Parts that stand already a (open)" in said


def test_without_a_limit_the_wallet_alone_pays() -> None:
    task, _, _ = a_person_leads(delegation_bps=0)

    answer = form_of(task)

    assert "its poster lets you pay no subtasks out of it" in text_of(answer)
    assert [value for value, _ in answer.context["form"].fields["1-source"].choices] == ["wallet"]


def test_another_part_keeps_what_was_typed_and_writes_nothing() -> None:
    task, _, _ = a_person_leads()

    answer = planned(
        task,
        row(1, "collect", mode="contest", verification="[not JSON", deadline="tomorrow"),
        row(2, "part-2", title="", description="", bounty=""),
        more="1",
    )

    kept = {name: typed_in(answer, f"1-{name}") for name in ("key", "mode", "verification")}
    assert answer.status_code == 200
    assert kept == {"key": "collect", "mode": "contest", "verification": "[not JSON"}
    assert typed_in(answer, "1-deadline") == "tomorrow"
    assert "Part 3" in text_of(answer)
    assert typed_in(answer, "3-key") not in ("collect", "part-2", "")
    assert parts(task) == []


def test_keys_that_are_proposed_are_free() -> None:
    task, _, _ = a_person_leads()
    split(task, an_entry("part-1"))

    answer = form_of(now(task))

    assert [typed_in(answer, f"{number}-key") for number in (1, 2)] == ["part-2", "part-3"]


WRONG = [
    ({"bounty": "nothing"}, "bounty", "Write an amount"),
    ({"bounty": "0.001"}, "bounty", "at least 0.01"),
    ({"title": ""}, "title", "required"),
    ({"key": "Not a key"}, "key", "1 to 64 of a-z"),
    ({"key": "first"}, "key", "Another entry has this key"),
    ({"depends_on": "first, nobody"}, "depends_on", "nobody: Name the key of another entry"),
    ({"depends_on": "second"}, "depends_on", "second: A subtask cannot wait for itself"),
    ({"mode": "direct", "assignee": "nobody-has-this"}, "assignee", "Nobody has this handle"),
    ({"mode": "contest"}, "verification", "needs a required check"),
    (CONTEST | {"runner_up_share": "20"}, "runner_up_share", "let your wallet pay"),
    ({"acceptance": "automatic"}, "acceptance", "needs a required check"),
    ({"verification": '[{"name": "a", "type": "b"}]'}, "verification", "type"),
    ({"deadline": "2099-01-01T10:00"}, "deadline", "at most"),
    ({"bounty": "20"}, "bounty", "21 is asked for, and 10 may be delegated"),
    ({"bounty": "200", "source": "wallet"}, "bounty", ""),
]


@pytest.mark.parametrize(("typed", "field", "said"), WRONG)
def test_what_is_wrong_stands_beside_the_field_of_its_part_and_nothing_is_lost(
    typed: dict[str, Typed], field: str, said: str
) -> None:
    task, _, _ = a_person_leads()
    empty = row(2, "part-2", title="", description="", bounty="")

    # The second of the plan is the third on the page.
    answer = planned(task, row(1, "first"), empty, row(3, "second", **typed))

    errors = answer.context["form"].errors
    assert answer.status_code >= 400
    assert set(errors) == {f"3-{field}"}, errors
    assert said in " ".join(errors[f"3-{field}"])
    assert "Part 3, " in text_of(answer)
    for name, value in row(3, "second", **typed).items():
        assert typed_in(answer, name) == value
    assert typed_in(answer, "1-title") == ROW["title"]
    assert parts(task) == []
    assert in_escrow(task) == 10 * MICRO


def test_an_exhausted_escrow_says_how_much_there_is_and_what_to_do() -> None:
    task, _, _ = a_person_leads(delegation_bps=5000)

    said = text_of(planned(task, row(1, "a", bounty="6")))

    assert "Required: 6 credits. Available: 5 credits. Limit: 5 credits." in said
    assert "let your wallet pay" in said


def test_a_plan_without_a_part_asks_for_one() -> None:
    task, _, _ = a_person_leads()

    answer = planned(task, row(1, "part-1", title="", description="", bounty=""))

    assert answer.status_code == 400
    assert "at least one subtask" in text_of(answer)


def test_too_many_parts_are_told_where_they_begin() -> None:
    task, _, _ = a_person_leads()
    split(task, *(an_entry(f"k{n}", bounty=MICRO // 100) for n in range(19)))

    answer = planned(task, row(1, "a", bounty="0.1"), row(2, "b", bounty="0.1"))

    assert set(answer.context["form"].errors) == {"2-key"}
    assert "at most 20 subtasks" in text_of(answer)


def test_more_parts_than_a_task_may_have_are_not_read() -> None:
    task, _, _ = a_person_leads()

    answer = planned(task, *(row(n, f"k{n}", bounty="0.1") for n in range(1, 22)))

    assert answer.status_code == 400
    assert "no more than 20 elements" in text_of(answer)
    assert parts(task) == []


def test_nothing_is_tried_of_a_plan_for_a_task_that_is_not_held_any_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    task, _, lead = a_person_leads()
    tried: list[object] = []
    monkeypatch.setattr(runs, "can_decide", tried.append)
    check = json.dumps([an_exact_check()])
    abandon_task(task_id=task.pk, actor=lead)

    answer = planned(task, row(1, "a", acceptance="automatic", verification=check))

    assert (answer.status_code, tried) == (409, [])
    assert "Collect the lists" in answer.content.decode()


def test_what_a_mode_does_not_read_is_not_sent() -> None:
    task, _, _ = a_person_leads()

    answer = planned(
        task, row(1, "a", assignee="somebody-else", runner_up_share="20", delegation_limit="10")
    )

    assert answer.status_code == 302
    assert parts(task)[0].delegation_bps == 1000


def test_a_plan_sent_twice_is_made_once() -> None:
    task, _, _ = a_person_leads()
    once = value_of(form_of(task), "once")

    answers = [planned(task, row(1, "a"), once=once) for _ in range(2)]

    assert answers[0]["Location"] == answers[1]["Location"]
    assert len(parts(task)) == 1


def test_only_whoever_holds_the_task_finds_the_page() -> None:
    task, poster, lead = a_person_leads()
    path = f"/tasks/{task.public_id}/split"

    assert [signed_in(one).get(path).status_code for one in (poster, a_person())] == [403, 403]
    assert Client().get(path)["Location"].startswith("/accounts/login/")
    assert path in links_of(page_of(task, lead))
    assert path not in links_of(page_of(task, poster))
    assert signed_in(poster).post(path, row(1, "a")).status_code == 403
    assert parts(task) == []


def test_a_task_without_time_says_so() -> None:
    task, _, _ = a_person_leads(deadline=clock.now() + timedelta(days=1))

    assert "There is no time left to split it." in text_of(form_of(task))


def test_a_workflow_fills_in_its_steps_and_pays_nothing() -> None:
    task, _, lead = a_person_leads()
    reference = a_workflow().reference

    answer = planned(task, workflow=reference, budget="8", source="wallet")
    typed = {
        name: answer.context["form"][name].value() or "" for name in answer.context["form"].fields
    }

    assert parts(task) == []
    assert sum(amounts.parse(typed[f"{n}-bounty"]) for n in (1, 2)) == 8 * MICRO
    made = planned(task, typed)
    assert made.status_code == 302
    assert available(lead) == 92 * MICRO


def test_a_workflow_that_is_none_is_refused_beside_its_field() -> None:
    task, _, _ = a_person_leads()

    unknown = planned(task, workflow="nobody/nothing@1.0.0", budget="8", source="escrow")
    malformed = planned(task, workflow="what", budget="0", source="escrow")

    assert unknown.status_code == 404
    assert "No such asset" in text_of(unknown)
    assert set(malformed.context["workflow"].errors) == {"workflow", "budget"}


# --- The tree on the page of a task ---------------------------------------------------------------


def test_a_page_says_who_does_what_part_and_who_pays_it() -> None:
    task, poster, lead = a_person_leads()
    bo, cy = a_person(), a_person()
    first, own = split(
        task, an_entry("first", bounty=2 * MICRO), an_entry("own", source=Source.WALLET)
    )
    done(first, bo)
    held(own, cy)

    for reader in (poster, lead, a_person(), None):
        answer = page_of(now(task), reader)
        said = text_of(answer)
        assert "10 credits (2 in subtasks, 8 available)" in said
        assert "1 of 2 accepted, 1 running" in said
        assert "accepted pay waits until" in said
        assert bo.handle in said
        assert cy.handle in said
        assert "2 from the escrow" in said
        assert f"1 from {'your wallet' if reader == lead else lead.handle}" in said
        assert "first Part first" in said
        for part in (first, own):
            assert f"/tasks/{part.public_id}" in links_of(answer)


def test_a_subtask_names_what_it_is_a_part_of_from_the_root_on() -> None:
    task, poster, _ = a_person_leads(deadline=clock.now() + timedelta(days=60))
    (middle,) = split(task, an_entry("middle", bounty=4 * MICRO, delegation_bps=10_000))
    (deep,) = split(held(middle), an_entry("deep"))

    answer = page_of(deep, poster)

    trail = [f"/tasks/{one.public_id}" for one in (task, middle)]
    assert [link for link in links_of(answer) if link in trail] == trail
    assert "Part deep , paid out of the escrow of the task above" in text_of(answer)


def test_what_a_subtask_waits_for_is_listed_and_later_received_with_its_files() -> None:
    task, poster, lead = a_person_leads()
    bo, cy, eve = a_person(), a_person(), a_person()
    first, second = split(task, an_entry("a"), an_entry("b", depends_on=("a",)))
    blocked = text_of(page_of(second, cy))
    file = a_file(bo, b"x;y", "rows.csv")
    accepted(held(first, bo), summary="Five lists.", result={"rows": 5}, files=[file.pk])

    before = page_of(now(second), cy)
    held(now(second), cy)
    received = page_of(now(second), cy)

    assert "Waits for a Part a : open" in blocked
    assert "Whoever works on this task receives what was delivered." in text_of(before)
    assert "Five lists." not in text_of(before)
    said = text_of(received)
    assert "You build on" in said
    assert "Five lists." in said
    assert '"rows": 5' in said
    assert f"/tasks/{first.public_id}#delivery-1" in links_of(received)
    content = next(link for link in links_of(received) if file.public_id in link)
    assert download(signed_in(cy), content) == b"x;y"
    assert "Five lists." in text_of(page_of(now(second), lead))
    assert "Five lists." not in text_of(page_of(now(second), eve))
    assert signed_in(eve).get(content).status_code == 404
    assert "Five lists." in text_of(page_of(first, poster))


def test_the_next_worker_receives_what_the_escrow_paid_and_the_poster_acts_meanwhile() -> None:
    task, poster, lead = a_person_leads()
    first, running = split(task, an_entry("a"), an_entry("b"))
    accepted(held(first), summary="Of use.")
    held(running)
    abandon_task(task_id=task.pk, actor=lead)
    everything_handled()

    acting = page_of(now(running), poster)
    next_lead = a_person()
    held(now(task), next_lead)

    assert f"planned by {lead.handle} ; {poster.handle} acts as its poster now" in text_of(acting)
    assert "give_notice" in offered(acting)
    told = text_of(signed_in(poster).get("/notifications"))
    assert "Somebody else acts as the poster of a subtask" in told
    assert "Of use." in text_of(page_of(now(task), next_lead))


def test_a_lead_is_told_which_subtasks_a_delivery_waits_for() -> None:
    task, _, lead = a_person_leads()
    first, second = split(task, an_entry("a"), an_entry("b"))
    done(first)

    answer = page_of(now(task), lead)
    refused = move(task, lead, "submit", summary="Early.")

    assert "You can deliver when these have ended: b (open)." in text_of(answer)
    assert "submit" not in offered(answer)
    assert refused.status_code == 409
    assert "Subtasks of this task have not ended" in text_of(refused)
    done(second)
    assert "submit" in offered(page_of(now(task), lead))


def test_a_page_does_not_say_the_words_of_a_part_that_staff_hide() -> None:
    task, poster, lead = a_person_leads()
    cy = a_person()
    first, second = split(
        task,
        an_entry("a", title="Buy my pills", source=Source.WALLET),
        an_entry("b", depends_on=("a",)),
    )
    done(first)
    accepted(held(now(second), cy))
    deliver(now(task))
    hide(first)

    pages = [page_of(now(task), poster), page_of(now(second), cy), page_of(now(second))]

    for one in pages:
        assert "Buy my pills" not in one.content.decode()
        assert f"/tasks/{first.public_id}" not in links_of(one)
        assert "task that staff hide" in text_of(one)
    assert "Buy my pills" in text_of(page_of(now(task), lead))


def test_a_delivery_names_the_accepted_parts_that_it_is_made_of() -> None:
    task, poster, _ = a_person_leads()
    bo = a_person()
    first, own = split(task, an_entry("a"), an_entry("b", source=Source.WALLET))
    done(first, bo)
    done(own)
    delivery = deliver(now(task))

    before = page_of(now(task), poster)
    accept_delivery(delivery_id=delivery.pk, actor=poster)
    after = page_of(now(task), poster)

    assert f"Made of a Part a , delivered by {bo.handle}" in text_of(before)
    assert "you may open it when this delivery is accepted" in text_of(before)
    assert f"/tasks/{first.public_id}#delivery-1" in links_of(before)
    assert f"/tasks/{own.public_id}#delivery-1" not in links_of(before)
    assert f"/tasks/{own.public_id}#delivery-1" in links_of(after)
    assert "What its subtasks earned and waits is paid with it." in text_of(before)


def test_whoever_thinks_of_taking_a_task_is_told_what_may_go_to_subtasks_and_when_it_pays() -> None:
    task = a_task(delegation_bps=5000)
    (part,) = split(a_task_to_split(), an_entry("a"))
    bo = a_person()

    assert "You may pay up to 5 of 10 credits to others for subtasks." in text_of(page_of(task, bo))
    assert "Its worker may pay up to 5 of 10 credits" in text_of(page_of(task))
    said = text_of(page_of(part, bo))
    assert "What you earn waits until the task that pays it is accepted, 7 days at most." in said


def test_a_task_that_lost_a_lead_says_what_is_left_for_the_next() -> None:
    task, _, lead = a_person_leads()
    (part,) = split(task, an_entry("a", bounty=4 * MICRO))
    done(part)
    abandon_task(task_id=task.pk, actor=lead)

    said = text_of(page_of(now(task), a_person()))

    assert "10 credits (4 in subtasks, 6 available)" in said
    assert "Once accepted it pays you 5.7 credits after the fee." in said


def test_earnings_that_wait_are_told_to_who_earned_and_who_may_dispute_and_to_no_stranger() -> None:
    task, poster, _ = a_person_leads()
    bo = a_person()
    (part,) = split(task, an_entry("a"))
    done(part, bo)

    worker, funder, stranger = (page_of(now(part), one) for one in (bo, poster, a_person()))

    assert "0.95 credits for its worker wait until" in text_of(worker)
    assert f"{poster.handle} , whose bounty pays it, may dispute it until then" in text_of(worker)
    assert "You paid for it, and may dispute it until then" in text_of(funder)
    assert "dispute" in offered(funder)
    assert "the 0.95 credits that wait for the worker are frozen" in text_of(funder)
    assert "0.95" not in text_of(stranger)


def test_what_became_of_earnings_that_waited_is_told_to_who_earned_and_who_paid() -> None:
    task, poster, lead = a_person_leads()
    bo, cy = a_person(), a_person()
    judges()
    paid, disputed = split(task, an_entry("a"), an_entry("b"))
    done(paid, bo)
    done(disputed, cy)
    dispute = open_dispute(task_id=disputed.pk, actor=poster, reason="Nothing was done.")
    a_settled_dispute(*[vote_split(4000)] * 3, dispute=dispute)
    clock.advance(timedelta(days=7))
    release_due()

    concerned = [(bo, cy), (lead, lead), (poster, poster)]
    said = [
        (text_of(page_of(now(paid), one)), text_of(page_of(now(disputed), other)))
        for one, other in concerned
    ]
    stranger = [text_of(page_of(now(one))) for one in (paid, disputed)]

    for of_paid, of_disputed in said:
        assert f"0.95 credits waited for {bo.handle} , and went to their wallet on" in of_paid
        assert f"decided about the 0.95 credits that waited for {cy.handle} :" in of_disputed
        assert "0.361 to them, 0.5415 back where it came from, 0.0475 to the panel." in of_disputed
    assert not any("waited for" in one for one in stranger)


def test_a_wallet_shows_what_waits_from_subtasks_until_it_is_paid() -> None:
    task, _, _ = a_person_leads()
    bo = a_person()
    (part,) = split(task, an_entry("a", title="Collect the lists"))
    done(part, bo)
    client = signed_in(bo)

    waiting = client.get("/wallet")
    clock.advance(timedelta(days=8))
    release_due()
    paid = client.get("/wallet")

    assert "Pending: what you earned and waits 0.95 credits" in text_of(waiting)
    assert "0.95 credits for Collect the lists : until" in text_of(waiting)
    assert "Earned with subtasks" not in text_of(paid)
    assert "earnings: After the wait: Collect the lists 0.95 100.95" in text_of(paid)


def test_what_an_escrow_pays_is_given_notice_only_and_the_page_says_why() -> None:
    task, poster, lead = a_person_leads()
    bo = a_person()
    first, second = split(task, an_entry("a"), an_entry("b"))
    held(first, bo)

    answer = page_of(now(first), lead)
    whole = text_of(page_of(now(task), poster))

    assert "cancel_at_once" not in offered(answer)
    assert "You cannot cancel it at once and compensate its worker" in text_of(answer)
    assert "The bounty goes back to the escrow that pays it." in text_of(page_of(second, lead))
    assert "Its subtasks that nobody holds are cancelled with it" in whole
    assert "What subtasks leave of the bounty goes back to your wallet" not in whole.split(".")


def test_a_task_that_is_called_off_says_what_it_waits_for() -> None:
    task, poster, _ = a_person_leads()
    bo = a_person()
    first, _ = split(task, an_entry("a"), an_entry("b"))
    held(first, bo)
    client, path = signed_in(poster), f"/tasks/{task.public_id}"
    client.post(path, {"action": "cancel_at_once"})
    everything_handled()

    said = text_of(client.get(path))

    assert now(task).state == "closing"
    assert "It ends as cancelled when its last subtask has ended" in said
    assert "1 still runs" in said
    assert "if the task were accepted now" not in said
    assert said.startswith("The task is called off; it ends when its last subtask has ended.")
    told = text_of(signed_in(bo).get("/notifications"))
    assert "The task above was called off; this one ends with its notice" in told


def test_a_failed_predecessor_is_told_to_the_lead_in_words() -> None:
    task, _, lead = a_person_leads()
    first, _ = split(task, an_entry("a"), an_entry("b", depends_on=("a",)))
    cancel_task(task_id=first.pk, actor=lead)
    everything_handled()

    told = text_of(signed_in(lead).get("/notifications"))

    assert "What the subtask waited for failed, and it was cancelled; plan it anew" in told


def test_limits_that_stand_still_say_why() -> None:
    task, _, lead = a_person_leads()
    bo = a_person()
    (part,) = split(task, an_entry("a"))
    deliver(held(part, bo))
    everything_handled()
    disputed = move(part, lead, "dispute", reason="Not this.")

    said = text_of(page_of(now(task), lead))

    assert disputed.status_code == 302
    assert "Its limits of time stand still since" in said
    assert "You can deliver when these have ended: a (disputed)." in said


def test_a_list_of_tasks_names_what_a_subtask_is_a_part_of() -> None:
    task, poster, lead = a_person_leads(title="Compare five suppliers")
    split(task, an_entry("a"))

    answer = signed_in(a_person()).get(f"/tasks?poster={lead.handle}")

    assert "Part of Compare five suppliers" in text_of(answer)
    assert f"/tasks/{task.public_id}" in links_of(answer)
    assert "Part of" not in text_of(Client().get(f"/tasks?poster={poster.handle}"))


def test_a_limit_for_subtasks_is_posted_in_per_cent() -> None:
    ada = a_person()

    posted = signed_in(ada).post(
        "/tasks/new",
        {"title": "x", "description": "y", "bounty": "2", "acceptance": "manual"}
        | {"delegation_limit": "12.5"},
    )

    assert posted.status_code == 302
    assert Task.objects.get(poster=ada).delegation_bps == 1250


# --- Saving a workflow ----------------------------------------------------------------------------


def test_an_accepted_task_is_saved_as_a_workflow_and_published_from_its_page() -> None:
    task, poster, _ = a_person_leads(title="Price list of a shop")
    first, second = split(task, an_entry("read"), an_entry("table", depends_on=("read",)))
    done(first)
    done(now(second))
    accepted(now(task))
    client = signed_in(poster)

    saved = move(task, poster, "save_workflow", name="price-lists")
    form = client.get(saved["Location"])
    (file,) = [link for link in links_of(form) if link.endswith("/content")]
    typed = {one: value_of(form, one) for one in ("draft", "name", "version", "source_task")}
    published = client.post("/assets/new", {"kind": "workflow", **typed})

    steps = json.loads(download(client, file))["steps"]
    assert [(one["key"], one["share"]) for one in steps] == [("read", "0.5"), ("table", "0.5")]
    assert (typed["name"], typed["source_task"]) == ("price-lists", task.public_id)
    assert published["Location"] == f"/assets/{poster.handle}/price-lists/0.1.0"
    assert "Part table" in text_of(client.get(published["Location"]))


def test_a_workflow_is_offered_to_those_whose_it_is_once_the_whole_is_accepted() -> None:
    task, poster, lead = a_person_leads(deadline=clock.now() + timedelta(days=60))
    bo, alone = a_person(), accepted(a_claimed_task())
    (part,) = split(task, an_entry("a", bounty=3 * MICRO, delegation_bps=10_000))
    (deep,) = split(held(part, bo), an_entry("deep"))
    done(deep)

    early = offered(page_of(now(part), bo))
    accepted(now(part))
    accepted(now(task))

    def may_save(one: Task, reader: Participant | None) -> bool:
        return "save_workflow" in offered(page_of(now(one), reader))

    assert "save_workflow" not in early
    assert [may_save(task, one) for one in (poster, lead, bo, None)] == [True, True, False, False]
    assert [may_save(part, one) for one in (poster, bo, lead)] == [True, True, False]
    assert not may_save(deep, lead)
    assert not may_save(alone, alone.poster)


def test_the_poster_of_the_root_names_no_task_of_others_as_the_source_of_a_workflow() -> None:
    task, poster, _ = a_person_leads(deadline=clock.now() + timedelta(days=60))
    (part,) = split(task, an_entry("a", bounty=3 * MICRO, delegation_bps=10_000))
    (deep,) = split(held(part), an_entry("deep"))
    done(deep)
    accepted(now(part))
    client = signed_in(poster)

    form = client.get(move(part, poster, "save_workflow")["Location"])
    typed = {one: value_of(form, one) for one in ("draft", "name", "version")}

    assert part.public_id not in form.content.decode()
    assert client.post("/assets/new", {"kind": "workflow", **typed}).status_code == 302


def test_what_somebody_else_saved_is_nobodys_to_publish() -> None:
    task, poster, _ = a_person_leads()
    (part,) = split(task)
    done(part)
    accepted(now(task))
    saved = move(task, poster, "save_workflow")["Location"]
    draft = value_of(signed_in(poster).get(saved), "draft")

    answer = signed_in(a_person()).post("/assets/new", {"draft": draft, "name": "mine"})

    assert answer.status_code == 400
    assert "This field is required" in text_of(answer)
