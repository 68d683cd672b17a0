"""`manage.py ledger`: what an operator does with the books as a whole."""

import json
import os
import shlex
import sys
import time
from argparse import ArgumentParser
from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import OperationalError

from credits.export import Progress, Written, export, write

BAR = 30
LINE = 79
PLAIN = str  # a style: what Django writes to stderr is red otherwise
INTERRUPTED = 130  # what shells end with after Ctrl-C


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
            "--output",
            type=Path,
            metavar="FILE",
            help="the new file to write, for its owner alone; without it the lines go to stdout",
        )
        exporting.add_argument(
            "--json", action="store_true", help="say what was written as one JSON object"
        )

    def handle(self, *_args: Any, output: Path | None, **options: Any) -> None:
        as_json: bool = options["json"]
        if output is None and as_json:
            raise CommandError("--json tells of the file that --output names")
        if output is None and self.stdout.isatty():
            raise CommandError(
                "This would print the whole ledger here. Name a file with --output FILE, or send"
                " the lines to a program."
            )
        began = time.monotonic()
        try:
            if output is None:
                self._print()
            else:
                written = write(output, self._progress(began))
                self._tell(output, written, time.monotonic() - began, as_json=as_json)
        except KeyboardInterrupt:
            self._clear()
            raise CommandError("Stopped; no file was written.", returncode=INTERRUPTED) from None
        except FileExistsError:
            raise CommandError(f"{output}: it exists, and is not replaced") from None
        except BrokenPipeError:
            # Python flushes stdout once more when it ends; nobody reads it.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise CommandError("Whoever read the lines stopped reading.") from None
        except OSError as error:
            self._clear()
            raise CommandError(f"{output or 'stdout'}: {error.strerror}") from error
        except OperationalError as error:
            self._clear()
            raise CommandError(f"The database cannot be read: {error}".strip()) from error

    def _print(self) -> None:
        for line in export(self._progress(time.monotonic())):
            self.stdout.write(line, ending="")
        self._clear()

    def _tell(self, output: Path, written: Written, seconds: float, *, as_json: bool) -> None:
        self._clear()
        if as_json:
            told = {"file": str(output), **asdict(written), "seconds": round(seconds, 3)}
            self.stdout.write(json.dumps(told))
            return
        self.stdout.write(
            f"{output}: {written.postings:,} postings, {written.entries:,} entries,"
            f" {written.accounts:,} accounts, {written.seals:,} blocks;"
            f" {written.bytes:,} bytes in {seconds:.1f} s"
        )
        if written.last_block:
            self.stdout.write(f"last block {written.last_block}")
        self.stdout.write(f"To check it: python3 credits/verifier.py {shlex.quote(str(output))}")
        self.stdout.write("It holds all accounts and the salts of the blocks; keep it to yourself.")

    def _progress(self, began: float) -> Progress | None:
        if not self.stderr.isatty():
            return None

        def show(done: int, total: int) -> None:
            filled = BAR * done // max(total, 1)
            bar = "#" * filled + "." * (BAR - filled)
            seconds = max(time.monotonic() - began, 0.001)
            left = (total - done) * seconds / max(done, 1)
            said = f"[{bar}] {done:,} of {total:,} entries, {left:.0f} s left"
            self.stderr.write("\r" + said.ljust(LINE), PLAIN, ending="")

        return show

    def _clear(self) -> None:
        if self.stderr.isatty():
            self.stderr.write("\r" + " " * LINE + "\r", PLAIN, ending="")
