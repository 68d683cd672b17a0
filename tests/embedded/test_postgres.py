import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest
from psycopg import errors

from marketplace.embedded import postgres
from marketplace.embedded.postgres import APPLICATION, Postgres
from marketplace.embedded.processes import ServerFailed
from tests.embedded.instances import ROOT


def test_what_was_committed_survives_a_stop_in_a_hurry(place: Path) -> None:
    server = Postgres(place / "postgres", place / "postgres.log")

    server.start()
    server.ensure_database("hansa")
    server.ensure_database("hansa")
    with psycopg.connect(server.url("hansa")) as session:
        session.execute("CREATE TABLE kept AS SELECT 1 AS one")
    server.stop(hurry=True)
    server.start()
    with psycopg.connect(server.url("hansa")) as session:
        kept = session.execute("SELECT one FROM kept").fetchone()
    server.stop()

    assert kept == (1,)


def test_the_application_owns_nothing_also_in_a_cluster_of_an_earlier_version(place: Path) -> None:
    server = Postgres(place / "postgres", place / "postgres.log")
    server.start()
    server.ensure_database("hansa")
    with psycopg.connect(server.url("hansa"), autocommit=True) as session:
        session.execute("CREATE TABLE kept AS SELECT 1 AS one")
        session.execute(f"DROP ROLE {APPLICATION}")
    server.stop()
    # As `initdb --auth-local=peer` leaves them.
    (server.data / "pg_hba.conf").write_text("local all all peer\n")
    (server.data / "pg_ident.conf").write_text("")

    server.start()
    with psycopg.connect(server.url("hansa"), autocommit=True) as session:
        kept = session.execute("SELECT one FROM kept").fetchone()
    with psycopg.connect(server.application_url("hansa")) as session:
        facts = session.execute(
            "SELECT rolname, rolsuper, rolcreatedb, rolcreaterole, rolreplication FROM pg_roles"
            " WHERE rolname = current_user"
        ).fetchone()
        with pytest.raises(errors.InsufficientPrivilege):
            session.execute("SELECT one FROM kept")
    server.stop()

    assert kept == (1,)
    assert facts == (APPLICATION, False, False, False, False)


def test_a_long_folder_name_still_has_a_socket(place: Path) -> None:
    folder = place / ('a folder, with "marks" and ' + "length " * 15)
    folder.mkdir()
    server = Postgres(folder / "postgres", folder / "postgres.log")

    server.start()
    with psycopg.connect(server.url("postgres")) as session:
        answer = session.execute("SHOW listen_addresses").fetchone()
        sockets = session.execute("SHOW unix_socket_directories").fetchone()
    server.stop()

    assert answer == ("",)
    assert sockets is not None
    assert str(folder) not in sockets[0]
    assert not Path(sockets[0].strip('"')).exists()


def test_only_the_account_that_made_it_gets_in(place: Path) -> None:
    server = Postgres(place / "postgres", place / "postgres.log")

    server.start()
    with psycopg.connect(server.url("postgres")) as session:
        session.execute("CREATE ROLE somebody LOGIN SUPERUSER")
    try:
        with pytest.raises(psycopg.OperationalError, match="authentication failed"):
            psycopg.connect(server.url("postgres"), user="somebody")
    finally:
        server.stop()


def test_a_server_that_cannot_start_shows_the_end_of_its_log(place: Path) -> None:
    server = Postgres(
        place / "postgres", place / "postgres.log", options={"shared_buffers": "some"}
    )

    with pytest.raises(ServerFailed, match="invalid value for parameter"):
        server.start()


GIGABYTE = 2**30


@pytest.mark.parametrize(
    ("memory", "shareable", "expected"),
    [
        (GIGABYTE // 4, True, {"shared_buffers": "128MB"}),
        (2 * GIGABYTE, True, {"shared_buffers": "256MB"}),
        (16 * GIGABYTE, True, {"shared_buffers": "2048MB"}),
        (64 * GIGABYTE, True, {"shared_buffers": "4096MB"}),
        (64 * GIGABYTE, 1_030, {"shared_buffers": "512MB"}),
        (64 * GIGABYTE, 260, {"shared_buffers": "128MB"}),
        (64 * GIGABYTE, 250, {}),
    ],
)
def test_buffers_are_an_eighth_of_the_memory_within_bounds_and_what_can_be_shared(
    monkeypatch: pytest.MonkeyPatch, memory: int, shareable: int, expected: dict[str, str]
) -> None:
    monkeypatch.setattr(postgres, "memory_bytes", lambda: memory)
    monkeypatch.setattr(
        postgres, "can_share", lambda size: shareable is True or size <= shareable * 2**20
    )

    assert postgres.shared_buffers() == expected


def buffers_of(server: Postgres) -> str:
    server.start()
    with psycopg.connect(server.url("postgres")) as session:
        found = session.execute("SHOW shared_buffers").fetchone()
    server.stop()
    assert found is not None
    return str(found[0])


def test_a_cluster_of_an_earlier_version_starts_with_more_buffers(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = Postgres(place / "postgres", place / "postgres.log")
    monkeypatch.setattr(postgres, "shared_buffers", dict)
    before = buffers_of(server)
    monkeypatch.setattr(postgres, "shared_buffers", lambda: {"shared_buffers": "160MB"})

    assert (before, buffers_of(server)) == ("128MB", "160MB")
    server.options = {"shared_buffers": "192MB"}
    assert buffers_of(server) == "192MB"


def test_a_server_starts_where_less_memory_can_be_shared_than_the_machine_has(place: Path) -> None:
    data = place / "postgres"
    program = (
        "import sys; from pathlib import Path; import psycopg;"
        "from marketplace.embedded import postgres; postgres.memory_bytes = lambda: 2**33;"
        "server = postgres.Postgres(Path(sys.argv[1]), Path(sys.argv[2])); server.start();"
        "print(*psycopg.connect(server.url('postgres')).execute('SHOW shared_buffers').fetchone());"
        "server.stop()"
    )
    ended = subprocess.run(
        [
            *("bash", "-c", 'ulimit -v 800000 && exec "$@"', "bash"),
            *(sys.executable, "-c", program, data, place / "postgres.log"),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert ended.returncode == 0, ended.stderr + (place / "postgres.log").read_text()
    assert ended.stdout.strip() in {"128MB", "256MB"}


def test_a_server_that_outlived_its_parent_is_replaced(place: Path) -> None:
    first = Postgres(place / "postgres", place / "postgres.log")
    first.start()
    second = Postgres(place / "postgres", place / "postgres.log")

    second.start()
    with psycopg.connect(second.url("postgres")) as session:
        answer = session.execute("SELECT 1").fetchone()
    second.stop()

    assert first.process is not None
    assert first.process.wait(5) == 0
    assert answer == (1,)


def test_a_lock_that_names_a_stranger_neither_stops_us_nor_harms_the_stranger(place: Path) -> None:
    server = Postgres(place / "postgres", place / "postgres.log")
    server.start()
    lock = (place / "postgres" / "postmaster.pid").read_text()
    server.stop()
    assert server.process is not None

    with subprocess.Popen(["sleep", "60"]) as stranger:
        named = lock.replace(str(server.process.pid), str(stranger.pid), 1)
        (place / "postgres" / "postmaster.pid").write_text(named)
        server.start()
        server.stop()
        unharmed = stranger.poll() is None
        stranger.kill()

    assert unharmed


def test_a_server_ends_with_the_process_that_started_it(place: Path) -> None:
    program = (
        "import signal, sys; from pathlib import Path;"
        "from marketplace.embedded.postgres import Postgres;"
        "server = Postgres(Path(sys.argv[1]), Path(sys.argv[2])); server.start();"
        "print(server.process.pid, flush=True); signal.pause()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, place / "postgres", place / "postgres.log"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    ) as parent:
        assert parent.stdout is not None
        server = Path("/proc") / parent.stdout.readline().strip()
        assert server.is_dir()

        parent.kill()

    latest = time.monotonic() + 10
    while server.exists() and time.monotonic() < latest:
        time.sleep(0.05)
    assert not server.exists()
