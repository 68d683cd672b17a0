"""Administrators: deciding disputes by the command and in the admin; what they see of panels."""

import io

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from pytest_django import Settings

from marketplace.disputes.models import Decision, Dispute, Outcome
from marketplace.disputes.states import DisputeState, NotInThisState
from marketplace.disputes.usecases.decide_dispute import decide_dispute
from marketplace.participants.models import Participant
from marketplace.tasks.states import NotPermitted
from tests.builders.disputes import (
    EVIDENCE,
    FOR_WORKER,
    a_decided_dispute,
    a_dispute,
    after,
    appealed,
    as_it_stands,
    before_a_panel,
    decided_by,
    open_seats,
    voted,
)
from tests.builders.people import a_person
from tests.builders.staff import somebody_of_staff
from tests.web.reading import signed_in

pytestmark = pytest.mark.django_db


@pytest.fixture
def waiting(settings: Settings) -> Dispute:
    """A dispute for which no panel could be seated."""
    settings.PANELIST_ACCEPTED_TASKS = 10**6
    return after(a_dispute(a_person()), EVIDENCE)


def decide(dispute: Dispute, actor: Participant, *said: str, reason: str = "I read it.") -> str:
    out = io.StringIO()
    call_command(
        "decide_dispute", dispute.public_id, *said, handle=actor.handle, reason=reason, stdout=out
    )
    return out.getvalue().strip()


def test_somebody_of_staff_decides_by_the_command(waiting: Dispute) -> None:
    staff = somebody_of_staff()

    said = decide(waiting, staff, "split", "--worker-share", "0.25")

    assert said == f"{waiting.public_id} is decided"
    decision = Decision.objects.get(dispute=waiting)
    assert (decision.share_bps, decision.administrator) == (2_500, staff)
    assert decision.rationale == "I read it."


@pytest.mark.parametrize(
    "said", [("split",), ("split", "--worker-share", "2"), ("accept", "--worker-share", "0.5")]
)
def test_a_decision_that_contradicts_itself_is_refused(
    waiting: Dispute, said: tuple[str, ...]
) -> None:
    with pytest.raises(CommandError):
        decide(waiting, somebody_of_staff(), *said)

    assert as_it_stands(waiting).state == DisputeState.ADMINISTRATOR


def test_nobody_else_decides_and_nobody_in_their_own_cause(waiting: Dispute) -> None:
    poster = waiting.task.poster
    with pytest.raises(CommandError):
        decide(waiting, a_person(), "accept")
    Participant.objects.filter(pk=poster.pk).update(is_staff=True)

    with pytest.raises(CommandError):
        decide(waiting, Participant.objects.get(pk=poster.pk), "reject")


def test_somebody_of_staff_does_not_decide_the_appeal_against_their_own_decision(
    waiting: Dispute,
) -> None:
    staff = somebody_of_staff()
    dispute = decided_by(staff, waiting, Outcome.ACCEPT)
    dispute = appealed(dispute, dispute.task.poster)

    with pytest.raises(NotInThisState) as refusal:
        decided_by(staff, dispute, Outcome.ACCEPT)
    assert refusal.value.rule == "own_decision"

    assert decided_by(somebody_of_staff(), dispute, Outcome.REJECT).share_bps == 0


def test_staff_decide_only_what_waits_for_them() -> None:
    with pytest.raises(NotInThisState):
        decided_by(somebody_of_staff(), a_dispute(), Outcome.ACCEPT)
    with pytest.raises(NotInThisState):
        decided_by(somebody_of_staff(), a_decided_dispute(), Outcome.ACCEPT)


def test_nobody_else_decides(waiting: Dispute) -> None:
    with pytest.raises(NotPermitted):
        decide_dispute(
            dispute_id=waiting.pk,
            actor=waiting.task.poster,
            outcome=Outcome.REJECT,
            rationale="Mine.",
        )


# --- The admin ------------------------------------------------------------------------------------


def act(client: Client, dispute: Dispute, **typed: str) -> str:
    answer = client.post(
        "/admin/disputes/dispute/",
        {"action": "decide", "_selected_action": str(dispute.pk), **typed},
        follow=True,
    )
    assert answer.status_code == 200
    return answer.content.decode()


def test_somebody_of_staff_decides_in_the_admin(waiting: Dispute) -> None:
    staff = somebody_of_staff()
    client = signed_in(staff)
    assert "Worker&#x27;s share" in client.get("/admin/disputes/dispute/").content.decode()

    assert "Say a share from 0 to 1" in act(client, waiting, worker_share="much", rationale="x")
    assert "Say a share from 0 to 1" in act(client, waiting, worker_share="0.5", rationale="")
    said = act(client, waiting, worker_share="0.5", rationale="Half of it.")

    assert f"{waiting.public_id.capitalize()} is decided." in said
    assert Decision.objects.get(dispute=waiting).share_bps == 5_000
    assert "is not possible" in act(client, waiting, worker_share="1", rationale="Again.")


def test_the_admin_shows_no_seat_before_it_is_decided() -> None:
    client = signed_in(somebody_of_staff())
    dispute = voted(before_a_panel(), FOR_WORKER)
    handle = open_seats(dispute)[0].panelist.handle
    path = f"/admin/disputes/seat/?q={handle}"

    before = client.get(path).content.decode()
    voted(dispute, FOR_WORKER, FOR_WORKER)
    after_ = client.get(path).content.decode()

    assert dispute.public_id not in before
    assert dispute.public_id in after_


def test_rows_of_disputes_can_be_read_and_not_changed() -> None:
    client = signed_in(somebody_of_staff())
    dispute = a_decided_dispute()

    page = client.get(f"/admin/disputes/dispute/{dispute.pk}/change/")

    assert page.status_code == 200
    assert 'name="_save"' not in page.content.decode()
