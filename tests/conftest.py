"""The engines that every test shares, and what keeps tests from reaching anything else.

One PostgreSQL for the whole run (`DATABASE_URL` names another to use instead, as a superuser;
`PG_PROGRAMS` the folder of another version's programs to start); one migrated template database;
one database for the tests of each module, copied from it. Tests run as the application's role,
which owns nothing; `tests.owner` is for what its owner does. Tests commit for real, nothing is
rolled back or emptied: each test makes data of its own and asserts about that.
"""

import gc
import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from itertools import count
from pathlib import Path
from secrets import token_urlsafe
from typing import Any

import hypothesis
import psycopg
import pytest
from django.core.management import call_command
from django.db import connections
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from pytest_django import DjangoDbBlocker
from pytest_django.live_server_helper import LiveServer

from marketplace.embedded.postgres import Postgres
from marketplace.embedded.valkey import Valkey
from marketplace.ops.roles import OWNER, give_rights
from tests.owner import as_owner
from tests.settings import DATA_FOLDER, RUN_FOLDER

CHROMIUM = Path(os.environ.get("CHROMIUM", "/usr/bin/chromium"))
LOOPBACK = ("127.", "::1", "localhost")
MIGRATION_LOCK = 7  # any number that nothing else in a test run locks
WORKER = os.environ.get("PYTEST_XDIST_WORKER", "alone")
NewDatabase = Callable[[], AbstractContextManager[None]]
TEMPLATE = RUN_FOLDER.name.replace("-", "_").lower()

_own_postgres: Postgres | None = None

# Tests measure no time: a machine that does other things as well is slow at times.
hypothesis.settings.register_profile("hansa", deadline=None)
hypothesis.settings.load_profile("hansa")


# --- Engines --------------------------------------------------------------------------------------


def pytest_configure(config: pytest.Config) -> None:
    """Start PostgreSQL before xdist starts workers, which learn of it from the environment."""
    config.addinivalue_line("markers", "browser: drives Chromium")
    config.addinivalue_line("markers", "embedded: starts the whole process tree")
    config.addinivalue_line("markers", "of_files_alone: asks the database nothing that matters")
    config.addinivalue_line("markers", "provokes_a_deadlock: one, to see what becomes of it")
    if getattr(config.option, "numprocesses", None):
        _start_postgres()


def pytest_collection_finish() -> None:
    """Leave what stays for the whole run to no garbage collection, a twentieth of its time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


def pytest_unconfigure() -> None:
    """Stop what this process started, however the run ended."""
    if WORKER == "alone":
        if _own_postgres is not None:
            _own_postgres.stop(hurry=True)
        elif "HANSA_TEST_SERVER" in os.environ:
            _clean_up(os.environ["HANSA_TEST_SERVER"])


def _start_postgres() -> str:
    """Return the owner's address of the run's server; started here unless somebody did."""
    global _own_postgres  # noqa: PLW0603 - one server for the process, stopped by pytest_unconfigure
    if "HANSA_TEST_SERVER" in os.environ:
        return os.environ["HANSA_TEST_SERVER"]
    given = os.environ.get("DATABASE_URL")
    if given:
        application = _make_application(given)
    else:
        programs = os.environ.get("PG_PROGRAMS")
        other: dict[str, Any] = (
            {"programs": Path(programs), "locale": ("--locale=C.UTF-8",)} if programs else {}
        )
        _own_postgres = Postgres(
            RUN_FOLDER / "postgres",
            RUN_FOLDER / "postgres.log",
            # Nothing of a test run is worth surviving a power cut.
            options={"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"},
            **other,
        )
        _own_postgres.start()
        given = _own_postgres.url("postgres")
        application = _own_postgres.application_url("postgres")
    os.environ |= {"HANSA_TEST_SERVER": given, "HANSA_TEST_APPLICATION": application}
    return given


def _make_application(server: str) -> str:
    """Return the address for a role of this run's own, on a server that is not ours."""
    password = token_urlsafe()
    with psycopg.connect(server, autocommit=True) as session:
        session.execute(
            sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(sql.Identifier(TEMPLATE), password)
        )
    return make_conninfo(server, user=TEMPLATE, password=password)


def _use_database(name: str) -> None:
    """Point Django at one database of the run's server, as its owner and as the application."""
    for alias, server in ((OWNER, "HANSA_TEST_SERVER"), ("default", "HANSA_TEST_APPLICATION")):
        facts = {**conninfo_to_dict(os.environ[server]), "dbname": name}
        connections[alias].close()
        for django, libpq in (
            ("NAME", "dbname"),
            ("USER", "user"),
            ("PASSWORD", "password"),
            ("HOST", "host"),
            ("PORT", "port"),
        ):
            connections[alias].settings_dict[django] = str(facts.get(libpq) or "")


def _clean_up(server: str) -> None:
    """Remove this run's databases and role from a server that is not ours."""
    with psycopg.connect(server, autocommit=True) as session:
        names = session.execute(
            "SELECT datname FROM pg_database WHERE starts_with(datname, %s)", [TEMPLATE]
        ).fetchall()
        for (name,) in names:
            session.execute(
                sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
            )
        session.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(sql.Identifier(TEMPLATE)))


@pytest.fixture(scope="session")
def django_db_setup(django_test_environment: None, django_db_blocker: DjangoDbBlocker) -> None:
    """Migrate the template, unless another process of the run did."""
    server = _start_postgres()
    with psycopg.connect(server, autocommit=True) as session, django_db_blocker.unblock():
        session.execute("SELECT pg_advisory_lock(%s)", [MIGRATION_LOCK])
        known = session.execute("SELECT FROM pg_database WHERE datname = %s", [TEMPLATE])
        if known.fetchone() is None:
            session.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(TEMPLATE)))
            _use_database(TEMPLATE)
            call_command("migrate", verbosity=0)
            connections.close_all()


@pytest.fixture(scope="session")
def new_database(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> NewDatabase:
    """Return what lets a block act on an empty database that nobody else has."""
    numbers = count(1)

    @contextmanager
    def use_one() -> Iterator[None]:
        name = f"{TEMPLATE}_{WORKER}_{next(numbers)}"
        named = sql.Identifier(name)
        with psycopg.connect(os.environ["HANSA_TEST_SERVER"], autocommit=True) as session:
            # Whoever copies a template must be alone with it.
            session.execute("SELECT pg_advisory_lock(%s)", [MIGRATION_LOCK])
            session.execute(
                sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(named, sql.Identifier(TEMPLATE))
            )
            session.execute("SELECT pg_advisory_unlock(%s)", [MIGRATION_LOCK])
            before = connections["default"].settings_dict["NAME"]
            _use_database(name)
            try:
                with django_db_blocker.unblock():
                    # Rights on a database itself are not copied along.
                    give_rights()
                    connections.close_all()
                yield
            finally:
                _use_database(before)
                session.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(named))

    return use_one


@pytest.fixture(scope="module")
def own_database(new_database: NewDatabase) -> Iterator[None]:
    """Give the tests of a module a database of their own, in a tenth of a second.

    Audits, exports, relays and sweepers look at all there is. With one database for all modules
    they took a quarter of the time of a run, more the later they came.
    """
    with new_database():
        yield


@pytest.fixture
def _django_db_helper(own_database: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """Let a test at the database as it is: real commits, no rollback, nothing emptied.

    pytest-django's `db`, `transactional_db`, `live_server` and its marker all come through here.
    The ledger's and the feed's tables refuse TRUNCATE, and rollbacks would hide what commits do.
    """
    with django_db_blocker.unblock():
        yield
        connections.close_all()


@pytest.fixture
def owner(db: None) -> Iterator[None]:
    """Let a test act as the owner of the database, who is a superuser here."""
    with as_owner():
        yield


@pytest.fixture(scope="session")
def broker() -> Iterator[str]:
    """Return the address of a Valkey that is this process's own."""
    valkey = Valkey(DATA_FOLDER / "valkey", DATA_FOLDER / "valkey.log", persist=False)
    valkey.start()
    yield valkey.url
    valkey.stop()


# --- Fences ---------------------------------------------------------------------------------------


@pytest.fixture(scope="session", autouse=True)
def _only_loopback() -> Iterator[None]:
    """Refuse connections to anything but this machine."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: Any) -> None:  # noqa: ANN401 - as the library has it
        internet = self.family in (socket.AF_INET, socket.AF_INET6)
        if internet and not str(address[0]).startswith(LOOPBACK):
            raise PermissionError(f"a test reached for {address}; only this machine is allowed")
        connect(self, address)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", guarded)
        yield


@pytest.fixture(scope="session", autouse=True)
def _threads_close_connections() -> Iterator[None]:
    """Close what a thread opened when the thread ends; Django does so only for its own servers."""
    run = threading.Thread.run

    def run_and_close(self: threading.Thread) -> None:
        try:
            run(self)
        finally:
            for used in connections.all(initialized_only=True):
                with suppress(psycopg.Error):
                    used.close()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(threading.Thread, "run", run_and_close)
        yield


# --- Browser --------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict[str, Any]) -> dict[str, Any]:
    """Start the Chromium that the machine has, not one that playwright would download."""
    if not CHROMIUM.exists():
        pytest.skip(f"no Chromium at {CHROMIUM}: install it or set CHROMIUM")
    return {
        **browser_type_launch_args,
        "executable_path": str(CHROMIUM),
        # Containers run tests as root, where Chromium's own sandbox does not start.
        "args": ["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
    }


@pytest.fixture(scope="session")
def base_url(live_server: LiveServer) -> str:
    """Let `page.goto("/tasks")` mean a page of this run's own web server."""
    return str(live_server.url)


@pytest.fixture(scope="session", autouse=True)
def _playwright_runs_a_loop() -> Iterator[None]:
    """Allow Django's database calls in a thread where playwright's loop sleeps.

    It sleeps there from the first browser test to the end of the run, whatever comes between.
    """
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
        yield
