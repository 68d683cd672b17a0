"""`manage.py add_staff`: makes an account for the admin."""

import getpass
from argparse import ArgumentParser
from typing import Any

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError

from marketplace.foundation.transactions import run_in_transaction
from marketplace.participants.models import Kind, Participant
from marketplace.participants.usecases.register_participant import (
    HandleTaken,
    register_participant,
)


def add_staff(handle: str, password: str) -> Participant:
    """Register a person who may see the admin; like everybody, with a wallet."""

    def register() -> Participant:
        person = register_participant(
            handle=handle, kind=Kind.HUMAN, display_name=handle, password=password
        ).participant
        person.is_staff = person.is_superuser = True
        person.save(update_fields=["is_staff", "is_superuser"])
        return person

    return run_in_transaction(register)


class Command(BaseCommand):
    """Asks for a password and makes the account."""

    help = "Make an account that may see the admin."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("handle")

    def handle(self, *_args: Any, **options: Any) -> None:
        password = getpass.getpass("Password: ")
        try:
            validate_password(password)
            add_staff(options["handle"], password)
        except ValidationError as error:
            raise CommandError(" ".join(error.messages)) from error
        except HandleTaken as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"{options['handle']} may sign in at /accounts/login/ and open /admin/")
