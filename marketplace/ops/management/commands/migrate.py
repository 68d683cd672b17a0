"""`manage.py migrate`, as the owner of the database."""

from django.core.management.base import CommandParser
from django.core.management.commands import migrate

from marketplace.ops.roles import OWNER


class Command(migrate.Command):
    """Django's own command on the owner's connection, whichever role the application has."""

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.set_defaults(database=OWNER)
