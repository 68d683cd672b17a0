"""What `manage.py check --deploy --database default` says about the database's roles."""

from collections.abc import Sequence

from django.core.checks import CheckMessage, Tags, Warning, register  # noqa: A004 - as Django names it
from django.db import DEFAULT_DB_ALIAS

from credits import roles as ledger_roles


@register(Tags.database, deploy=True)
def the_application_owns_nothing(
    databases: Sequence[str] | None = None, **_asked: object
) -> list[CheckMessage]:
    """Warn where the application could change the ledger past its functions."""
    if databases is None or DEFAULT_DB_ALIAS not in databases:
        return []
    powers = ledger_roles.powers()
    if not powers:
        return []
    return [
        Warning(
            "The application's role owns the ledger or could change it: triggers alone guard it.",
            hint="Give the database an owner besides the application's role; docs/database-roles.md"
            " has the commands.",
            obj=", ".join(powers),
            id="hansa.W001",
        )
    ]
