"""`manage.py document_settings`: writes `docs/settings.md` from the settings' own declarations."""

from argparse import ArgumentParser
from collections.abc import Iterable
from pathlib import Path

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from marketplace.foundation.environment import Declared

HEADING = """\
# Settings

Every setting is an environment variable, read once when a process starts; a malformed one stops it.
This page is generated from `marketplace/settings.py` by `make docs`.

| variable | takes | default | meaning |
| --- | --- | --- | --- |
"""


def document(variables: Iterable[Declared], *, checkout: Path) -> str:
    """Return the page.

    Args:
        variables: What it lists, in this order.
        checkout: Where the code lies; defaults below it are shown relative to it.
    """
    return HEADING + "".join(
        f"| `{variable.name}` | {variable.kind} | {_shown(variable.default, checkout)} "
        f"| {variable.meaning} |\n"
        for variable in variables
    )


def _shown(default: str, checkout: Path) -> str:
    relative = default.removeprefix(f"{checkout}/")
    return f"`{relative}`" if relative else "empty"


class Command(BaseCommand):
    """Writes the page, or says that it is out of date."""

    help = "Write docs/settings.md from the settings."
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--check", action="store_true", help="fail where it would change")

    def handle(self, *_args: object, check: bool, **_options: object) -> None:
        page = settings.BASE_DIR / "docs" / "settings.md"
        text = document(settings.DECLARED_VARIABLES, checkout=settings.BASE_DIR)
        if not check:
            page.write_text(text)
        elif not page.is_file() or page.read_text() != text:
            raise CommandError("docs/settings.md is out of date: run `make docs`")
