"""The race that `make bench-race` measures, with fewer agents and tasks."""

from urllib.parse import urlsplit

import pytest
from pytest_django.live_server_helper import LiveServer

from bench.race import race
from tests.builders.people import a_handle

pytestmark = pytest.mark.django_db


def test_of_agents_that_race_over_http_one_wins_each_task_and_the_rest_get_409(
    live_server: LiveServer,
) -> None:
    url = urlsplit(live_server.url)
    assert url.hostname is not None
    assert url.port is not None

    figures = race(
        (url.hostname, url.port), agents=6, tasks=6, idle_calls=3, prefix=a_handle("race")
    )

    assert (figures["winners"], figures["lost_with_409"]) == (6, 30)
    assert figures["answers_of_5xx"] == 0
    assert figures["codes_of_the_losers"] == "illegal_transition"  # and not a cap
