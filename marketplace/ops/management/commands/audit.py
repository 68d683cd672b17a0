"""`manage.py audit`: proves the books."""

import json
import sys
import time
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import connection

from credits import audit, ledger
from credits.amounts import format as credits_text
from marketplace.ops import books

BAR = 30


class Command(BaseCommand):
    """Checks every invariant; ends non-zero when one is broken."""

    help = "Check every invariant of the ledger and of the market, and print what breaks one."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *_args: Any, **options: Any) -> None:
        started = time.monotonic()
        as_json: bool = options["json"]
        findings = books.check(None if as_json else self._progress)
        seconds = round(time.monotonic() - started, 3)
        totals = _totals()
        if as_json:
            self.stdout.write(
                json.dumps(
                    {
                        "balanced": not findings,
                        "seconds": seconds,
                        **totals,
                        "findings": [_as_json(finding) for finding in findings],
                    }
                )
            )
        else:
            self._print(findings, totals, seconds)
        if findings:
            raise CommandError(f"{len(findings)} violations: the books are wrong", returncode=1)

    def _progress(self, invariant: audit.Invariant, done: int, number: int) -> None:
        if not sys.stderr.isatty():
            return
        filled = BAR * done // number
        bar = "#" * filled + "." * (BAR - filled)
        self.stderr.write(f"\r[{bar}] {done}/{number} {invariant.name:<40}", ending="")
        if done == number - 1:
            self.stderr.write("\r" + " " * (BAR + 50) + "\r", ending="")

    def _print(
        self, findings: list[audit.Finding], totals: dict[str, object], seconds: float
    ) -> None:
        for name, value in totals.items():
            self.stdout.write(f"{name.replace('_', ' '):<16}{value:>20}")
        if not findings:
            self.stdout.write(
                self.style.SUCCESS(f"The books are balanced: every invariant holds ({seconds} s).")
            )
        for finding in findings:
            self.stdout.write(
                self.style.ERROR(f"{finding.invariant}: {finding.subject}: {finding.wrong}")
            )
            self.stdout.write(f"    should be: {finding.sentence}")


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


def _as_json(finding: audit.Finding) -> dict[str, str]:
    return {
        "invariant": finding.invariant,
        "subject": finding.subject,
        "wrong": finding.wrong,
        "sentence": finding.sentence,
    }
