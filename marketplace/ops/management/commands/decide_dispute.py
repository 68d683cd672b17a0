"""`manage.py decide_dispute`: an administrator decides a dispute, or about an appeal."""

from argparse import ArgumentParser
from typing import Any

from django.core.exceptions import ObjectDoesNotExist
from django.core.management.base import BaseCommand, CommandError

from marketplace.api.disputes import DecisionIn
from marketplace.disputes.models import Outcome
from marketplace.disputes.usecases.cast_vote import InvalidVote
from marketplace.disputes.usecases.decide_dispute import decide_dispute
from marketplace.foundation.ids import WrongIdType, decode
from marketplace.participants.models import Participant
from marketplace.tasks.states import IllegalTransition, NotPermitted


class Command(BaseCommand):
    """Decides one dispute that waits for an administrator."""

    help = "Decide a dispute that waits for an administrator, with a reason for both sides."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("dispute", help="dispute_…")
        parser.add_argument("outcome", choices=["accept", "reject", "split"])
        parser.add_argument("--worker-share", help="of a split: from 0 to 1, such as 0.4")
        parser.add_argument(
            "--as", dest="handle", required=True, help="the deciding administrator's handle"
        )
        parser.add_argument("--reason", required=True, help="why; both sides read it")

    def handle(self, *_args: Any, **options: Any) -> None:
        said = {"outcome": options["outcome"], "rationale": options["reason"]}
        if options["worker_share"] is not None:
            said["worker_share"] = options["worker_share"]
        given = DecisionIn(data=said)
        if not given.is_valid():
            raise CommandError(f"{given.errors}")
        try:
            dispute = decide_dispute(
                dispute_id=decode("dispute", options["dispute"]),
                actor=Participant.objects.get(handle=options["handle"]),
                outcome=Outcome(given.validated_data["outcome"]),
                worker_share=given.validated_data.get("worker_share"),
                rationale=given.validated_data["rationale"],
            )
        except (
            *(ObjectDoesNotExist, WrongIdType, NotPermitted),
            *(IllegalTransition, InvalidVote),
        ) as error:
            hint = getattr(error, "hint", "")
            raise CommandError(f"{error} {hint}".strip()) from error
        self.stdout.write(f"{options['dispute']} is {dispute.state}")
