"""`docs/database-roles.md`, followed to the letter on a PostgreSQL that is not Hansa's."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest

from marketplace.embedded.postgres import PORT, Postgres
from tests.embedded.instances import ROOT

pytestmark = pytest.mark.embedded

DOCUMENT = (ROOT / "docs" / "database-roles.md").read_text()
SQL, SQL_AFTERWARDS = re.findall(r"```sql\n(.*?)```", DOCUMENT, re.DOTALL)
(COMMANDS,) = re.findall(r"```bash\n(.*?)```", DOCUMENT, re.DOTALL)


@dataclass
class Server:
    """A server whose roles sign in with passwords, as they do on one of an operator's own."""

    postgres: Postgres
    place: Path

    def address(self, role: str, password: str, database: str = "hansa") -> str:
        folder = quote(str(self.postgres.data), safe="")
        return f"postgresql://{role}:{password}@/{database}?host={folder}&port={PORT}"

    def prepare(self, sql: str) -> None:
        with psycopg.connect(self.postgres.url("postgres"), autocommit=True) as session:
            for statement in sql.split(";"):
                session.execute(statement.encode())

    def run(self, script: str, **environment: str) -> subprocess.CompletedProcess[str]:
        programs = Path(sys.executable).parent
        return subprocess.run(
            ["bash", "-euc", script],
            cwd=ROOT,
            env={
                "PATH": f"{self.postgres.programs}:{programs}:{os.environ['PATH']}",
                "HANSA_DATA": str(self.place / "data"),
                "HANSA_SECRET_KEY": "of-no-instance",
                "HANSA_DATABASE_POOL_CONNECTIONS": "0",
                **environment,
            },
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )


@pytest.fixture
def server(place: Path) -> Iterator[Server]:
    postgres = Postgres(place / "postgres", place / "postgres.log", options={"fsync": "off"})
    postgres.start()
    rules = postgres.data / "pg_hba.conf"
    passwords = "local all hansa_owner,hansa,before scram-sha-256\n"
    rules.write_text(passwords + rules.read_text())
    with psycopg.connect(postgres.url("postgres"), autocommit=True) as session:
        session.execute("SELECT pg_reload_conf()")
    try:
        yield Server(postgres, place)
    finally:
        postgres.stop(hurry=True)


def commands_for(server: Server) -> str:
    """Return the document's commands, for this server instead of `db.example`."""
    written = re.compile(r"postgresql://(\w+):(\w+)@db\.example/(\w+)")
    changed, count = written.subn(lambda found: server.address(*found.groups()), COMMANDS)
    assert count == 2
    return changed


def refusals_of(address: str, *statements: str) -> list[str | None]:
    """Return the SQLSTATE with which each is refused; None where it is not, and is undone."""
    found: list[str | None] = []
    for statement in statements:
        try:
            with psycopg.connect(address) as session:
                session.execute(statement.encode())
                session.rollback()
        except psycopg.Error as error:
            found.append(error.sqlstate)
        else:
            found.append(None)
    return found


INSUFFICIENT_PRIVILEGE = "42501"
FORBIDDEN = (
    "UPDATE credits_account SET balance = 1",
    "DELETE FROM credits_entry",
    "TRUNCATE credits_posting",
    "SELECT credits_raise_epoch()",
    "CREATE TABLE mine (id integer)",
    "CREATE TEMPORARY TABLE credits_account (id integer)",
    "UPDATE events_event SET type = 'other'",
    "TRUNCATE tasks_task CASCADE",
)


def test_the_documents_commands_make_a_market_whose_application_owns_nothing(
    server: Server,
) -> None:
    server.prepare(SQL)

    made = server.run(commands_for(server))
    application = server.address("hansa", "another")
    seeded = server.run("python manage.py seed_demo", DATABASE_URL=application)
    audited = server.run("python manage.py audit --json", DATABASE_URL=application)

    assert made.returncode == 0, made.stdout + made.stderr
    assert "hansa.W001" not in made.stderr
    assert "One role" not in made.stdout
    assert seeded.returncode == 0, seeded.stderr
    assert '"balanced": true' in audited.stdout, audited.stdout
    assert refusals_of(application, *FORBIDDEN) == [INSUFFICIENT_PRIVILEGE] * len(FORBIDDEN)
    # The roles are ordinary ones, and the owner is no superuser either.
    assert refusals_of(server.address("hansa_owner", "one"), "CREATE ROLE other") == [
        INSUFFICIENT_PRIVILEGE
    ]


def test_one_role_for_everything_works_and_is_warned_of(server: Server) -> None:
    server.prepare(SQL)
    owner = server.address("hansa_owner", "one")

    made = server.run("python manage.py migrate", DATABASE_URL=owner)
    checked = server.run("python manage.py check --deploy --database default", DATABASE_URL=owner)

    assert made.returncode == 0, made.stderr
    assert "One role owns the database" in made.stdout
    assert "hansa.W001" in checked.stderr
    assert "docs/database-roles.md" in checked.stderr


def test_a_database_that_had_one_role_is_given_the_second(server: Server) -> None:
    server.prepare(
        "CREATE ROLE before LOGIN PASSWORD 'old'; CREATE DATABASE hansa OWNER before;"
        " GRANT SET ON PARAMETER credits.writing TO before"
    )
    before = server.address("before", "old")
    server.run("python manage.py migrate", DATABASE_URL=before)
    with psycopg.connect(before) as session:
        session.execute("SELECT credits_open_account('wallet', NULL, 'of before', 0)")

    server.prepare(SQL_AFTERWARDS)
    application = server.address("hansa", "another")
    both = {"DATABASE_URL": application, "HANSA_DATABASE_OWNER_URL": before}
    changed = server.run("python manage.py migrate", **both)
    with psycopg.connect(application) as session:
        kept = session.execute("SELECT count(*) FROM credits_account WHERE reference = 'of before'")
        assert kept.fetchone() == (1,)

    assert changed.returncode == 0, changed.stderr
    assert refusals_of(application, *FORBIDDEN) == [INSUFFICIENT_PRIVILEGE] * len(FORBIDDEN)


def test_a_role_that_is_too_powerful_for_the_application_is_refused(server: Server) -> None:
    server.prepare(SQL + "; GRANT hansa_owner TO hansa")

    made = server.run(commands_for(server))

    assert made.returncode != 0
    assert "Let the application connect as another one" in made.stderr


def test_a_restored_dump_has_its_rights_again_after_migrate_and_posts_after_its_epoch(
    server: Server,
) -> None:
    server.prepare(SQL)
    made = server.run(commands_for(server))
    owner = server.address("hansa_owner", "one")
    # As if from another server.
    with psycopg.connect(server.postgres.url("hansa")) as session:
        session.execute("UPDATE credits_epoch SET system_identifier = 1")
    server.prepare("CREATE DATABASE copy OWNER hansa_owner")
    copy = server.address("hansa_owner", "one", "copy")
    served = server.address("hansa", "another", "copy")
    post = (
        "SELECT credits_post(gen_random_uuid(), 'r', 'k', sha256(''), '', '',"
        " ARRAY[1, 2]::bigint[], ARRAY[-1, 1]::bigint[])"
    )

    restored = server.run(
        f"pg_dump --format custom '{owner}' | pg_restore --no-owner --no-privileges -d '{copy}'"
    )
    before = refusals_of(served, "SELECT * FROM credits_account")
    migrated = server.run(
        "python manage.py migrate", DATABASE_URL=served, HANSA_DATABASE_OWNER_URL=copy
    )
    in_the_old_epoch = refusals_of(served, post)
    with psycopg.connect(copy) as session:
        session.execute("SELECT credits_raise_epoch()")

    assert made.returncode == 0, made.stderr
    assert restored.returncode == 0, restored.stderr
    assert before == [INSUFFICIENT_PRIVILEGE]
    assert migrated.returncode == 0, migrated.stderr
    assert in_the_old_epoch == ["HL011"]
    assert refusals_of(served, post) == [None]
    assert refusals_of(served, *FORBIDDEN) == [INSUFFICIENT_PRIVILEGE] * len(FORBIDDEN)
