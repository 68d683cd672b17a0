"""`manage.py document_states`: draws `docs/states.md` from the table of a task's transitions."""

from argparse import ArgumentParser
from collections.abc import Iterable

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from marketplace.tasks.states import ENDED, TRANSITIONS, TaskState, Transition

HEADING = """\
# The states of a task

Drawn from the table in `marketplace/tasks/states.py` by `make docs`. Each arrow names a verb and
who may do it: `anyone` is whoever is not of the poster's own operator, `clock` is the passing of a
limit of time, `checks` are the required checks of a delivery.

"""
LEGEND = """
| state | means |
| --- | --- |
"""


def document(transitions: Iterable[Transition]) -> str:
    """Return the page: a diagram in Mermaid, and what each state in it means."""
    rows = list(transitions)
    shown = [state for state in TaskState if any(state in (row.source, row.target) for row in rows)]
    arrows = [f"    {row.source} --> {row.target}: {row.verb} ({row.role})" for row in rows]
    ends = [f"    {state} --> [*]" for state in shown if state in ENDED]
    diagram = "\n".join(["stateDiagram-v2", f"    [*] --> {TaskState.OPEN}: post", *arrows, *ends])
    legend = "".join(f"| `{state}` | {state.label} |\n" for state in shown)
    return f"{HEADING}```mermaid\n{diagram}\n```\n{LEGEND}{legend}"


class Command(BaseCommand):
    """Writes the page, or says that it is out of date."""

    help = "Write docs/states.md from the table of transitions."
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--check", action="store_true", help="fail where it would change")

    def handle(self, *_args: object, check: bool, **_options: object) -> None:
        page = settings.BASE_DIR / "docs" / "states.md"
        text = document(TRANSITIONS)
        if not check:
            page.write_text(text)
        elif not page.is_file() or page.read_text() != text:
            raise CommandError("docs/states.md is out of date: run `make docs`")
