"""`make bench-race`: agents race for tasks over HTTP, against the product's own servers.

Starts a whole instance on loopback with a database of its own. Every agent claims every task, all
in the same order and at the same time. Whoever wins a task delivers on it at once, so nobody holds
more than one at a time and the caps on claims (rule 8) never decide a race. Callers are not limited
by rate, and one address may register many: both are switched off, nothing else is.
"""

import argparse
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

SETTINGS = {
    "HANSA_GRANTS_PER_ADDRESS_PER_DAY": "off",
    "HANSA_LOG_LEVEL": "WARNING",
    "HANSA_RATE_LIMITS": "off",
    "HANSA_SEED_DEMO": "off",
}
BASE = "/api/v1"
BOUNTY = "0.5"
TASKS_OF_A_POSTER = 100  # of 0.5 credits each, out of a grant of 100
START_SECONDS = 120
STOP_SECONDS = 30
CALL_SECONDS = 120


@dataclass
class Agent:
    """One caller with a connection of its own, which it keeps; after `close` it opens another.

    Attributes:
        address: Host and port of the server.
        key: The agent's key; empty before it has one.
        seconds: How long each of its claims took.
        claims: How often its claims were answered with which status and code.
        won: The tasks that it won.
    """

    address: tuple[str, int]
    key: str = ""
    seconds: list[float] = field(default_factory=list)
    claims: Counter[tuple[int, str]] = field(default_factory=Counter)
    won: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._connection = HTTPConnection(*self.address, timeout=CALL_SECONDS)

    def call(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        """Send one request and return the status and the JSON of its answer."""
        headers = {"Authorization": f"Bearer {self.key}"} if self.key else {}
        data = None if body is None else json.dumps(body)
        if data is not None:
            headers["Content-Type"] = "application/json"
        self._connection.request(method, f"{BASE}{path}", data, headers)
        answer = self._connection.getresponse()
        return answer.status, json.loads(answer.read())

    def must(self, method: str, path: str, body: object, expected: HTTPStatus) -> Any:  # noqa: ANN401 - JSON
        """Send one request that has to succeed and return the JSON of its answer."""
        status, said = self.call(method, path, body)
        assert status == expected, (method, path, status, said)
        return said

    def claim(self, task: str) -> None:
        """Claim a task; whoever wins it delivers at once."""
        began = time.perf_counter()
        status, said = self.call("POST", f"/tasks/{task}/claim", {})
        self.seconds.append(time.perf_counter() - began)
        self.claims[status, said.get("code", "")] += 1
        if status == HTTPStatus.OK:
            self.won.append(task)
            work = {"summary": "Done."}
            self.must("POST", f"/tasks/{task}/deliveries", work, HTTPStatus.CREATED)

    def close(self) -> None:
        """End the connection."""
        self._connection.close()


def a_participant(address: tuple[str, int], handle: str) -> Agent:
    """Register an agent."""
    agent = Agent(address)
    wanted = {"handle": handle, "kind": "agent", "display_name": handle}
    agent.key = agent.must("POST", "/participants", wanted, HTTPStatus.CREATED)["api_key"]
    agent.close()  # the server ends connections that are idle for long
    return agent


def race(
    address: tuple[str, int], *, agents: int, tasks: int, idle_calls: int, prefix: str = "race"
) -> dict[str, object]:
    """Let every agent claim every task at the same time, and return the figures.

    Args:
        address: Host and port of a server of the product, which limits nobody's rate.
        agents: How many race.
        tasks: For how many.
        idle_calls: How often `GET /me` is measured before, with nothing else to do.
        prefix: What handles begin with.

    Fails where a task has no winner or several, or where anything but a 409 tells the losers.
    """
    posters = [
        a_participant(address, f"{prefix}-poster-{number}")
        for number in range(-(-tasks // TASKS_OF_A_POSTER))
    ]
    crew = [a_participant(address, f"{prefix}-agent-{number}") for number in range(agents)]
    posted = []
    for number in range(tasks):
        wanted = {"title": f"Task {number}", "description": "Raced for.", "bounty": BOUNTY}
        poster = posters[number % len(posters)]
        posted.append(poster.must("POST", "/tasks", wanted, HTTPStatus.CREATED)["id"])
    idle = _idle(crew[0], idle_calls)
    for agent in (*posters, *crew):
        agent.close()

    start = threading.Barrier(agents)

    def run(agent: Agent) -> None:
        start.wait()
        for task in posted:
            agent.claim(task)

    began = time.perf_counter()
    with ThreadPoolExecutor(agents) as threads:
        for done in [threads.submit(run, agent) for agent in crew]:
            done.result()
    seconds = time.perf_counter() - began
    claims: Counter[tuple[int, str]] = sum((agent.claims for agent in crew), Counter())
    won = sorted(task for agent in crew for task in agent.won)
    workers = [posters[0].must("GET", f"/tasks/{task}", None, HTTPStatus.OK) for task in posted]
    for agent in (*posters, *crew):
        agent.close()

    assert won == sorted(posted), "a task has no winner, or several"
    assert {task["state"] for task in workers} == {"submitted"}
    lost = {
        code: times for (status, code), times in claims.items() if status == HTTPStatus.CONFLICT
    }
    assert len(won) + sum(lost.values()) == agents * tasks, claims
    took = statistics.quantiles((one for agent in crew for one in agent.seconds), n=100)
    return {
        "agents": agents,
        "tasks": tasks,
        "processors": os.cpu_count(),
        "claims": agents * tasks,
        "winners": len(won),
        "lost_with_409": sum(lost.values()),
        "codes_of_the_losers": " ".join(sorted(lost)),
        "answers_of_5xx": sum(times for (status, _), times in claims.items() if status >= 500),  # noqa: PLR2004
        "most_won_by_one_agent": max(len(agent.won) for agent in crew),
        "agents_that_won": sum(bool(agent.won) for agent in crew),
        "seconds": round(seconds, 2),
        "claims_per_second": round(agents * tasks / seconds),
        "idle_get_me_p50_ms": round(idle * 1000, 2),
        "claim_p50_ms": round(took[49] * 1000, 2),
        "claim_p99_ms": round(took[98] * 1000, 2),
        "claim_p99_over_idle_p50": round(took[98] / idle, 1),
    }


def _idle(agent: Agent, calls: int) -> float:
    """Return the median seconds of a `GET /me` that nothing competes with; warmed up before."""
    took = []
    for _ in range(2 * calls):
        began = time.perf_counter()
        agent.must("GET", "/me", None, HTTPStatus.OK)
        took.append(time.perf_counter() - began)
    return statistics.median(took[calls:])


@contextmanager
def a_server() -> Iterator[tuple[str, int]]:
    """Start a whole instance in a folder of its own, and give the address of its web server."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    with tempfile.TemporaryDirectory(prefix="hansa-bench-") as folder:
        log = Path(folder) / "log"
        environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith("HANSA_") and name not in ("BROKER_URL", "DATABASE_URL", "HOST")
        }
        environment |= {**SETTINGS, "HANSA_DATA": str(Path(folder) / "data"), "PORT": str(port)}
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "marketplace.embedded"],
                env=environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            _wait_for(process, log)
            yield "127.0.0.1", port
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(STOP_SECONDS)


def _wait_for(process: "subprocess.Popen[bytes]", log: Path) -> None:
    latest = time.monotonic() + START_SECONDS
    while "Ctrl-C stops everything" not in log.read_text():
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < latest, log.read_text()
        time.sleep(0.1)


def main() -> None:
    """Measure, and print a table or JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--agents", type=int, default=50, help="how many race")
    parser.add_argument("--tasks", type=int, default=200, help="for how many tasks")
    parser.add_argument("--idle-calls", type=int, default=300, help="of GET /me, before")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    asked = parser.parse_args()
    with a_server() as address:
        figures = race(address, agents=asked.agents, tasks=asked.tasks, idle_calls=asked.idle_calls)
    if asked.json:
        print(json.dumps(figures))  # noqa: T201 - what a bench is for
        return
    for name, value in figures.items():
        print(f"{name.replace('_', ' '):<28}{value!s:>20}")  # noqa: T201 - what a bench is for


if __name__ == "__main__":
    main()
