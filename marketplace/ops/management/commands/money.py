"""`manage.py money`: whether credits move, and the switch that staff turn."""

from argparse import ArgumentParser
from typing import Any

from django.core.exceptions import ObjectDoesNotExist
from django.core.management.base import BaseCommand, CommandError

from credits import switch
from credits.errors import InvalidText
from marketplace.foundation import clock
from marketplace.foundation.transactions import Busy
from marketplace.ops import books, findings, standstill
from marketplace.ops.models import AuditRun
from marketplace.ops.usecases.resume_money import BooksAreWrong, NotAuditedSince
from marketplace.participants.models import Participant
from marketplace.tasks.states import NotPermitted

TURNS_SHOWN = 10
AUDITS_SHOWN = 5


class Command(BaseCommand):
    """Shows, stops and resumes money."""

    help = "Say whether credits move, stop them, or let them move again."

    def add_arguments(self, parser: ArgumentParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        actions.add_parser("status", help="whether credits move, and the last audits")
        stop = actions.add_parser("stop", help="make money read-only; every limit of time waits")
        resume = actions.add_parser(
            "resume", help="audit the books, and let credits move again if they are right"
        )
        for action in (stop, resume):
            action.add_argument(
                "--as", dest="handle", required=True, help="your handle; you are of staff"
            )
            action.add_argument("--reason", required=True, help="why; kept for everybody of staff")
        resume.add_argument(
            "--despite-findings",
            action="store_true",
            help="resume although the books are wrong; what was found does not stop money again",
        )

    def handle(self, *_args: Any, action: str, **options: Any) -> None:
        try:
            getattr(self, f"_{action}")(**options)
        except ObjectDoesNotExist as error:
            raise CommandError("Nobody has this handle.") from error
        except NotPermitted as error:
            raise CommandError("Only staff stop or resume money.") from error
        except Busy as error:
            raise CommandError(
                "Something holds the ledger's tables, such as a VACUUM or an index that is being"
                " built. Nothing was changed; stop that and try again."
            ) from error
        except (InvalidText, NotAuditedSince, BooksAreWrong, books.AuditRuns) as error:
            raise CommandError(f"{error}.") from error

    def _status(self, **_options: Any) -> None:
        stop = switch.standing_stop()
        if stop is None:
            self.stdout.write(self.style.SUCCESS("Credits move."))
        else:
            self.stdout.write(
                self.style.WARNING(
                    f"Money is read-only since {stop.turned_at:%Y-%m-%d %H:%M:%S} UTC."
                )
            )
        self.stdout.write(f"The market's clock: {clock.now():%Y-%m-%d %H:%M:%S} UTC")
        for run in AuditRun.objects.order_by("-pk")[:AUDITS_SHOWN]:
            self._show(run)
        for turn in switch.history(limit=TURNS_SHOWN):
            verb = "stopped" if turn.stops else "resumed"
            self.stdout.write(
                f"{turn.turned_at:%Y-%m-%d %H:%M:%S}  {verb} by {turn.actor}: {turn.reason}"
            )

    def _show(self, run: AuditRun) -> None:
        kind = "full" if run.is_full else "of what is new"
        found = f"{len(run.findings)} findings" if run.findings else "nothing wrong"
        self.stdout.write(
            f"{run.started_at:%Y-%m-%d %H:%M:%S}  audit {run.pk}, {kind}, by {run.asked_by}:"
            f" {found} ({run.seconds:.1f} s)"
        )

    def _stop(self, *, handle: str, reason: str, **_options: Any) -> None:
        actor = Participant.objects.get(handle=handle)
        has_stopped = standstill.begin(reason=reason, actor=actor)
        self.stdout.write("Money is read-only." if has_stopped else "Money was read-only already.")

    def _resume(self, *, handle: str, reason: str, despite_findings: bool, **_options: Any) -> None:
        actor = Participant.objects.get(handle=handle)
        if switch.standing_stop() is None:
            self.stdout.write("Credits move already.")
            return
        run = books.audit_books(is_full=True, asked_by=handle).run
        for finding in findings.unaccepted(run):
            self.stdout.write(
                self.style.ERROR(
                    f"{finding['invariant']}: {finding['subject']}: {finding['wrong']}"
                )
            )
        standstill.end(reason=reason, actor=actor, despite_findings=despite_findings)
        self.stdout.write(self.style.SUCCESS("Credits move."))
