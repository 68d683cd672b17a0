"""The process tree of `make run`, started for real."""

import json
import signal
import socket
import time
from pathlib import Path

import psycopg
import pytest
import redis
from psycopg import errors

from tests.embedded.instances import (
    STOP_SECONDS,
    a_free_port,
    alive,
    an_instance,
    run_to_its_end,
)

pytestmark = pytest.mark.embedded


def test_an_instance_serves_alone_on_its_folder_and_leaves_no_process_behind(
    place: Path,
) -> None:
    data, port = place / "data", a_free_port()

    with an_instance(data, port) as instance:
        instance.wait_until_ready()
        addresses = json.loads((data / "servers.json").read_text())
        with psycopg.connect(addresses["database_url"]) as session:
            version = session.info.server_version
            tables = session.execute("SELECT count(*) FROM django_migrations").fetchone()
            buffers = session.execute("SHOW shared_buffers").fetchone()
            with pytest.raises(errors.InsufficientPrivilege):
                session.execute("UPDATE credits_account SET balance = 1")
        with redis.Redis.from_url(addresses["broker_url"]) as broker:
            answered = broker.ping()
        tree = instance.tree()
        running = alive(tree)
        second = run_to_its_end(data, a_free_port())
        reset = run_to_its_end(data, port, "reset")
        status = instance.stop(signal.SIGINT)
        left = alive(tree)

    assert version >= 18_00_00
    assert tables is not None
    assert tables[0] > 0
    assert buffers == ("96MB",)
    assert answered
    assert all(
        any(program in command for command in running)
        for program in ("postgres", "valkey-server", "granian", "worker", "beat", "relay")
    )
    assert second.returncode == 1
    assert "already runs" in second.stderr
    assert reset.returncode == 1
    assert "already runs" in reset.stderr
    assert status == 0
    assert left == []
    assert not (data / "servers.json").exists()
    assert (data / "secret_key").stat().st_mode & 0o777 == 0o600
    assert (data / "postgres").is_dir()


def test_a_killed_instance_takes_its_programs_along_and_the_next_one_recovers(
    place: Path,
) -> None:
    data, port = place / "data", a_free_port()

    with an_instance(data, port) as killed:
        killed.wait_until_ready()
        tree = killed.tree()
        killed.stop(signal.SIGKILL)
        latest = time.monotonic() + STOP_SECONDS
        while alive(tree) and time.monotonic() < latest:
            time.sleep(0.1)
        left = alive(tree)
    stale = (data / "servers.json").exists()
    with an_instance(data, port) as instance:
        instance.wait_until_ready()
        status = instance.stop(signal.SIGTERM)

    assert tree
    assert left == []
    assert stale
    assert status == 0


def test_a_taken_port_is_told_before_anything_starts(place: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

        ended = run_to_its_end(place / "data", port)

    assert ended.returncode == 1
    assert f"Cannot listen on 127.0.0.1:{port}" in ended.stdout
    assert "set PORT" in ended.stdout
    assert not (place / "data" / "postgres").exists()
