"""The pages of disputes: the queue, the case, and what each button does."""

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test.utils import CaptureQueriesContext

from marketplace.disputes.models import Dispute, Evidence, Seat, SeatState
from marketplace.disputes.states import DisputeState
from marketplace.events.notifications import notifications_of
from marketplace.participants.models import Participant
from tests.builders.disputes import (
    APPEAL,
    EVIDENCE,
    FOR_WORKER,
    VOTES,
    a_decided_dispute,
    a_dispute,
    after,
    as_it_stands,
    before_a_panel,
    open_seats,
    voted,
)
from tests.builders.people import a_person
from tests.builders.staff import somebody_of_staff
from tests.builders.work import (
    a_contest,
    a_rejected_delivery,
    a_submitted_delivery,
    an_entry,
    closed,
    everything_handled,
    time_passes,
)
from tests.web.reading import Answer, Typed, elements_of, links_of, signed_in, text_of

pytestmark = pytest.mark.django_db


def page_of(dispute: Dispute, reader: Participant) -> Answer:
    return signed_in(reader).get(f"/disputes/{dispute.public_id}")


def move(dispute: Dispute, actor: Participant, action: str, **typed: Typed) -> Answer:
    return signed_in(actor).post(
        f"/disputes/{dispute.public_id}", {"action": action, **typed}, follow=True
    )


def offered(answer: Answer) -> set[str]:
    fields = elements_of(answer).all("input")
    return {str(field["value"]) for field in fields if field.get("name") == "action"}


# --- Opening, on the page of the task -------------------------------------------------------------


def test_a_worker_opens_a_dispute_from_the_page_of_the_task() -> None:
    bo = a_person()
    task = a_rejected_delivery(worker=bo).task
    client, path = signed_in(bo), f"/tasks/{task.public_id}"
    shown = client.get(path)
    assert "dispute" in offered(shown)
    assert "at least 0.3: 0.5 credits" in text_of(shown)

    answer = client.post(path, {"action": "dispute", "reason": "It is all there."}, follow=True)

    dispute = Dispute.objects.get(task=task)
    assert dispute.reason == "It is all there."
    assert "Hand in your evidence." in text_of(answer)
    assert f"/disputes/{dispute.public_id}" in links_of(answer)


def test_a_poster_is_offered_a_dispute_beside_accepting() -> None:
    delivery = a_submitted_delivery(a_person())

    shown = signed_in(delivery.task.poster).get(f"/tasks/{delivery.task.public_id}")

    assert {"accept", "reject", "dispute"} <= offered(shown)


# --- Who sees what --------------------------------------------------------------------------------


def test_a_stranger_finds_no_page_and_no_link() -> None:
    dispute, eve = a_dispute(), a_person()

    assert page_of(dispute, eve).status_code == 404
    task = signed_in(eve).get(f"/tasks/{dispute.task.public_id}")
    assert f"/disputes/{dispute.public_id}" not in links_of(task)
    assert "There are none." in text_of(signed_in(eve).get("/disputes"))


def test_the_queue_says_what_one_is_asked_to_judge() -> None:
    dispute = before_a_panel()
    judge = open_seats(dispute)[0].panelist

    queue = signed_in(judge).get("/disputes")

    assert "You are asked to judge" in text_of(queue)
    assert f"/disputes/{dispute.public_id}" in links_of(queue)
    everything_handled()
    told = signed_in(judge).get("/notifications")
    assert "You are asked to judge a dispute" in text_of(told)
    assert f"/disputes/{dispute.public_id}" in links_of(told)


def test_the_sides_read_neither_names_nor_votes_before_it_is_decided() -> None:
    dispute = before_a_panel()
    voted(dispute, FOR_WORKER)
    handles = {seat.panelist.handle for seat in Seat.objects.filter(dispute=dispute)}

    said = page_of(dispute, dispute.task.poster).content.decode()

    assert not [handle for handle in handles if handle in said]
    assert "I looked." not in said


def test_afterwards_everybody_concerned_reads_votes_and_reasons() -> None:
    dispute = a_decided_dispute()

    said = text_of(page_of(dispute, dispute.task.poster))

    assert said.count("I looked.") == 3
    assert "100 % for the worker" in said
    assert "Decided by the panel" in said


# --- Moves ----------------------------------------------------------------------------------------


def test_both_sides_hand_in_texts_and_files() -> None:
    dispute = a_dispute(a_person())
    poster = dispute.task.poster
    assert offered(page_of(dispute, poster)) == {"submit_evidence"}

    answer = move(
        dispute,
        poster,
        "submit_evidence",
        text="**Rows** are missing.",
        uploads=SimpleUploadedFile("rows.csv", b"1;2\n"),
    )

    assert "Handed in." in text_of(answer)
    (evidence,) = Evidence.objects.filter(dispute=dispute)
    assert evidence.attached.get().file.name == "rows.csv"
    other = page_of(dispute, dispute.claim.worker)  # type: ignore[union-attr] # it has one
    assert "<strong>Rows</strong>" in other.content.decode()
    assert "rows.csv" in text_of(other)


def test_a_panelist_votes_and_an_abstention_leads_away() -> None:
    dispute = before_a_panel()
    first, second, _ = (seat.panelist for seat in open_seats(dispute))
    assert offered(page_of(dispute, first)) == {"vote"}

    wrong = move(dispute, first, "vote", outcome="split", rationale="Half.")
    assert wrong.status_code == 400
    assert "Say the worker" in text_of(wrong)
    right = move(dispute, first, "vote", outcome="split", worker_share="0.5", rationale="Half.")
    away = move(dispute, second, "vote", outcome="abstain", rationale="I know neither.")

    assert "split, 50 % for the worker" in text_of(right)
    assert away.redirect_chain[-1][0] == "/disputes"
    states = dict(Seat.objects.filter(dispute=dispute).values_list("panelist", "state"))
    assert states[first.pk] == SeatState.VOTED
    assert states[second.pk] == SeatState.ABSTAINED


def test_the_panel_of_a_contest_chooses_an_entry() -> None:
    entry = an_entry(a_contest())
    closed(entry.task)
    before_a_panel()  # so that there are judges
    task = time_passes(entry.task, hours=73)
    dispute = as_it_stands(Dispute.objects.get(task=task))
    judge = open_seats(dispute)[0].panelist

    answer = move(
        dispute, judge, "vote", outcome="accept", delivery=entry.public_id, rationale="Good."
    )

    assert "You have voted." in text_of(answer)
    assert Seat.objects.get(dispute=dispute, panelist=judge).pick_id == entry.pk


def test_the_loser_appeals_and_staff_decide() -> None:
    dispute = a_decided_dispute()
    poster, staff = dispute.task.poster, somebody_of_staff()
    assert offered(page_of(dispute, poster)) == {"appeal"}

    move(dispute, poster, "appeal", reason="Nobody opened the file.")
    queue = signed_in(staff).get("/disputes")
    assert "Waiting for an administrator" in text_of(queue)
    assert offered(page_of(dispute, staff)) == {"decide"}
    answer = move(dispute, staff, "decide", outcome="reject", rationale="It is empty.")

    assert "Outcome of the appeal 0 % for the worker" in text_of(answer)
    assert as_it_stands(dispute).state == DisputeState.SETTLED


def test_a_move_of_somebody_elses_says_so() -> None:
    dispute = before_a_panel()

    answer = move(dispute, dispute.task.poster, "vote", outcome="accept", rationale="Mine.")

    assert answer.status_code == 403
    assert "Somebody else's move" in text_of(answer)
    assert move(dispute, dispute.task.poster, "x").status_code == 400


def test_the_settlement_on_the_page_of_the_task_names_the_panel() -> None:
    dispute = after(a_decided_dispute(), APPEAL)

    said = text_of(signed_in(dispute.task.poster).get(f"/tasks/{dispute.task.public_id}"))

    assert "The panel of the dispute 0.5" in said


# --- Queries --------------------------------------------------------------------------------------


def queries_of(reader: Participant, path: str) -> int:
    client = signed_in(reader)
    with CaptureQueriesContext(connection) as made:
        assert client.get(path).status_code == 200
    return len(made)


def test_lists_and_cases_make_as_many_queries_for_much_as_for_little() -> None:
    ada = a_person()
    first = a_dispute(ada)
    move(first, ada, "submit_evidence", text="x")
    of_one = queries_of(ada, "/disputes")
    of_little = queries_of(ada, f"/disputes/{first.public_id}")
    for _ in range(3):
        move(first, ada, "submit_evidence", text="x")
        a_dispute(ada)

    assert queries_of(ada, "/disputes") == of_one <= 14
    assert queries_of(ada, f"/disputes/{first.public_id}") == of_little <= 17


def test_a_seat_that_lapsed_is_told_with_a_link_that_works() -> None:
    dispute = after(a_dispute(), EVIDENCE)
    judge = open_seats(dispute)[0].panelist
    after(dispute, VOTES)
    everything_handled()

    events = [one.event.type for one in notifications_of(judge.pk)]
    links = links_of(signed_in(judge).get("/notifications"))

    assert "dispute.seat_lapsed" in events
    assert f"/tasks/{dispute.task.public_id}" in links
