"""The database's two roles: its owner, who migrates, and the application, which serves.

The rights of the application are given after every migration, so that new tables have them, and by
one list, here. What a trigger refuses to everybody is not given to the application in the first
place. The ledger gives its own rights (`credits.roles`).
"""

from typing import Protocol

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, connections, transaction

from credits import roles as ledger_roles

OWNER = "owner"
"""The connection of the owner; the application's own where one role does both."""

READ_ONLY = ("disputes_step", "django_migrations", "tasks_transition")
"""Tables that migrations alone write."""

APPEND_ONLY = (
    "assets_closure",
    "assets_dependency",
    "assets_share",
    "assets_versionfile",
    "delegation_dependency",
    "delegation_wagerelease",
    "delivery_deliveryfile",
    "disputes_decision",
    "disputes_evidence",
    "disputes_evidencefile",
    "events_event",
    "events_feed",
    "reuse_versionprice",
    "tasks_counteroffer",
    "tasks_settlement",
    "tasks_settlementpayment",
    "tasks_taskattachment",
    "threads_message",
    "threads_messagefile",
)
"""Tables whose rows stay as they were written."""

KEPT = (
    "assets_asset",
    "assets_version",
    "delivery_delivery",
    "disputes_dispute",
    "disputes_seat",
    "moderation_case",
    "moderation_hiding",
    "moderation_report",
    "participants_confirmation",
    "participants_freeze",
    "participants_participant",
    "ratings_rating",
    "reuse_use",
    "tasks_bid",
    "tasks_claim",
    "tasks_task",
)
"""Tables whose rows change and never go."""

# Without CREATE and TEMPORARY nobody puts a table or a function of their own in front of one that a
# trigger or a default names.
_STATEMENTS = """
    WITH given AS (
        SELECT oid::regclass::text AS name, CASE
            WHEN relname = ANY (%(read_only)s) THEN 'SELECT'
            WHEN relname = ANY (%(append_only)s) THEN 'SELECT, INSERT'
            WHEN relname = ANY (%(kept)s) THEN 'SELECT, INSERT, UPDATE'
            ELSE 'SELECT, INSERT, UPDATE, DELETE' END AS rights
        FROM pg_class
        WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p', 'v', 'm')
    )
    SELECT format('REVOKE CREATE, TEMPORARY ON DATABASE %%I FROM PUBLIC, %%I',
        current_database(), %(role)s)
    UNION ALL
    SELECT format('REVOKE CREATE ON SCHEMA %%I FROM PUBLIC, %%I', current_schema(), %(role)s)
    UNION ALL
    SELECT format('GRANT CONNECT ON DATABASE %%I TO %%I', current_database(), %(role)s)
    UNION ALL
    SELECT format('GRANT USAGE ON SCHEMA %%I TO %%I', current_schema(), %(role)s)
    UNION ALL
    SELECT format('GRANT USAGE ON ALL SEQUENCES IN SCHEMA %%I TO %%I', current_schema(), %(role)s)
    UNION ALL
    SELECT format('REVOKE ALL ON %%s FROM PUBLIC, %%I', string_agg(name, ', '), %(role)s)
    FROM given HAVING count(*) > 0
    UNION ALL
    SELECT format('GRANT %%s ON %%s TO %%I', rights, string_agg(name, ', '), %(role)s)
    FROM given GROUP BY rights
"""


def application() -> str:
    """Return the role that the application connects as; empty where PostgreSQL chooses."""
    return str(settings.DATABASES[DEFAULT_DB_ALIAS]["USER"])


def give_rights() -> bool:
    """Give the application's role the rights that it needs, and take all others from it.

    Runs on the owner's connection.

    Returns:
        Whether there is such a role: False where the application connects as the owner.

    Raises:
        RoleTooPowerful: The application's role is a superuser or a member of the owner.

    Transaction: one of its own. Locks: none that queries wait for.
    """
    role = application()
    with transaction.atomic(using=OWNER), connections[OWNER].cursor() as cursor:
        cursor.execute("SELECT current_user")
        if role in ("", *cursor.fetchone()):
            return False
        cursor.execute(
            _STATEMENTS,
            {
                "role": role,
                "read_only": [*READ_ONLY],
                "append_only": [*APPEND_ONLY],
                "kept": [*KEPT],
            },
        )
        for (statement,) in cursor.fetchall():
            cursor.execute(statement)
        # Last: of the ledger's tables it takes back what all tables were given above.
        ledger_roles.restrict(role, using=OWNER)
    return True


class _Output(Protocol):
    def write(self, text: str) -> object: ...


def after_migration(
    *, using: str, verbosity: int = 1, stdout: _Output | None = None, **_signal: object
) -> None:
    """Give the application's role its rights; the receiver of `post_migrate`."""
    if using == OWNER and not give_rights() and verbosity and stdout is not None:
        stdout.write(
            "One role owns the database and serves from it: triggers alone guard the ledger;"
            " docs/database-roles.md says how to have two.\n"
        )
