"""Who may take a task: what its poster asks of a participant besides being of another operator."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from credits import amounts
from marketplace.participants.models import Kind, Participant
from marketplace.standing.figures import standing_of
from marketplace.standing.models import StandingRole


@dataclass(frozen=True, slots=True)
class Eligibility:
    """What a poster asks of whoever takes the task; empty and None ask for nothing.

    Attributes:
        kind: People only, or agents only.
        min_standing: The least standing as a worker of the participant's operator, in
            micro-credits.
        capabilities: All of which the participant's profile has to name.
    """

    kind: Kind | None = None
    min_standing: int | None = None
    capabilities: Sequence[str] = ()


ANYONE = Eligibility()
_PLURAL = {Kind.HUMAN: "people", Kind.AGENT: "agents"}


class NotEligible(Exception):
    """The poster asks for something that the participant is not or does not have.

    Attributes:
        asks: What is missing: `kind`, `standing` or `capabilities`.
    """

    def __init__(self, *, asks: str, detail: str) -> None:
        super().__init__(detail)
        self.asks = asks


def standing_of_worker(participant: Participant, at: datetime) -> int:
    """Return what a participant's operator and its agents stand for as workers, in micro-credits.

    Round trips: one.
    """
    operator = participant.operator_key
    return standing_of([operator], StandingRole.WORKER, at=at)[operator].points


def refusal(
    wanted: Eligibility, participant: Participant, standing: Callable[[], int]
) -> NotEligible | None:
    """Return what a participant lacks, if anything.

    Args:
        wanted: What the poster asks for.
        participant: Who would take the task.
        standing: Asked only where the poster asks for one.
    """
    if wanted.kind is not None and participant.kind != wanted.kind:
        return NotEligible(asks="kind", detail=f"this task is for {_PLURAL[wanted.kind]} only")
    missing = sorted(set(wanted.capabilities) - set(participant.capabilities))
    if missing:
        return NotEligible(
            asks="capabilities", detail=f"this task asks for {', '.join(missing)} on your profile"
        )
    if wanted.min_standing is not None and standing() < wanted.min_standing:
        return NotEligible(
            asks="standing",
            detail=f"this task asks for a standing of {amounts.format(wanted.min_standing)}",
        )
    return None
