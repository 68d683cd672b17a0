"""`manage.py standing`: recounts what participants stand for from history."""

import json
from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from marketplace.standing import history

SHOWN = 20


class Command(BaseCommand):
    """Compares every figure with a recount, or stores it; ends non-zero when one differs."""

    help = "Recount standing from history: compare with what is stored, or store it."

    def add_arguments(self, parser: ArgumentParser) -> None:
        what = parser.add_mutually_exclusive_group(required=True)
        what.add_argument("--check", action="store_true", help="name every figure that differs")
        what.add_argument("--rebuild", action="store_true", help="store what history says")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *_args: Any, **options: Any) -> None:
        figures = history.rebuild() if options["rebuild"] else None
        report = history.check()
        if options["json"]:
            said: dict[str, object] = {"right": report.is_right, **asdict(report)}
            if figures is not None:
                said["figures"] = figures
            self.stdout.write(json.dumps(said))
        else:
            self._print(report, figures)
        if not report.is_right:
            raise CommandError(
                "standing is not what history says: run with --rebuild", returncode=1
            )

    def _print(self, report: history.Report, figures: int | None) -> None:
        if figures is not None:
            self.stdout.write(f"{figures} sums were counted again.")
        for one in report.differences[:SHOWN]:
            self.stdout.write(
                f"{one.holder} {one.outcome} with {one.counterparty}:"
                f" {one.number} times, {one.points} points;"
                f" history says {one.expected_number} and {one.expected_points}"
            )
        if len(report.differences) > SHOWN:
            self.stdout.write(f"and {len(report.differences) - SHOWN} others (--json lists them)")
        for name, number in (("missed", report.missed), ("vanished", report.vanished)):
            if number:
                self.stdout.write(f"{number} rows of history {name}")
        if report.waiting:
            self.stdout.write(f"{report.waiting} rows of history are on their way")
        if report.is_right:
            self.stdout.write(self.style.SUCCESS("Every figure is what history says."))
