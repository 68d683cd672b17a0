"""What somebody may do in a dispute now; use cases raise what `permitted_actions` leaves out."""

from marketplace.disputes.models import Dispute, Seat, SeatState
from marketplace.disputes.states import (
    DisputeState,
    NotInThisState,
    Part,
    next_state,
    verbs_of,
)
from marketplace.participants.models import Participant
from marketplace.tasks.division import BASIS_POINTS
from marketplace.tasks.permissions import Viewer
from marketplace.tasks.states import NotPermitted

MOST_EVIDENCE = 10  # of each side
JUDGING = frozenset({"vote", "decide"})


def parts_of(dispute: Dispute, participant: Participant | None) -> frozenset[Part]:
    """Return what *participant* is to a dispute whose seats are loaded.

    The sides are poster and worker themselves; their operators read and do not speak. Whoever has
    a side, or came to have one since they were drawn, neither votes nor decides.
    """
    if participant is None:
        return frozenset()
    claim = dispute.claim
    parts = set()
    if claim is not None and participant.pk in (dispute.poster_side[0], claim.worker_id):
        parts.add(Part.PARTY)
    if not _is_recused(dispute, participant):
        if seat_of(dispute, participant) is not None:
            parts.add(Part.PANELIST)
        if participant.is_staff:
            parts.add(Part.STAFF)
    return frozenset(parts)


def _is_recused(dispute: Dispute, participant: Participant) -> bool:
    return participant.operator_key in dispute.task.recused


def seat_of(dispute: Dispute, participant: Participant) -> Seat | None:
    """Return the seat that *participant* was drawn for, where there is one."""
    return next((seat for seat in dispute.seats.all() if seat.panelist_id == participant.pk), None)


def is_revealed(dispute: Dispute) -> bool:
    """Say whether votes, panelists and draw are shown: they are once something was decided."""
    return dispute.is_settled or any(dispute.decisions.all())


def votes_shown(dispute: Dispute, participant: Participant | None) -> list[Seat]:
    """Return the seats that voted, as far as *participant* may know: none until it is decided.

    An administrator who decides because votes are missing reads those that were cast.
    """
    deciding = dispute.state == DisputeState.ADMINISTRATOR
    if not is_revealed(dispute) and not (deciding and Part.STAFF in parts_of(dispute, participant)):
        return []
    return [seat for seat in dispute.seats.all() if seat.state == SeatState.VOTED]


def refusal_beside_state(
    dispute: Dispute, verb: str, participant: Participant
) -> NotInThisState | None:
    """Return which rule forbids a verb that the state allows, if one does."""
    asked = {
        "vote": _refusal_of_vote,
        "submit_evidence": _refusal_of_evidence,
        "appeal": _refusal_of_appeal,
        "decide": _refusal_of_decision,
    }
    rule, hint = asked[verb](dispute, participant)
    return NotInThisState(verb=verb, state=dispute.state, rule=rule, hint=hint) if rule else None


def _refusal_of_vote(dispute: Dispute, participant: Participant) -> tuple[str, str]:
    seat = seat_of(dispute, participant)
    if seat is not None and seat.state in (SeatState.VOTED, SeatState.ABSTAINED):
        return "voted_already", "A vote is final; wait until all are in."
    if seat is not None and seat.state == SeatState.LAPSED:
        return "seat_lapsed", "Your time to vote has passed; another was drawn."
    return "", ""


def _refusal_of_evidence(dispute: Dispute, participant: Participant) -> tuple[str, str]:
    own = [one for one in dispute.evidence.all() if one.author_id == participant.pk]
    if len(own) >= MOST_EVIDENCE:
        return "evidence_exhausted", f"Each side hands in evidence at most {MOST_EVIDENCE} times."
    return "", ""


def _refusal_of_appeal(dispute: Dispute, participant: Participant) -> tuple[str, str]:
    decided = dispute.decisions.all()[0].share_bps
    if decided == (0 if participant.pk == dispute.poster_side[0] else BASIS_POINTS):
        return "nothing_to_gain", "The outcome gives you everything already."
    return "", ""


def _refusal_of_decision(dispute: Dispute, participant: Participant) -> tuple[str, str]:
    if participant.pk in [one.administrator_id for one in dispute.decisions.all()]:
        return "own_decision", "Another administrator decides about this appeal."
    return "", ""


def require(dispute: Dispute, verb: str, participant: Participant) -> frozenset[Part]:
    """Return what *participant* does *verb* as, or raise what forbids it.

    Raises:
        NotPermitted: Somebody else's move; or they would judge what they have a side in.
        NotInThisState: Not in this state, or a rule beside it says no.
    """
    parts = parts_of(dispute, participant)
    try:
        next_state(DisputeState(dispute.state), verb, parts)
    except NotPermitted:
        if verb in JUDGING and _is_recused(dispute, participant):
            reason = "nobody judges what they have a side in, or lead or posted a task above"
            raise NotPermitted(verb=verb, reason=reason) from None
        raise
    refusal = refusal_beside_state(dispute, verb, participant)
    if refusal is not None:
        raise refusal
    return parts


def permitted_actions(dispute: Dispute, viewer: Viewer) -> list[str]:
    """Return the names of what *viewer* may do in a dispute now."""
    asking = viewer.participant
    if asking is None or (dispute.due_at is not None and dispute.due_at <= viewer.at):
        return []  # the clock has its way first
    verbs = verbs_of(DisputeState(dispute.state), parts_of(dispute, asking))
    return sorted(verb for verb in verbs if refusal_beside_state(dispute, verb, asking) is None)
