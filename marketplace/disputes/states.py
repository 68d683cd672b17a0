"""The state machine of a dispute, as a table, in the manner of `tasks.states`.

While a dispute runs its task is `disputed` and no other limit of it runs. The dispute's own limits
are columns, of which the task's `dispute_due_at` is the next, so that one sweeper serves all.
"""

from dataclasses import dataclass

from django.db import models

from marketplace.tasks.states import IllegalTransition, NotPermitted


class DisputeState(models.TextChoices):
    """Where a dispute stands."""

    EVIDENCE = "evidence", "both sides hand in evidence"
    VOTING = "voting", "a panel votes"
    ADMINISTRATOR = "administrator", "no panel could be seated: an administrator decides"
    DECIDED = "decided", "decided, and may be appealed against"
    APPEALED = "appealed", "an administrator decides about the appeal"
    SETTLED = "settled", "the escrow is divided"


S = DisputeState


class Part(models.TextChoices):
    """What somebody is to a dispute."""

    PARTY = "party"  # poster or worker
    PANELIST = "panelist"  # holds a seat that has not answered
    STAFF = "staff"  # of neither side
    COURSE = "course"  # what follows from votes or from the passing of a limit


@dataclass(frozen=True, slots=True)
class Step:
    """One edge: who may do *verb* in state *source*, and where it leads."""

    verb: str
    source: DisputeState
    target: DisputeState
    part: Part


# fmt: off
STEPS = (
    #    verb               source           target           who may
    Step("submit_evidence", S.EVIDENCE,      S.EVIDENCE,      Part.PARTY),
    Step("seat_panel",      S.EVIDENCE,      S.VOTING,        Part.COURSE),
    Step("find_no_panel",   S.EVIDENCE,      S.ADMINISTRATOR, Part.COURSE),
    Step("vote",            S.VOTING,        S.VOTING,        Part.PANELIST),
    Step("redraw",          S.VOTING,        S.VOTING,        Part.COURSE),
    Step("count",           S.VOTING,        S.DECIDED,       Part.COURSE),
    Step("find_no_panel",   S.VOTING,        S.ADMINISTRATOR, Part.COURSE),
    Step("settle",          S.VOTING,        S.SETTLED,       Part.COURSE),  # a contest's panel
    Step("decide",          S.ADMINISTRATOR, S.DECIDED,       Part.STAFF),
    Step("default",         S.ADMINISTRATOR, S.DECIDED,       Part.COURSE),
    Step("appeal",          S.DECIDED,       S.APPEALED,      Part.PARTY),
    Step("settle",          S.DECIDED,       S.SETTLED,       Part.COURSE),
    Step("decide",          S.APPEALED,      S.SETTLED,       Part.STAFF),
    Step("settle",          S.APPEALED,      S.SETTLED,       Part.COURSE),
)
# fmt: on


class NotInThisState(IllegalTransition):
    """The dispute's state, or a rule beside it, does not permit the verb.

    Attributes:
        rule: Which rule where the state would permit it: `voted_already`, `seat_lapsed`,
            `evidence_exhausted`, `nothing_to_gain` or `own_decision`; empty where it is the state.
    """

    def __init__(self, *, verb: str, state: str, rule: str = "", hint: str = "") -> None:
        super().__init__(verb=verb, state=state, hint=hint)
        self.args = (f"{verb} is not possible while the dispute is in state {state}",)
        self.rule = rule


def next_state(state: DisputeState, verb: str, parts: frozenset[Part]) -> DisputeState:
    """Return the state that *verb* leads to for somebody who is *parts*.

    Raises:
        NotPermitted: It is somebody else's move.
        NotInThisState: It is nobody's move in this state, or the asker's in another one.
    """
    rows = [step for step in STEPS if step.verb == verb]
    here = [step for step in rows if step.source == state]
    for step in here:
        if step.part in parts:
            return step.target
    if not here or any(step.part in parts for step in rows):
        raise NotInThisState(verb=verb, state=state)
    raise NotPermitted(verb=verb)


def verbs_of(state: DisputeState, parts: frozenset[Part]) -> frozenset[str]:
    """Return every verb that somebody who is *parts* has in this state."""
    return frozenset(step.verb for step in STEPS if step.source == state and step.part in parts)
