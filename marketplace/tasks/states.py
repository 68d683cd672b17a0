"""The state machine of a task, as a table.

Everything else reads it: `next_state`, the `permitted_actions` that callers are offered, the
buttons of the pages, the diagram in `docs/states.md` and the trigger that refuses other changes of
the column (both are checked against it by tests).
"""

from dataclasses import dataclass

from django.db import models


class TaskState(models.TextChoices):
    """Where a task stands."""

    CHECKING = "checking", "its checkers are being proven"
    BLOCKED = "blocked", "waits for sibling subtasks"
    OPEN = "open", "may be claimed, bid for or entered"
    OFFERED = "offered", "offered to one participant"
    CLAIMED = "claimed", "somebody works on it"
    SUBMITTED = "submitted", "a delivery awaits review"
    DISPUTED = "disputed", "a panel decides"
    CLOSING = "closing", "waits for its last child"
    ACCEPTED = "accepted", "a delivery was accepted and paid"
    CANCELLED = "cancelled", "called off, and refunded"
    EXPIRED = "expired", "its deadline passed, and it was refunded"


S = TaskState
ENDED = frozenset({S.ACCEPTED, S.CANCELLED, S.EXPIRED})


class Role(models.TextChoices):
    """What somebody is to a task."""

    POSTER = "poster"
    FUNDER = "funder"  # posted the task whose escrow a subtask is paid from
    WORKER = "worker"  # holds the claim
    OFFEREE = "offeree"  # was offered the task
    BIDDER = "bidder"  # made the bid in question
    ANYONE = "anyone"  # may take work of this poster
    CLOCK = "clock"  # a limit of time has passed
    CHECKS = "checks"  # the required checks have ended
    STAFF = "staff"  # look at what a check could not
    TREE = "tree"  # what became of its parent, its siblings or its subtasks


R = Role


@dataclass(frozen=True, slots=True)
class Transition:
    """One edge: who may do *verb* in state *source*, and where it leads."""

    verb: str
    source: TaskState
    target: TaskState
    role: Role


# fmt: off
TRANSITIONS = (
    #          verb                source        target        who may
    Transition("edit",             S.BLOCKED,    S.BLOCKED,    R.POSTER),
    Transition("cancel",           S.BLOCKED,    S.CANCELLED,  R.POSTER),
    Transition("unblock",          S.BLOCKED,    S.OPEN,       R.TREE),     # all it waits for is in
    Transition("offer",            S.BLOCKED,    S.OFFERED,    R.TREE),     # the same, if direct
    Transition("cancel_with_tree", S.BLOCKED,    S.CANCELLED,  R.TREE),     # with parent or sibling
    Transition("lapse_blocked",    S.BLOCKED,    S.CANCELLED,  R.CLOCK),
    Transition("claim",            S.OPEN,       S.CLAIMED,    R.ANYONE),
    Transition("bid",              S.OPEN,       S.OPEN,       R.ANYONE),   # proposes a price
    Transition("enter",            S.OPEN,       S.OPEN,       R.ANYONE),   # delivers to a contest
    Transition("edit",             S.OPEN,       S.OPEN,       R.POSTER),
    Transition("raise",            S.OPEN,       S.OPEN,       R.POSTER),
    Transition("select",           S.OPEN,       S.OFFERED,    R.POSTER),
    Transition("cancel",           S.OPEN,       S.CANCELLED,  R.POSTER),
    Transition("close_contest",    S.OPEN,       S.SUBMITTED,  R.CLOCK),
    Transition("cancel_with_tree", S.OPEN,       S.CANCELLED,  R.TREE),
    Transition("close",            S.OPEN,       S.CLOSING,    R.TREE),     # its subtasks run on
    Transition("expire",           S.OPEN,       S.EXPIRED,    R.CLOCK),
    Transition("claim",            S.OFFERED,    S.CLAIMED,    R.OFFEREE),
    Transition("decline",          S.OFFERED,    S.OPEN,       R.OFFEREE),
    Transition("refuse",           S.OFFERED,    S.CANCELLED,  R.OFFEREE),  # declines, for good
    Transition("cancel",           S.OFFERED,    S.CANCELLED,  R.POSTER),
    Transition("cancel_with_tree", S.OFFERED,    S.CANCELLED,  R.TREE),
    Transition("close",            S.OFFERED,    S.CLOSING,    R.TREE),
    Transition("lapse_offer",      S.OFFERED,    S.OPEN,       R.CLOCK),
    Transition("end_offer",        S.OFFERED,    S.CANCELLED,  R.CLOCK),
    Transition("heartbeat",        S.CLAIMED,    S.CLAIMED,    R.WORKER),
    Transition("submit",           S.CLAIMED,    S.SUBMITTED,  R.WORKER),
    Transition("use_asset",        S.CLAIMED,    S.CLAIMED,    R.WORKER),
    Transition("delegate",         S.CLAIMED,    S.CLAIMED,    R.WORKER),   # plans subtasks
    Transition("notice_with_tree", S.CLAIMED,    S.CLAIMED,    R.TREE),     # its parent ended
    Transition("close",            S.CLAIMED,    S.CLOSING,    R.TREE),
    Transition("abandon",          S.CLAIMED,    S.OPEN,       R.WORKER),
    Transition("withdraw",         S.CLAIMED,    S.CANCELLED,  R.WORKER),   # abandons under notice
    Transition("raise",            S.CLAIMED,    S.CLAIMED,    R.POSTER),
    Transition("give_notice",      S.CLAIMED,    S.CLAIMED,    R.POSTER),
    Transition("cancel_at_once",   S.CLAIMED,    S.CANCELLED,  R.POSTER),
    Transition("end_notice",       S.CLAIMED,    S.CANCELLED,  R.CLOCK),
    Transition("expire_claim",     S.CLAIMED,    S.OPEN,       R.CLOCK),
    Transition("expire",           S.CLAIMED,    S.EXPIRED,    R.CLOCK),
    Transition("raise",            S.SUBMITTED,  S.SUBMITTED,  R.POSTER),
    Transition("accept",           S.SUBMITTED,  S.ACCEPTED,   R.POSTER),
    Transition("reject",           S.SUBMITTED,  S.CLAIMED,    R.POSTER),
    Transition("accept_by_checks", S.SUBMITTED,  S.ACCEPTED,   R.CHECKS),
    Transition("reject_by_checks", S.SUBMITTED,  S.CLAIMED,    R.CHECKS),
    Transition("fail_entries",     S.SUBMITTED,  S.EXPIRED,    R.CHECKS),   # every entry failed
    Transition("remind",           S.SUBMITTED,  S.SUBMITTED,  R.CLOCK),
    Transition("accept_by_silence", S.SUBMITTED, S.ACCEPTED,   R.CLOCK),
    Transition("reject_by_silence", S.SUBMITTED, S.CLAIMED,    R.CLOCK),
    Transition("share",            S.SUBMITTED,  S.ACCEPTED,   R.CLOCK),    # of a silent contest
    Transition("hand_to_staff",    S.SUBMITTED,  S.SUBMITTED,  R.CLOCK),
    Transition("notice_with_tree", S.SUBMITTED,  S.SUBMITTED,  R.TREE),     # counts if rejected
    Transition("accept_by_staff",  S.SUBMITTED,  S.ACCEPTED,   R.STAFF),
    Transition("reject_by_staff",  S.SUBMITTED,  S.CLAIMED,    R.STAFF),
    Transition("dispute",          S.SUBMITTED,  S.DISPUTED,   R.POSTER),
    Transition("dispute",          S.CLAIMED,    S.DISPUTED,   R.WORKER),   # after a rejection
    Transition("hand_to_panel",    S.SUBMITTED,  S.DISPUTED,   R.CLOCK),
    Transition("accept_by_outcome", S.DISPUTED,  S.ACCEPTED,   R.CLOCK),
    Transition("accept_by_outcome", S.DISPUTED,  S.ACCEPTED,   R.STAFF),
    Transition("cancel_by_outcome", S.DISPUTED,  S.CANCELLED,  R.CLOCK),
    Transition("cancel_by_outcome", S.DISPUTED,  S.CANCELLED,  R.STAFF),
    Transition("award",            S.DISPUTED,   S.ACCEPTED,   R.CLOCK),    # a contest, by a panel
    Transition("share",            S.DISPUTED,   S.ACCEPTED,   R.CLOCK),    # or without its votes
    Transition("end_cancelled",    S.CLOSING,    S.CANCELLED,  R.TREE),     # its last subtask ended
    Transition("end_expired",      S.CLOSING,    S.EXPIRED,    R.TREE),
    Transition("dispute_earnings", S.ACCEPTED,   S.ACCEPTED,   R.FUNDER),   # of a subtask, waiting
)
# fmt: on


class IllegalTransition(Exception):
    """The state does not permit the verb, whoever asks.

    Attributes:
        verb: What was asked for.
        state: Where the task stands.
        hint: What the asker can do instead, or an empty string.
    """

    def __init__(self, *, verb: str, state: str, hint: str = "") -> None:
        super().__init__(f"{verb} is not possible while the task is {state}")
        self.verb = verb
        self.state = state
        self.hint = hint


class NotPermitted(Exception):
    """Somebody else's move.

    Attributes:
        verb: What was asked for.
        reason: Why it is not this actor's, or an empty string.
    """

    def __init__(self, *, verb: str, reason: str = "") -> None:
        super().__init__(reason or f"{verb} is somebody else's move")
        self.verb = verb
        self.reason = reason


def next_state(state: TaskState, verb: str, roles: frozenset[Role]) -> TaskState:
    """Return the state that *verb* leads to for somebody who holds *roles*.

    Raises:
        NotPermitted: It is somebody else's move.
        IllegalTransition: It is nobody's move in this state, or the asker's in another one.
    """
    rows = [row for row in TRANSITIONS if row.verb == verb]
    here = [row for row in rows if row.source == state]
    for row in here:
        if row.role in roles:
            return row.target
    if not here or any(row.role in roles for row in rows):
        raise IllegalTransition(verb=verb, state=state)
    raise NotPermitted(verb=verb)


def verbs_of(state: TaskState, roles: frozenset[Role]) -> frozenset[str]:
    """Return every verb that somebody who holds *roles* has in this state."""
    return frozenset(row.verb for row in TRANSITIONS if row.source == state and row.role in roles)
