"""Kills posting processes and PostgreSQL at random under load, then looks at the books.

`python -m tests.credits.crash --seed 7 --kills 20` plays the run of a seed again: the same
requests, the same victims, after as many answered requests. What a victim is just doing is up
to the machine. A killed process loses nothing that it gave to the kernel, so this shows that
the ledger recovers, not that a disk keeps what it says it keeps.
"""

import argparse
import json
import secrets
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from uuid import uuid4

import psutil  # type: ignore[import-untyped]
import psycopg
from django.core.management import call_command
from django.db import connection, transaction

from credits import audit, escrow, ledger, rollup, seals
from credits.ledger import ISSUANCE, AccountId, Leg
from marketplace.embedded import processes
from marketplace.embedded.postgres import Postgres
from tests.credits.poster import (
    Moved,
    Requests,
    answered,
    answers_in,
    check_repeated,
    use_database,
)

ROOT = Path(__file__).resolve().parents[2]
DURABLE = ("fsync", "synchronous_commit", "full_page_writes")
POSTERS = 4
WALLETS = 16
OPENING = 10**12
GAP = (20, 120)
"""Answered requests between two kills."""

LATE_SECONDS = 0.005
"""At most so long after the request that it waited for a kill comes, to meet others half done."""

STALLED_SECONDS = 60
SERVER = "PostgreSQL"


@dataclass(frozen=True, slots=True)
class Kill:
    """Who is killed: the server (None) or a posting process, once *after* requests are answered."""

    victim: int | None
    after: int
    late: float

    def __str__(self) -> str:
        victim = SERVER if self.victim is None else f"process {self.victim}"
        return f"{victim} after {self.after} answers"


def plan(seed: int, kills: int) -> list[Kill]:
    """Return the kills of a seed: about two in five hit the server."""
    dice = Random(seed)  # noqa: S311 - dice
    victims = [None if place % 5 < 2 else place % POSTERS for place in range(kills)]
    dice.shuffle(victims)
    after, made = 0, []
    for victim in victims:
        after += dice.randint(*GAP)
        made.append(Kill(victim, after, dice.uniform(0, LATE_SECONDS)))
    return made


@dataclass(slots=True)
class Run:
    """One run in a folder of its own."""

    seed: int
    folder: Path
    server: Postgres = field(init=False)
    wallets: list[AccountId] = field(default_factory=list)
    posters: dict[int, processes.Process] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.server = Postgres(self.folder / "postgres", self.folder / "postgres.log")

    # --- Before -----------------------------------------------------------------------------------

    def begin(self) -> None:
        self.server.start()
        self.server.ensure_database("books")
        self.check_durability()
        use_database(self.server.url("books"))
        call_command("migrate", verbosity=0)
        self.open_wallets()
        connection.close()
        told = {"url": self.server.url("books"), "seed": self.seed, "wallets": self.wallets}
        (self.folder / "run.json").write_text(json.dumps(told))
        for number in range(POSTERS):
            self.start_poster(number)

    def check_durability(self) -> None:
        with psycopg.connect(self.server.url("books")) as session:
            for name in DURABLE:
                row = session.execute("SELECT current_setting(%s)", [name]).fetchone()
                assert row == ("on",), f"{name} is {row}: kills would prove nothing"

    def open_wallets(self) -> None:
        with transaction.atomic():
            wallets = [ledger.open_account(kind="wallet", owner=uuid4()) for _ in range(WALLETS)]
            ledger.post(
                reference="opening",
                kind="grant",
                legs=[
                    Leg(ISSUANCE, -OPENING * WALLETS),
                    *(Leg(wallet, OPENING) for wallet in wallets),
                ],
            )
        self.wallets = wallets

    def start_poster(self, number: int) -> None:
        with (self.folder / f"poster-{number}.log").open("ab") as log:
            self.posters[number] = processes.start(
                [sys.executable, "-m", "tests.credits.poster", self.folder, str(number)],
                death_signal=signal.SIGKILL,
                folder=ROOT,
                output=log,
            )

    # --- Under load -------------------------------------------------------------------------------

    def answers(self) -> int:
        """Return how many requests were answered so far."""
        files = [self.folder / f"answers-{number}" for number in range(POSTERS)]
        return sum(file.read_bytes().count(b"\n") for file in files if file.exists())

    def wait_for(self, answers: int) -> None:
        known, stalled_at = -1, time.monotonic() + STALLED_SECONDS
        while (count := self.answers()) < answers:
            if count > known:
                known, stalled_at = count, time.monotonic() + STALLED_SECONDS
            assert time.monotonic() < stalled_at, self.told(f"no answer after {count}")
            for number, poster in self.posters.items():
                assert poster.poll() is None, self.told(f"process {number} ended by itself")
            time.sleep(0.002)

    def kill(self, one: Kill) -> None:
        time.sleep(one.late)
        if one.victim is None:
            self.kill_server()
            self.server.start()
        else:
            self.kill_poster(one.victim)
            self.start_poster(one.victim)

    def kill_server(self) -> None:
        """Kill the server and all its sessions as if the power went."""
        assert self.server.process is not None
        postmaster = psutil.Process(self.server.process.pid)
        # Stopped first: it starts no more children while they are killed.
        postmaster.suspend()
        for victim in [*postmaster.children(recursive=True), postmaster]:
            with suppress(psutil.NoSuchProcess):
                victim.kill()
        self.server.process.wait()

    def kill_poster(self, number: int) -> None:
        self.posters[number].kill()
        self.posters[number].wait()

    # --- Afterwards -------------------------------------------------------------------------------

    def end(self) -> None:
        for number in self.posters:
            self.kill_poster(number)
        with suppress(psutil.NoSuchProcess):
            self.server.stop(hurry=True)

    def check(self) -> int:
        """Make every request again, and compare the books with what was answered.

        Returns:
            How many postings there are.

        Raises:
            AssertionError: The books are wrong.
        """
        for number in list(self.posters):
            self.kill_poster(number)
        self.kill_server()
        self.server.start()
        held: Counter[AccountId | str] = Counter(dict.fromkeys(self.wallets, OPENING))
        held[ISSUANCE] = -OPENING * WALLETS
        postings = 1
        for number in range(POSTERS):
            requests = Requests(self.seed, number, self.wallets)
            answers = answers_in(self.folder / f"answers-{number}")
            # The one after the last may have been posted without an answer, or not at all.
            for index in range(len(answers) + 1):
                request = requests.request(index, answers)
                made = answered(request)
                if index < len(answers):
                    check_repeated(made, answers[index])
                for posted, moved in zip(made, request.moved, strict=True):
                    entries = {leg.account: leg.amount for leg in ledger.entries_of(posted.id)}
                    assert entries == _by_account(moved), (
                        f"{number}/{index}: {entries}, not {moved}"
                    )
                    held.update(moved)
                    postings += 1
        self.check_totals(held, postings)
        while rollup.roll_up() or seals.seal():
            pass
        found = [*audit.run(), *seals.check()]
        assert not found, found
        for work, amount in held.items():
            if isinstance(work, str):
                assert escrow.held(work) == amount, work
        return postings

    def check_totals(self, held: Counter[AccountId | str], postings: int) -> None:
        accounts = [one for one in held if not isinstance(one, str)]
        assert ledger.balances(accounts) == {one: held[one] for one in accounts}
        with connection.cursor() as cursor:
            cursor.execute("SELECT sum(amount) FROM credits_entry")
            assert cursor.fetchone() == (0,), "entries add up to zero"
            cursor.execute("SELECT count(*), count(DISTINCT reference) FROM credits_posting")
            assert cursor.fetchone() == (postings, postings), "nothing else, and nothing twice"

    def told(self, what: str) -> str:
        """Return *what* happened with the ends of the logs that may tell why."""
        logs = sorted(self.folder.glob("*.log"))
        return "\n".join([what, *(f"{one.name}: {one.read_text()[-2_000:]}" for one in logs)])


def _by_account(moved: Moved) -> dict[AccountId, int]:
    found = {}
    for account, amount in moved.items():
        known = escrow.find(account) if isinstance(account, str) else account
        assert known is not None, f"no escrow for {account}"
        found[known] = amount
    return found


def say(words: str) -> None:
    sys.stdout.write(words + "\n")
    sys.stdout.flush()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.credits.crash", description=__doc__)
    parser.add_argument("--seed", type=int, help="play the run of this seed again")
    parser.add_argument("--kills", type=int, default=20)
    given = parser.parse_args()
    seed = secrets.randbits(32) if given.seed is None else given.seed
    say(f"seed {seed}; again with --seed {seed} --kills {given.kills}")
    folder = Path(tempfile.mkdtemp(prefix="hansa-crash-"))
    run = Run(seed, folder)
    try:
        run.begin()
        for number, kill in enumerate(plan(seed, given.kills), start=1):
            run.wait_for(kill.after)
            began = time.monotonic()
            run.kill(kill)
            took = time.monotonic() - began
            say(f"{number}/{given.kills}: killed {kill}, started it again in {took:.1f} s")
        run.wait_for(run.answers() + GAP[0])
        answers = run.answers()
        say(f"{run.check()} postings, {answers} requests answered: nothing lost, nothing twice")
    finally:
        run.end()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
