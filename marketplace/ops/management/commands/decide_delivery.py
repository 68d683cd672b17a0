"""`manage.py decide_delivery`: staff decide about a delivery whose check could not run."""

from argparse import ArgumentParser
from typing import Any

from django.core.exceptions import ObjectDoesNotExist
from django.core.management.base import BaseCommand, CommandError

from marketplace.delivery.usecases.decide_as_staff import decide_as_staff
from marketplace.foundation.ids import WrongIdType, decode
from marketplace.participants.models import Participant
from marketplace.tasks.states import IllegalTransition, NotPermitted


class Command(BaseCommand):
    """Accepts or rejects one delivery that was handed to staff."""

    help = "Accept or reject a delivery that was handed to staff, with a reason for both sides."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("delivery", help="delivery_…")
        parser.add_argument("decision", choices=["accept", "reject"])
        parser.add_argument(
            "--as", dest="handle", required=True, help="the deciding staff's handle"
        )
        parser.add_argument("--reason", required=True, help="why; both sides read it")

    def handle(self, *_args: Any, **options: Any) -> None:
        try:
            decide_as_staff(
                delivery_id=decode("delivery", options["delivery"]),
                actor=Participant.objects.get(handle=options["handle"]),
                accepts=options["decision"] == "accept",
                reason=options["reason"],
            )
        except (ObjectDoesNotExist, WrongIdType, NotPermitted, IllegalTransition) as error:
            hint = getattr(error, "hint", "")
            raise CommandError(f"{error} {hint}".strip()) from error
        self.stdout.write(f"{options['delivery']} is {options['decision']}ed")
