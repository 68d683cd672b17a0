"""The market's tables, tried as the application."""

import os
import subprocess
import sys

import pytest
from django.core.checks import run_checks
from django.db import DatabaseError, connection, transaction
from psycopg import errors

from credits import roles as ledger_roles
from marketplace.ops import roles
from tests.embedded.instances import ROOT
from tests.owner import as_owner

pytestmark = pytest.mark.django_db

VERBS = {
    "SELECT": "SELECT FROM {table}",
    "INSERT": "INSERT INTO {table} SELECT * FROM {table} WHERE false",
    "UPDATE": 'UPDATE {table} SET "{column}" = "{column}" WHERE false',
    "DELETE": "DELETE FROM {table} WHERE false",
    "TRUNCATE": "TRUNCATE {table} CASCADE",
}


def the_markets_tables() -> dict[str, str]:
    """Return every table that is not the ledger's, with one of its columns that can be written."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT relname, min(attname)"
            " FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid"
            " WHERE relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace"
            " AND attnum > 0 AND attgenerated = '' AND attidentity = ''"
            " AND NOT starts_with(relname, 'credits_') GROUP BY relname"
        )
        return dict(cursor.fetchall())


def is_refused(sql: str) -> bool:
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(sql)
            transaction.set_rollback(True)
    except DatabaseError as error:
        return isinstance(error.__cause__, errors.InsufficientPrivilege)
    return False


def test_every_table_gives_the_application_what_is_written_down_and_no_more() -> None:
    tables = the_markets_tables()
    allowed = {
        **dict.fromkeys(tables, frozenset({"SELECT", "INSERT", "UPDATE", "DELETE"})),
        **dict.fromkeys(roles.KEPT, frozenset({"SELECT", "INSERT", "UPDATE"})),
        **dict.fromkeys(roles.APPEND_ONLY, frozenset({"SELECT", "INSERT"})),
        **dict.fromkeys(roles.READ_ONLY, frozenset({"SELECT"})),
    }

    found = {
        table: {
            verb for verb in VERBS if not is_refused(VERBS[verb].format(table=table, column=column))
        }
        for table, column in tables.items()
    }

    assert len(tables) > 30
    assert found == allowed


def test_a_table_is_listed_once() -> None:
    listed = [*roles.READ_ONLY, *roles.APPEND_ONLY, *roles.KEPT]

    assert len(listed) == len(set(listed))


def test_the_check_is_silent_here_and_warns_the_owner() -> None:
    def warned() -> bool:
        found = run_checks(include_deployment_checks=True, databases=["default"])
        return "hansa.W001" in {one.id for one in found}

    as_application = warned()
    with as_owner():
        as_its_owner = warned()

    assert (as_application, as_its_owner) == (False, True)
    assert ledger_roles.powers() == []


@pytest.mark.parametrize("application", ["", "postgresql:///hansa"])
def test_an_owner_without_a_role_of_the_applications_is_refused(application: str) -> None:
    ended = subprocess.run(
        [sys.executable, "manage.py", "check"],
        cwd=ROOT,
        env={
            "PATH": os.environ["PATH"],
            "HANSA_SECRET_KEY": "of-no-instance",
            "HANSA_DATABASE_OWNER_URL": "postgresql://hansa_owner@/hansa",
            "DATABASE_URL": application,
        },
        capture_output=True,
        text=True,
        check=False,
    )

    assert ended.returncode != 0
    assert "names the application's role" in ended.stderr
