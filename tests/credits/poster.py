"""A process that posts until it is killed, and notes every answer it got where it survives.

`python -m tests.credits.poster FOLDER NUMBER` is started by `tests.credits.crash`. What a process
asks for depends only on the seed, its number and how many requests it has made before.
"""

import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from uuid import UUID

import django
from django.conf import settings
from django.db import InterfaceError, OperationalError, connection, transaction
from psycopg.conninfo import conninfo_to_dict

from credits import escrow, ledger, rollup, seals
from credits.ledger import FEES, AccountId, Leg, NewPosting, Posted

CYCLE = 8
"""Requests about one work, from its funding to its refund."""

REPEATED = 3
"""Answered requests that a process makes again when it begins anew."""

DEADLOCK = "40P01"
PAUSE_SECONDS = 0.02


def use_database(url: str) -> None:
    """Set Django up with the ledger alone, in a process of its own."""
    facts = conninfo_to_dict(url)
    settings.configure(
        INSTALLED_APPS=["credits"],
        DATABASES={
            "default": {
                "ENGINE": "django.db.backends.postgresql",
                "NAME": facts["dbname"],
                "USER": facts["user"],
                "HOST": facts["host"],
                "PORT": facts["port"],
                "OPTIONS": {"options": "-c lock_timeout=10000"},
            }
        },
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        USE_TZ=True,
    )
    django.setup()


# --- What is asked for ----------------------------------------------------------------------------

Moved = dict[AccountId | str, int]
"""How much each account gets; a work's name stands for its escrow."""


@dataclass(frozen=True, slots=True)
class Request:
    """A call of the ledger.

    Attributes:
        ask: Makes the call; returns its postings.
        moved: What each of its postings moves.
    """

    ask: Callable[[], list[Posted]]
    moved: list[Moved]


@dataclass(frozen=True, slots=True)
class Requests:
    """All that one process will ever ask for.

    Attributes:
        seed: Of the run.
        number: Of the process.
        wallets: Shared by all processes; they hold more than is ever asked of them.
    """

    seed: int
    number: int
    wallets: list[AccountId]

    def request(self, index: int, answers: Sequence[Sequence[UUID]]) -> Request:
        """Return a request; *answers* are the postings of those before it."""
        cycle, step = divmod(index, CYCLE)
        dice = Random(f"{self.seed}/{self.number}/{cycle}")  # noqa: S311 - dice
        work, child = f"task:{self.number}:{cycle}", f"child:{self.number}:{cycle}"
        reference = f"{self.seed}:{self.number}:{index}"
        source, other = dice.sample(self.wallets, 2)
        bounty, share, back = dice.randint(500, 900), dice.randint(50, 300), dice.randint(1, 100)
        left = bounty - share - back
        legs = self._legs(dice)
        batch = [self._legs(dice) for _ in range(dice.randint(2, 10))]
        payees = dice.sample(self.wallets, dice.randint(1, 12))
        parts = {**dict.fromkeys(payees, 1), FEES: share - len(payees)}
        paid: Moved = {child: -share}
        paid |= parts.items()
        return [
            lambda: Request(
                lambda: [
                    escrow.fund(
                        work=work, owner=None, source=source, amount=bounty, reference=reference
                    )
                ],
                [{source: -bounty, work: bounty}],
            ),
            lambda: Request(
                lambda: [ledger.post(reference=reference, kind="transfer", legs=legs)],
                [_moved(legs)],
            ),
            lambda: Request(
                lambda: [
                    escrow.allocate(
                        work=work, child=child, owner=None, amount=share, reference=reference
                    )
                ],
                [{work: -share, child: share}],
            ),
            lambda: Request(
                lambda: ledger.post_many(
                    [
                        NewPosting(f"{reference}:{place}", "transfer", each)
                        for place, each in enumerate(batch)
                    ]
                ),
                [_moved(each) for each in batch],
            ),
            lambda: Request(
                lambda: [escrow.withdraw(work=work, to=other, amount=back, reference=reference)],
                [{work: -back, other: back}],
            ),
            lambda: Request(
                lambda: _made(escrow.settle(work=child, parts=parts)),
                [paid],
            ),
            lambda: Request(
                lambda: [escrow.refund(work=work, to=source)],
                [{work: -left, source: left}],
            ),
            lambda: Request(
                lambda: [ledger.reverse(answers[index - step + 1][0], reference=reference)],
                [{account: -amount for account, amount in _moved(legs).items()}],
            ),
        ][step]()

    def _legs(self, dice: Random) -> list[Leg]:
        """Return what a posting between a few wallets moves, the accounts in any order."""
        payer, *payees = dice.sample(self.wallets, dice.randint(2, 6))
        legs = [Leg(payee, dice.randint(1, 9)) for payee in payees]
        if dice.random() < 0.3:
            legs.append(Leg(FEES, 1))
        legs.append(Leg(payer, -sum(leg.amount for leg in legs)))
        dice.shuffle(legs)
        return legs


def _made(posted: Posted | None) -> list[Posted]:
    return [] if posted is None else [posted]


def _moved(legs: Sequence[Leg]) -> Moved:
    return {leg.account: leg.amount for leg in legs}


# --- What was answered ----------------------------------------------------------------------------


def answers_in(file: Path) -> list[list[UUID]]:
    """Return the postings of every request that was answered, in order."""
    if not file.exists():
        return []
    # Whoever was killed while writing a line had not been answered, for all that anybody knows.
    whole = file.read_bytes().split(b"\n")[:-1]
    return [[UUID(one) for one in json.loads(line)] for line in whole]


def _note(file: Path, answers: Sequence[Sequence[UUID]]) -> int:
    """Write a file anew without a torn line at its end; return it, open for more."""
    fresh = file.with_suffix(".new")
    fresh.write_text("".join(_line(one) for one in answers))
    fresh.rename(file)
    return os.open(file, os.O_WRONLY | os.O_APPEND)


def _line(postings: Sequence[UUID]) -> str:
    return json.dumps([str(one) for one in postings]) + "\n"


def answered(request: Request) -> list[Posted]:
    """Make a request until it is answered, however often the server is killed meanwhile.

    Raises:
        OperationalError: A deadlock, of which there must be none.
    """
    while True:
        try:
            with transaction.atomic():
                return request.ask()
        except (OperationalError, InterfaceError) as error:
            if getattr(error.__cause__, "sqlstate", None) == DEADLOCK:
                raise
            connection.close()
            time.sleep(PAUSE_SECONDS)


def check_repeated(made: Sequence[Posted], answer: Sequence[UUID]) -> None:
    """Check that a repeated request came to the postings that it was answered with.

    Raises:
        AssertionError: It did not.
    """
    again = [Posted(posting, replayed=True) for posting in answer]
    assert list(made) == again, f"what was {again} became {made}"


def _keep_books() -> None:
    """Fold and seal beside the postings, as jobs do."""
    try:
        rollup.roll_up()
        seals.seal()
    except (OperationalError, InterfaceError):
        connection.close()


def main(folder: Path, number: int) -> None:
    """Post for ever."""
    run = json.loads((folder / "run.json").read_text())
    use_database(run["url"])
    requests = Requests(run["seed"], number, run["wallets"])
    file = folder / f"answers-{number}"
    answers = answers_in(file)
    notes = _note(file, answers)
    index = max(0, len(answers) - REPEATED)
    while True:
        made = answered(requests.request(index, answers))
        if index < len(answers):
            check_repeated(made, answers[index])
        else:
            # The line is on the disk before the next request is made.
            answers.append([posted.id for posted in made])
            os.write(notes, _line(answers[-1]).encode())
            os.fsync(notes)
        index += 1
        if index % (5 * CYCLE) == number:
            _keep_books()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
