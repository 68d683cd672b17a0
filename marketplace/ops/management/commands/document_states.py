"""`manage.py document_states`: draws `docs/states.md` from the tables of states."""

from argparse import ArgumentParser
from collections.abc import Collection, Mapping, Sequence

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db.models import TextChoices

from marketplace.disputes.states import STEPS, DisputeState
from marketplace.tasks.states import ENDED, TRANSITIONS, TaskState

HEADING = """\
# The states of a task, and of a dispute

Drawn by `make docs` from the tables in `marketplace/tasks/states.py` and
`marketplace/disputes/states.py`. Each arrow names a verb and who may do it.

## A task

`anyone` is whoever is not of the poster's own operator, nor of that of anybody who posted or led a
task above; `clock` is the passing of a limit of time, `checks` are the required checks of a
delivery, `tree` is what became of a task's parent, siblings or subtasks, `funder` whoever posted
the task whose escrow a subtask is paid from. A subtask that waits for siblings begins `blocked`.

"""
OF_DISPUTES = """
## A dispute

While it runs its task is `disputed`. A dispute begins in `evidence`, the panel of a silent contest
in `voting`. `party` is poster or worker, `panelist` holds a seat, `course` is what follows from
votes or from the passing of a limit of time.

"""


def document() -> str:
    """Return the page: a diagram in Mermaid for each table, and what its states mean."""
    tasks = _diagram(
        [(row.source, row.target, row.verb, row.role) for row in TRANSITIONS],
        begins={TaskState.OPEN: "post", TaskState.BLOCKED: "plan"},
        ends=ENDED,
    )
    disputes = _diagram(
        [(row.source, row.target, row.verb, row.part) for row in STEPS],
        begins={DisputeState.EVIDENCE: "open", DisputeState.VOTING: "open"},
        ends={DisputeState.SETTLED},
    )
    return f"{HEADING}{tasks}{OF_DISPUTES}{disputes}"


def _diagram(
    rows: Sequence[tuple[TextChoices, TextChoices, str, str]],
    *,
    begins: Mapping[TextChoices, str],
    ends: Collection[TextChoices],
) -> str:
    kind = type(rows[0][0])
    reached = {*begins, *(target for _, target, _, _ in rows), *(source for source, *_ in rows)}
    shown = [state for state in kind if state in reached]
    lines = [
        "stateDiagram-v2",
        *(f"    [*] --> {state}: {verb}" for state, verb in begins.items()),
        *(f"    {source} --> {target}: {verb} ({who})" for source, target, verb, who in rows),
        *(f"    {state} --> [*]" for state in shown if state in ends),
    ]
    legend = "".join(f"| `{state}` | {state.label} |\n" for state in shown)
    diagram = "\n".join(lines)
    return f"```mermaid\n{diagram}\n```\n\n| state | means |\n| --- | --- |\n{legend}"


class Command(BaseCommand):
    """Writes the page, or says that it is out of date."""

    help = "Write docs/states.md from the tables of states."
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--check", action="store_true", help="fail where it would change")

    def handle(self, *_args: object, check: bool, **_options: object) -> None:
        page = settings.BASE_DIR / "docs" / "states.md"
        text = document()
        if not check:
            page.write_text(text)
        elif not page.is_file() or page.read_text() != text:
            raise CommandError("docs/states.md is out of date: run `make docs`")
