from pathlib import Path
from urllib.parse import urlsplit

import pytest
import redis

from marketplace.embedded.processes import ServerFailed
from marketplace.embedded.valkey import Valkey


def test_what_it_holds_survives_a_stop_and_nobody_enters_without_the_password(
    place: Path,
) -> None:
    server = Valkey(place / "valkey", place / "valkey.log")
    server.start()
    with redis.Redis.from_url(server.url) as client:
        client.set("kept", "1")
    first_port = urlsplit(server.url).port
    assert first_port is not None
    with (
        redis.Redis(port=first_port) as stranger,
        pytest.raises(redis.AuthenticationError),
    ):
        stranger.get("kept")
    server.stop()

    server.start()
    with redis.Redis.from_url(server.url) as client:
        kept = client.get("kept")
    server.stop()

    assert kept == b"1"


def test_a_server_that_cannot_start_shows_the_end_of_its_log(place: Path) -> None:
    (place / "valkey").mkdir()
    (place / "valkey" / "appendonlydir").write_text("not a folder")
    server = Valkey(place / "valkey", place / "valkey.log")

    with pytest.raises(ServerFailed, match="appendonlydir"):
        server.start()
