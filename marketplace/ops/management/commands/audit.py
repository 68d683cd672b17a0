"""`manage.py audit`: proves the books."""

import json
import time
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError, OutputWrapper
from django.db import connection

from credits import ledger, switch
from credits.amounts import format as credits_text
from marketplace.foundation.transactions import Busy
from marketplace.ops import books

WRONG, NOT_AUDITED = 1, 2
"""Exit statuses: the books are wrong; nobody knows."""


class Command(BaseCommand):
    """Checks every invariant and every block; ends non-zero when one is broken."""

    help = (
        "Check every invariant of the ledger and of the market and every sealed block, and print"
        " what is wrong. What is wrong with money stops money."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--incremental",
            action="store_true",
            help="look at what is new since the last audit that found nothing",
        )
        parser.add_argument("--json", action="store_true", help="print one JSON object")
        parser.add_argument(
            "--no-switch", action="store_true", help="only look; stop nothing, whatever is wrong"
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        bar = ProgressBar(self.stderr) if self.stderr.isatty() else None
        try:
            outcome = books.audit_books(
                is_full=not options["incremental"],
                asked_by="a command",
                may_stop=not options["no_switch"],
                progress=bar,
            )
        except books.AuditRuns as error:
            raise CommandError(str(error), returncode=NOT_AUDITED) from error
        except Busy as error:
            raise CommandError(
                "The books are wrong, and money could not be stopped: something holds the ledger's"
                " tables, such as a VACUUM or an index that is being built. Stop that and run"
                " `manage.py money stop`. What was found is kept: `manage.py money status`.",
                returncode=WRONG,
            ) from error
        finally:
            if bar is not None:
                bar.clear()
        run, totals = outcome.run, _totals()
        if options["json"]:
            self.stdout.write(
                json.dumps(
                    {
                        "balanced": not run.findings,
                        "full": run.is_full,
                        "seconds": round(run.seconds, 3),
                        **totals,
                        "money_is_read_only": switch.standing_stop() is not None,
                        "has_stopped_money": outcome.has_stopped_money,
                        "findings": run.findings,
                    }
                )
            )
        else:
            self._print(outcome, totals)
        if run.findings:
            raise CommandError(
                f"{len(run.findings)} violations: the books are wrong", returncode=WRONG
            )

    def _print(self, outcome: books.Outcome, totals: dict[str, object]) -> None:
        run = outcome.run
        for name, value in totals.items():
            self.stdout.write(f"{name.replace('_', ' '):<16}{value:>20}")
        if not run.findings:
            looked_at = "every invariant" if run.is_full else "what is new since the last audit"
            self.stdout.write(
                self.style.SUCCESS(
                    f"The books are balanced: {looked_at} holds ({run.seconds:.1f} s)."
                )
            )
        for finding in run.findings:
            self.stdout.write(
                self.style.ERROR(
                    f"{finding['invariant']}: {finding['subject']}: {finding['wrong']}"
                )
            )
            self.stdout.write(f"    should be: {finding['sentence']}")
        if outcome.has_stopped_money:
            self.stdout.write("Money is read-only from now on; see `manage.py money status`.")
        elif switch.standing_stop() is not None:
            self.stdout.write("Money is read-only; see `manage.py money status`.")


class ProgressBar:
    """Draws how far an audit is, with its rate and the time that is left, on one line."""

    WIDTH = 30
    SECONDS_BETWEEN = 0.2

    def __init__(self, terminal: OutputWrapper) -> None:
        self.terminal = terminal
        self.total = -1  # of the part that runs: the invariants, or the blocks
        self.began_at = self.drawn_at = 0.0

    def __call__(self, what: str, done: int, total: int) -> None:
        now = time.monotonic()
        if total != self.total:
            self.total, self.began_at, self.drawn_at = total, now, 0.0
        if now - self.drawn_at < self.SECONDS_BETWEEN:
            return
        self.drawn_at = now
        filled = self.WIDTH * done // max(total, 1)
        bar = "#" * filled + "." * (self.WIDTH - filled)
        line = f"[{bar}] {done:,}/{total:,}{self._speed(now, done, total)}  {what}"
        self.terminal.write(f"\r{line:<110.110}", ending="")
        self.terminal.flush()

    def clear(self) -> None:
        """Take the bar away."""
        self.terminal.write("\r" + " " * 110 + "\r", ending="")

    def _speed(self, now: float, done: int, total: int) -> str:
        seconds = now - self.began_at
        if not done or seconds < 1:
            return ""
        rate = done / seconds
        minutes, left = divmod(int((total - done) / rate), 60)
        return f"  {rate:,.0f}/s  {minutes}:{left:02} left"


def _totals() -> dict[str, object]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT (SELECT count(*) FROM credits_posting), (SELECT count(*) FROM credits_entry),"
            " coalesce(sum(balance), 0)::bigint,"
            " coalesce(sum(balance) FILTER (WHERE kind = 'escrow'), 0)::bigint"
            " FROM credits_account WHERE mode = 'stored'"
        )
        postings, entries, held, escrowed = cursor.fetchone()
    fees = ledger.balance(ledger.FEES)
    return {
        "postings": postings,
        "entries": entries,
        "issued": credits_text(-ledger.balance(ledger.ISSUANCE)),
        "in_accounts": credits_text(held),
        "of_it_in_escrow": credits_text(escrowed),
        "fees": credits_text(fees),
    }
