"""The switch that stops all writing to the ledger, at once and in the database; reading goes on.

An audit that finds the books wrong throws it, or a person; a person lifts it. While it is thrown
every call that writes raises `MoneyReadOnly`, a repetition of an earlier request included. Its
turns are kept with who turned it, when and why.
"""

from dataclasses import dataclass
from datetime import datetime

from credits.ledger import check_text
from credits.round_trip import rows, write

MAX_REASON_CHARACTERS = 1_000
MAX_ACTOR_CHARACTERS = 200


@dataclass(frozen=True, slots=True)
class Turn:
    """The switch was turned once.

    Attributes:
        number: From 1, without gaps.
        stops: Whether writing stopped, or resumed.
        reason: Why, in words.
        actor: Who turned it; opaque here.
        turned_at: When, by the database's clock.
    """

    number: int
    stops: bool
    reason: str
    actor: str
    turned_at: datetime


def stop_writing(*, reason: str, actor: str) -> bool:
    """Stop all writing; say whether this call did, and not an earlier one.

    Once the caller's transaction has committed, nothing that another transaction writes can be: it
    waits for those that have written already, and refuses those that have not.

    Args:
        reason: Why; 1 to `MAX_REASON_CHARACTERS` characters.
        actor: Who; 1 to `MAX_ACTOR_CHARACTERS` characters.

    Raises:
        InvalidText: A text is empty, too long or cannot be stored.
        OperationalError: After two seconds (lock_not_available), because somebody still writes, or
            builds an index or cleans a table by hand. Postings waited as long; try again soon.

    Transaction: the caller's, which had better be short: postings wait for its end. Locks: the
    tables of the ledger against writing. Round trips: one.
    """
    return _turn("credits_stop_writing", reason, actor)


def resume_writing(*, reason: str, actor: str) -> bool:
    """Let the ledger be written again; say whether this call did. As `stop_writing`."""
    return _turn("credits_resume_writing", reason, actor)


def standing_stop() -> Turn | None:
    """Return the turn that stopped writing, or None while the ledger is written.

    For showing; only the database decides. Round trips: one.
    """
    last = next(iter(history(limit=1)), None)
    return last if last is not None and last.stops else None


def history(*, limit: int) -> list[Turn]:
    """Return the newest turns, newest first. Round trips: one."""
    found = rows(
        "SELECT number, stops, reason, actor, turned_at FROM credits_switch"
        " ORDER BY number DESC LIMIT %s",
        [limit],
    )
    return [Turn(*turn) for turn in found]


def _turn(function: str, reason: str, actor: str) -> bool:
    check_text("reason", reason, MAX_REASON_CHARACTERS, least=1)
    check_text("actor", actor, MAX_ACTOR_CHARACTERS, least=1)
    return bool(write(f"SELECT {function}(%s, %s)", [reason, actor]))
