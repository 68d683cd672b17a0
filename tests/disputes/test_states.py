"""The table of a dispute's states, whatever has to say the same, and every move in every state."""

from collections.abc import Callable
from itertools import product

import pytest
from django.db import IntegrityError, connection, transaction

from marketplace.api.problems import CATALOGUE
from marketplace.disputes.models import Decision, Dispute, Evidence, Outcome, Seat
from marketplace.disputes.permissions import permitted_actions
from marketplace.disputes.queries import as_shown
from marketplace.disputes.states import (
    STEPS,
    DisputeState,
    NotInThisState,
    Part,
    next_state,
    verbs_of,
)
from marketplace.disputes.usecases.appeal_outcome import appeal_outcome
from marketplace.disputes.usecases.cast_vote import cast_vote
from marketplace.disputes.usecases.decide_dispute import decide_dispute
from marketplace.disputes.usecases.submit_evidence import submit_evidence
from marketplace.participants.models import Participant
from marketplace.tasks.queries import viewer
from marketplace.tasks.states import NotPermitted
from tests.builders.disputes import (
    ABSTAIN,
    FOR_POSTER,
    a_decided_dispute,
    a_dispute,
    a_settled_dispute,
    appealed,
    as_it_stands,
    before_a_panel,
    open_seats,
    voted,
)
from tests.builders.people import a_person
from tests.builders.staff import somebody_of_staff
from tests.owner import as_owner

VERBS = sorted({step.verb for step in STEPS})


# --- The table ------------------------------------------------------------------------------------


@pytest.mark.parametrize("part", Part)
def test_a_verb_works_exactly_where_the_table_has_it(part: Part) -> None:
    for verb, state in product(VERBS, DisputeState):
        here = [one for one in STEPS if (one.verb, one.source) == (verb, state)]
        own = [one for one in here if one.part == part]
        of_part_elsewhere = any((one.verb, one.part) == (verb, part) for one in STEPS)
        if own:
            assert next_state(state, verb, frozenset({part})) == own[0].target
            assert verb in verbs_of(state, frozenset({part}))
        else:
            is_others = here and not of_part_elsewhere
            with pytest.raises(NotPermitted if is_others else NotInThisState):
                next_state(state, verb, frozenset({part}))


def test_every_state_ends_by_itself() -> None:
    for state in set(DisputeState) - {DisputeState.SETTLED}:
        ways = {one.target for one in STEPS if one.source == state and one.part == Part.COURSE}
        assert ways - {state}, f"{state} would last for ever"


def test_nothing_follows_a_settlement() -> None:
    assert not [one for one in STEPS if one.source == DisputeState.SETTLED]


@pytest.mark.django_db
def test_the_database_knows_the_same_steps() -> None:
    moves = {(one.source.value, one.target.value) for one in STEPS if one.source != one.target}

    with connection.cursor() as cursor:
        cursor.execute("SELECT source, target FROM disputes_step")
        assert set(cursor.fetchall()) == moves


# --- What the database refuses whoever asks -------------------------------------------------------


def _change_the_state(dispute: Dispute) -> None:
    Dispute.objects.filter(pk=dispute.pk).update(state=DisputeState.EVIDENCE)


def _change_the_reason(dispute: Dispute) -> None:
    Dispute.objects.filter(pk=dispute.pk).update(reason="Something else.")


def _draw_again(dispute: Dispute) -> None:
    Dispute.objects.filter(pk=dispute.pk).update(seed=b"0" * 32)


def _change_the_pool(dispute: Dispute) -> None:
    Dispute.objects.filter(pk=dispute.pk).update(pool=["a-friend"])


def _change_a_vote(dispute: Dispute) -> None:
    Seat.objects.filter(dispute=dispute).update(share_bps=0)


def _change_a_seat(dispute: Dispute) -> None:
    Seat.objects.filter(dispute=dispute).update(panelist=dispute.task.poster)


def _forget_a_seat(dispute: Dispute) -> None:
    Seat.objects.filter(dispute=dispute).delete()


def _change_the_decision(dispute: Dispute) -> None:
    Decision.objects.filter(dispute=dispute).update(share_bps=0)


def _forget_evidence(dispute: Dispute) -> None:
    Evidence.objects.filter(dispute=dispute).delete()


@pytest.mark.django_db
@pytest.mark.parametrize(
    "change",
    [
        *(_change_the_state, _change_the_reason, _draw_again, _change_the_pool),
        *(_change_a_vote, _change_a_seat, _forget_a_seat),
        *(_change_the_decision, _forget_evidence),
    ],
)
def test_what_was_said_and_drawn_cannot_be_changed(change: Callable[[Dispute], None]) -> None:
    dispute = a_dispute(a_person())
    submit_evidence(dispute_id=dispute.pk, actor=dispute.task.poster, text="Look.")
    dispute = a_decided_dispute(dispute=dispute)

    with as_owner(), pytest.raises(IntegrityError), transaction.atomic():
        change(dispute)


# --- Every move in every state --------------------------------------------------------------------


def _with_somebody_of_staff() -> Dispute:
    dispute = before_a_panel()
    for _ in range(3):
        dispute = voted(dispute, *[ABSTAIN] * 3)
    return dispute


def _appealed() -> Dispute:
    dispute = a_decided_dispute(*[FOR_POSTER] * 3)
    assert dispute.claim is not None
    return appealed(dispute, dispute.claim.worker)


SITUATIONS: dict[DisputeState, Callable[[], Dispute]] = {
    DisputeState.EVIDENCE: a_dispute,
    DisputeState.VOTING: before_a_panel,
    DisputeState.ADMINISTRATOR: _with_somebody_of_staff,
    DisputeState.DECIDED: lambda: a_decided_dispute(*[FOR_POSTER] * 3),
    DisputeState.APPEALED: _appealed,
    DisputeState.SETTLED: a_settled_dispute,
}
MOVES: dict[str, Callable[[Dispute, Participant], object]] = {
    "submit_evidence": lambda dispute, actor: submit_evidence(
        dispute_id=dispute.pk, actor=actor, text="x"
    ),
    "vote": lambda dispute, actor: cast_vote(
        dispute_id=dispute.pk, actor=actor, outcome=Outcome.REJECT, rationale="x"
    ),
    "appeal": lambda dispute, actor: appeal_outcome(dispute_id=dispute.pk, actor=actor, reason="x"),
    "decide": lambda dispute, actor: decide_dispute(
        dispute_id=dispute.pk, actor=actor, outcome=Outcome.REJECT, rationale="x"
    ),
}
EXPECTED = {
    DisputeState.EVIDENCE: {"poster": {"submit_evidence"}, "worker": {"submit_evidence"}},
    DisputeState.VOTING: {"panelist": {"vote"}},
    DisputeState.ADMINISTRATOR: {"staff": {"decide"}},
    DisputeState.DECIDED: {"worker": {"appeal"}},
    DisputeState.APPEALED: {"staff": {"decide"}},
    DisputeState.SETTLED: {},
}


def works(
    move: Callable[[Dispute, Participant], object], dispute: Dispute, actor: Participant
) -> bool:
    """Try a move, undo it, and say whether it worked."""
    refusal = refusal_of(move, dispute, actor)
    if isinstance(refusal, NotInThisState):  # it says where the dispute stands, and what to do
        assert refusal.state == dispute.state
        assert not refusal.rule or (refusal.hint and CATALOGUE[refusal.rule].status == 409)
    return refusal is None


def refusal_of(
    move: Callable[[Dispute, Participant], object], dispute: Dispute, actor: Participant
) -> Exception | None:
    with transaction.atomic():
        try:
            move(dispute, actor)
        except (NotInThisState, NotPermitted, Dispute.DoesNotExist) as refusal:
            return refusal
        finally:
            transaction.set_rollback(True)
    return None


@pytest.mark.django_db
@pytest.mark.parametrize("state", DisputeState)
def test_what_is_offered_is_exactly_what_works(state: DisputeState) -> None:
    dispute = as_it_stands(SITUATIONS[state]())
    assert dispute.state == state
    assert dispute.claim is not None
    seats = open_seats(dispute)
    cast = {
        "poster": dispute.task.poster,
        "worker": dispute.claim.worker,
        "staff": somebody_of_staff(),
        "stranger": a_person(),
        **({"panelist": seats[0].panelist} if seats else {}),
    }

    offered, working = {}, {}
    for name, one in cast.items():
        shown = as_shown(Dispute.objects.filter(pk=dispute.pk)).get()
        offered[name] = set(permitted_actions(shown, viewer(one)))
        working[name] = {verb for verb, move in MOVES.items() if works(move, dispute, one)}

    assert offered == working
    assert {name: verbs for name, verbs in offered.items() if verbs} == EXPECTED[state]
