"""Disputes: opening one, evidence, votes that nobody sees too early, appeals, and the draw."""

import hashlib
import io

import pytest

from marketplace.disputes.draw import order_of
from marketplace.disputes.models import Dispute
from marketplace.participants.models import Participant
from marketplace.tasks.usecases.claim_task import claim_task
from tests.api.caller import (
    Caller,
    Json,
    a_visitor,
    as_caller,
    at_most_queries,
    content,
    invalid,
    nothing_changes,
    ok,
    problem,
    somebody,
)
from tests.builders.disputes import (
    APPEAL,
    EVIDENCE,
    FOR_WORKER,
    VOTES,
    a_decided_dispute,
    a_dispute,
    after,
    before_a_panel,
    disputed,
    judges,
    open_seats,
    voted,
)
from tests.builders.people import a_person, an_agent_of
from tests.builders.staff import somebody_of_staff
from tests.builders.work import (
    BOUNTY,
    a_claimed_task,
    a_rejected_delivery,
    a_submitted_delivery,
    again,
    available,
    deliver,
    feeds_caught_up,
    rejected,
)

pytestmark = pytest.mark.django_db

CONTRACT = {"id", "task", "state", "permitted_actions", "deposit", "evidence", "votes", "decision"}
VOTE = {"outcome": "split", "worker_share": "0.4", "rationale": "Half of it is there."}


def sides() -> tuple[Caller, Caller]:
    return somebody(), somebody()


def of(dispute: Dispute, more: str = "") -> str:
    return f"/disputes/{dispute.public_id}{more}"


def a_panelist(dispute: Dispute) -> Caller:
    return as_caller(open_seats(dispute)[0].panelist)


def upload(caller: Caller, data: bytes = b"proof") -> Json:
    file = io.BytesIO(data)
    file.name = "proof.txt"
    return ok(caller.upload("/files", {"file": file}), 201)


# --- Opening --------------------------------------------------------------------------------------


def test_a_worker_disputes_a_rejection() -> None:
    ada, bo = sides()
    delivery = a_rejected_delivery(ada.participant, bo.participant)
    path = f"/tasks/{delivery.task.public_id}"
    assert "dispute" in ok(bo.get(path))["permitted_actions"]

    answer = bo.post(f"{path}/disputes", {"reason": "All of it is there."})

    dispute = ok(answer, 201)
    assert dispute.keys() >= CONTRACT
    assert dispute["id"].startswith("dispute_")
    assert answer.headers["Location"] == f"/api/v1/disputes/{dispute['id']}"
    assert (dispute["state"], dispute["cause"], dispute["deposit"]) == ("evidence", "worker", "0.5")
    assert dispute["delivery"] == delivery.public_id
    assert dispute["permitted_actions"] == ["submit_evidence"]
    assert ok(ada.get(path))["state"] == "disputed"
    assert ok(ada.get(path))["permitted_actions"] == []


def test_a_poster_disputes_a_delivery_under_review() -> None:
    ada, bo = sides()
    delivery = a_submitted_delivery(ada.participant, bo.participant)
    path = f"/tasks/{delivery.task.public_id}"
    assert "dispute" in ok(ada.get(path))["permitted_actions"]

    dispute = ok(ada.post(f"{path}/disputes", {"reason": "It is empty."}), 201)

    assert (dispute["cause"], dispute["opened_by"]) == ("poster", ada.handle)


def test_the_least_deposit_is_three_tenths_of_a_credit() -> None:
    bo = somebody()
    task = a_rejected_delivery(worker=bo.participant, bounty=BOUNTY // 10).task

    dispute = ok(bo.post(f"/tasks/{task.public_id}/disputes", {"reason": "It is right."}), 201)

    assert dispute["deposit"] == "0.3"
    terms = ok(bo.get(f"/tasks/{task.public_id}"))["terms"]["dispute"]
    assert (terms["deposit_bps"], terms["deposit_least"]) == (500, "0.3")


def test_who_cannot_pay_the_deposit_opens_nothing() -> None:
    bo = somebody()
    task = a_rejected_delivery(worker=bo.participant).task
    ok(
        bo.post("/credits/transfers", {"to": judges()[0].handle, "amount": "99.8"}),
        201,
    )

    with nothing_changes():
        answer = bo.post(f"/tasks/{task.public_id}/disputes", {"reason": "It is right."})

    assert problem(answer, 402, "insufficient_credits")["required"] == "0.5"


def test_the_deposit_counts_against_an_agents_allowances() -> None:
    judges()
    agent = an_agent_of(a_person(), allowance_per_task=BOUNTY, allowance_per_day=2 * BOUNTY)
    task = a_submitted_delivery(agent).task

    caller = as_caller(agent)
    with nothing_changes():
        answer = caller.post(f"/tasks/{task.public_id}/disputes", {"reason": "x"})

    refused = problem(answer, 402, "allowance_exceeded")
    assert (refused["per"], refused["required"]) == ("task", "10.5")


def test_a_dispute_needs_a_reason() -> None:
    bo = somebody()
    task = a_rejected_delivery(worker=bo.participant).task

    with nothing_changes():
        invalid(bo.post(f"/tasks/{task.public_id}/disputes", {}), "/reason", "required")


def test_nobody_disputes_at_the_wrong_moment() -> None:
    ada, bo = sides()
    held = a_claimed_task(ada.participant, bo.participant)
    reviewed = a_submitted_delivery(ada.participant, bo.participant).task
    reason, eve = {"reason": "x"}, somebody()

    with nothing_changes():
        early = bo.post(f"/tasks/{held.public_id}/disputes", reason)
        turn = bo.post(f"/tasks/{reviewed.public_id}/disputes", reason)
        nothing = ada.post(f"/tasks/{held.public_id}/disputes", reason)
        stranger = eve.post(f"/tasks/{reviewed.public_id}/disputes", reason)

    assert problem(early, 409, "nothing_rejected")["state"] == "claimed"
    assert problem(turn, 409, "illegal_transition")["state"] == "submitted"
    assert problem(nothing, 409, "illegal_transition")["state"] == "claimed"
    problem(stranger, 403, "not_permitted")


def test_a_task_is_disputed_once() -> None:
    ada, bo = sides()
    dispute = a_dispute(ada.participant, bo.participant)

    for one in (ada, bo):
        answer = one.post(f"/tasks/{dispute.task.public_id}/disputes", {"reason": "Again."})
        assert problem(answer, 409, "illegal_transition")["state"] == "disputed"


# --- Who sees what --------------------------------------------------------------------------------


def test_strangers_find_no_dispute_and_no_evidence() -> None:
    dispute = before_a_panel()
    eve = somebody()

    for path in (of(dispute), of(dispute, "/draw")):
        problem(eve.get(path), 404, "not_found")
        problem(a_visitor().get(path), 401, "not_authenticated")
    with nothing_changes():
        problem(eve.post(of(dispute, "/votes"), VOTE), 404, "not_found")
        problem(eve.post(of(dispute, "/evidence"), {"text": "x"}), 404, "not_found")
        problem(eve.post(of(dispute, "/appeal"), {"reason": "x"}), 404, "not_found")
    assert ok(eve.get("/disputes"))["results"] == []


def test_evidence_is_read_by_both_sides_the_panel_and_staff_alone() -> None:
    ada, bo = sides()
    dispute = a_dispute(ada.participant, bo.participant)
    file = upload(bo)
    given = {"text": "See the file.", "files": [file["id"]]}

    shown = ok(bo.post(of(dispute, "/evidence"), given), 201)

    (evidence,) = shown["evidence"]
    assert (evidence["author"], evidence["text"]) == (bo.handle, "See the file.")
    assert evidence["files"] == [file]
    dispute = after(dispute, EVIDENCE)
    readers = [ada, bo, a_panelist(dispute), as_caller(somebody_of_staff())]
    for reader in readers:
        assert ok(reader.get(of(dispute)))["evidence"] == [evidence]
        assert content(reader.get(f"/files/{file['id']}/content")) == b"proof"
    problem(somebody().get(f"/files/{file['id']}/content"), 404, "not_found")


def test_a_panelist_reads_the_delivery_until_the_dispute_is_settled() -> None:
    dispute = before_a_panel()
    delivery = f"/deliveries/{dispute.delivery.public_id}"  # type: ignore[union-attr] # it has one
    judge = a_panelist(dispute)

    assert ok(judge.get(delivery))["summary"] == "Done."
    listed = ok(judge.get(f"/tasks/{dispute.task.public_id}/deliveries"))["results"]
    assert [one["id"] for one in listed] == [delivery.removeprefix("/deliveries/")]
    after(voted(dispute, *[FOR_WORKER] * 3), APPEAL)

    problem(judge.get(delivery), 404, "not_found")
    assert ok(judge.get(of(dispute)))["state"] == "settled"


def test_a_panelist_reads_nothing_of_an_earlier_worker() -> None:
    first = a_rejected_delivery(worker=(cy := somebody()).participant)
    ok(cy.post(f"/tasks/{first.task.public_id}/abandon"))
    bo = somebody()
    task = claim_task(task_id=first.task_id, actor=bo.participant)
    second = rejected(deliver(task))

    judge = a_panelist(before_a_panel(disputed(second)))

    listed = ok(judge.get(f"/tasks/{task.public_id}/deliveries"))["results"]
    assert [one["id"] for one in listed] == [second.public_id]
    problem(judge.get(f"/deliveries/{first.public_id}"), 404, "not_found")


def test_who_was_silent_sees_the_case_no_more() -> None:
    dispute = before_a_panel()
    judge = a_panelist(dispute)
    ok(judge.get(of(dispute)))

    after(dispute, VOTES)

    problem(judge.get(of(dispute)), 404, "not_found")
    problem(judge.post(of(dispute, "/votes"), VOTE), 404, "not_found")


def told_of(dispute: Dispute, reader: Caller) -> str:
    """Return what the newest events say that are about a dispute's task."""
    feeds_caught_up()
    events = ok(reader.get("/events?limit=100"))["results"]
    about = (str(event) for event in events)
    return "".join(one for one in about if dispute.task.public_id in one)


def test_nobody_knows_the_panel_or_its_votes_before_it_is_decided() -> None:
    ada, bo = sides()
    dispute = before_a_panel(a_dispute(ada.participant, bo.participant))
    panel = open_seats(dispute)
    handles = {seat.panelist.handle for seat in panel}
    first, second = (as_caller(seat.panelist) for seat in panel[:2])

    own = ok(first.post(of(dispute, "/votes"), VOTE), 201)

    assert own["seat"]["outcome"] == "split"
    assert own["seat"]["worker_share"] == "0.4"
    for reader in (ada, bo, second, as_caller(somebody_of_staff())):
        seen = (
            reader.get(of(dispute)).content.decode()
            + reader.get(of(dispute, "/draw")).content.decode()
        )
        seen += told_of(dispute, reader)
        for handle in handles - {getattr(reader.participant, "handle", "")}:
            assert handle not in seen
        assert "Half of it" not in seen
    assert ok(first.get(of(dispute)))["votes"] == []


def test_once_it_is_decided_both_sides_read_votes_and_reasons() -> None:
    ada, bo = sides()
    dispute = a_decided_dispute(dispute=a_dispute(ada.participant, bo.participant))

    shown = ok(ada.get(of(dispute)))

    assert shown["state"] == "decided"
    assert [vote["outcome"] for vote in shown["votes"]] == ["accept"] * 3
    assert shown["decision"]["outcome"] == "accept"
    assert shown["decision"]["worker_share"] == "1"
    assert shown["decision"]["decided_by"] == "panel"


def test_anybody_concerned_can_check_the_draw_afterwards() -> None:
    ada, bo = sides()
    dispute = before_a_panel(a_dispute(ada.participant, bo.participant))
    before = ok(ada.get(of(dispute, "/draw")))
    assert (before["seed"], before["pool"], before["seated"]) == (None, None, None)

    voted(dispute, *[FOR_WORKER] * 3)

    drawn = ok(bo.get(of(dispute, "/draw")))
    seed = bytes.fromhex(drawn["seed"])
    assert hashlib.sha256(seed).hexdigest() == before["seed_digest"] == drawn["seed_digest"]
    assert drawn["seated"] == order_of(drawn["pool"], seed)[:3]
    assert len(drawn["pool"]) == before["pool_size"]


# --- Evidence, votes, appeals ---------------------------------------------------------------------


def test_evidence_comes_from_the_sides_and_in_time() -> None:
    ada, bo = sides()
    dispute = a_dispute(ada.participant, bo.participant)
    for number in range(10):
        ok(ada.post(of(dispute, "/evidence"), {"text": f"{number}"}), 201)

    theirs = upload(somebody())["id"]
    with nothing_changes():
        problem(ada.post(of(dispute, "/evidence"), {"text": "x"}), 409, "evidence_exhausted")
        invalid(bo.post(of(dispute, "/evidence"), {}), "/text", "required")
        invalid(
            bo.post(of(dispute, "/evidence"), {"text": "x", "files": [theirs]}),
            "/files/0",
            "unknown_file",
        )
    dispute = after(dispute, EVIDENCE)
    late = problem(bo.post(of(dispute, "/evidence"), {"text": "x"}), 409, "illegal_transition")
    assert late["state"] == "voting"
    judge = a_panelist(dispute)
    problem(judge.post(of(dispute, "/evidence"), {"text": "x"}), 409, "illegal_transition")


@pytest.mark.parametrize(
    ("vote", "pointer", "code"),
    [
        ({}, "/outcome", "required"),
        ({"outcome": "accept"}, "/rationale", "required"),
        ({"outcome": "maybe", "rationale": "x"}, "/outcome", "invalid_choice"),
        ({"outcome": "split", "rationale": "x"}, "/worker_share", "required"),
        (
            {"outcome": "split", "worker_share": "1", "rationale": "x"},
            "/worker_share",
            "not_a_split",
        ),
        (
            {"outcome": "accept", "worker_share": "0.5", "rationale": "x"},
            "/worker_share",
            "contradiction",
        ),
        ({"outcome": "split", "worker_share": "1.5", "rationale": "x"}, "/worker_share", "invalid"),
        (
            {"outcome": "split", "worker_share": "-0.1", "rationale": "x"},
            "/worker_share",
            "invalid",
        ),
        (
            {
                "outcome": "accept",
                "delivery": "delivery_01h455vb4pex5vsknk084sn02q",
                "rationale": "x",
            },
            "/delivery",
            "other_delivery",
        ),
        (
            {"outcome": "abstain", "worker_share": "0.5", "rationale": "x"},
            "/worker_share",
            "contradiction",
        ),
    ],
)
def test_a_vote_that_is_not_one_is_refused(vote: Json, pointer: str, code: str) -> None:
    dispute = before_a_panel()
    judge = a_panelist(dispute)

    with nothing_changes():
        invalid(judge.post(of(dispute, "/votes"), vote), pointer, code)


def test_a_vote_is_final_and_only_the_panels() -> None:
    ada, bo = sides()
    dispute = before_a_panel(a_dispute(ada.participant, bo.participant))
    judge = a_panelist(dispute)
    assert ok(judge.get(of(dispute)))["permitted_actions"] == ["vote"]
    ok(judge.post(of(dispute, "/votes"), VOTE), 201)

    with nothing_changes():
        twice = judge.post(of(dispute, "/votes"), VOTE | {"outcome": "abstain"})
        side = ada.post(of(dispute, "/votes"), VOTE)

    problem(twice, 409, "voted_already")
    problem(side, 403, "not_permitted")
    assert ok(judge.get(of(dispute)))["permitted_actions"] == []


def test_a_vote_can_be_repeated_after_a_lost_answer() -> None:
    dispute = before_a_panel()
    judge = a_panelist(dispute)

    first = judge.post(of(dispute, "/votes"), VOTE, once="vote-1")
    second = judge.post(of(dispute, "/votes"), VOTE, once="vote-1")

    assert ok(first, 201) == ok(second, 201)


def test_a_side_appeals_once_and_not_against_having_won() -> None:
    ada, bo = sides()
    dispute = a_decided_dispute(dispute=a_dispute(ada.participant, bo.participant))
    assert ok(ada.get(of(dispute)))["permitted_actions"] == ["appeal"]
    assert ok(bo.get(of(dispute)))["permitted_actions"] == []
    problem(bo.post(of(dispute, "/appeal"), {"reason": "More."}), 409, "nothing_to_gain")
    judge = as_caller(Participant.objects.get(seats__dispute=dispute, seats__position=1))
    problem(judge.post(of(dispute, "/appeal"), {"reason": "x"}), 403, "not_permitted")

    shown = ok(ada.post(of(dispute, "/appeal"), {"reason": "Nobody opened the file."}))

    assert shown["state"] == "appealed"
    assert shown["appeal"] == {
        "by": ada.handle,
        "reason": "Nobody opened the file.",
        "decision": None,
    }
    again_ = problem(ada.post(of(dispute, "/appeal"), {"reason": "x"}), 409, "illegal_transition")
    assert again_["state"] == "appealed"


def test_the_settlement_names_the_panels_part() -> None:
    ada, bo = sides()
    dispute = after(a_decided_dispute(dispute=a_dispute(ada.participant, bo.participant)), APPEAL)

    settlement = ok(bo.get(f"/tasks/{dispute.task.public_id}/settlement"))

    assert (settlement["panel"], settlement["fee"]) == ("0.5", "0")
    assert settlement["workers"] == [{"participant": bo.handle, "amount": "9.5"}]


# --- Lists ----------------------------------------------------------------------------------------


def test_everybody_lists_the_disputes_that_concern_them() -> None:
    ada, bo = sides()
    mine = a_dispute(ada.participant, bo.participant)
    a_dispute()
    seated = before_a_panel(a_dispute(bo.participant))
    judge = a_panelist(seated)

    def listed(caller: Caller, **query: str) -> list[str]:
        return [one["id"] for one in ok(caller.get("/disputes", **query))["results"]]

    assert listed(ada) == [mine.public_id]
    assert listed(bo) == [seated.public_id, mine.public_id]
    assert listed(bo, task=mine.task.public_id) == [mine.public_id]
    assert listed(bo, state="voting") == [seated.public_id]
    assert seated.public_id in listed(judge, role="panelist")
    assert listed(judge, role="staff") == []


def test_a_list_makes_as_many_queries_for_five_as_for_one() -> None:
    ada = somebody()
    voted(before_a_panel(a_dispute(ada.participant)), FOR_WORKER)
    with at_most_queries(14) as of_one:
        ok(ada.get("/disputes"))
    for _ in range(4):
        voted(before_a_panel(a_dispute(ada.participant)), FOR_WORKER)

    with at_most_queries(len(of_one)):
        assert len(ok(ada.get("/disputes"))["results"]) == 5


def test_opening_moves_the_deposit_and_nothing_else() -> None:
    ada, bo = sides()
    task = a_rejected_delivery(ada.participant, bo.participant).task
    before = available(ada.participant)

    ok(bo.post(f"/tasks/{task.public_id}/disputes", {"reason": "x"}), 201)

    assert available(ada.participant) == before
    assert ok(bo.get("/credits"))["available"] == "99.5"
    (line,) = ok(bo.get("/credits/statement", kind="deposit"))["results"]
    assert (line["amount"], line["subject"]["type"]) == ("-0.5", "dispute")
    assert again(task).state == "disputed"
