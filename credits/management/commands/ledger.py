"""`manage.py ledger`: what an operator does with the books as a whole."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from credits.export import export

BAR = 30


class Command(BaseCommand):
    """Exports the ledger; `python credits/verifier.py FILE` checks what it writes."""

    help = "Write the whole ledger as lines of JSON, which credits/verifier.py checks offline."

    def add_arguments(self, parser: ArgumentParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True, metavar="export")
        exporting = actions.add_parser(
            "export",
            help="everything, secrets of the blocks included: for the operator, not for the public",
        )
        exporting.add_argument(
            "--output", type=Path, help="the new file to write, for its owner alone; else stdout"
        )

    def handle(self, *_args: Any, output: Path | None, **_options: Any) -> None:
        progress = self._progress if self.stderr.isatty() else None
        if output is None:
            for line in export(progress):
                self.stdout.write(line, ending="")
        else:
            try:
                output.touch(mode=0o600, exist_ok=False)
            except OSError as error:
                raise CommandError(f"{output}: {error.strerror}") from error
            with output.open("w", encoding="utf-8") as file:
                file.writelines(export(progress))
        if progress is not None:
            self.stderr.write("\r" + " " * (BAR + 50) + "\r", ending="")

    def _progress(self, done: int, total: int) -> None:
        filled = BAR * done // max(total, 1)
        bar = "#" * filled + "." * (BAR - filled)
        self.stderr.write(f"\r[{bar}] {done}/{total} entries", ending="")
